/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: options by the table in args.def, wherever they stand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "server/base/buf.h"

enum arg_id {
#define OPTION(id, name, letter, value, kind, member, help) ARG_##id,
#include "server/ctl/args.def"
#undef OPTION
	ARG__COUNT
};
#define ARG(id)      (1ull << ARG_##id)
#define ARGS_GLOBAL  (ARG(CONTEXT) | ARG(COLOR) | ARG(ASCII) | ARG(HELP))
#define ARGS_MAX     64u
#define ARGS_ERR_MAX 160u

enum arg_flag { FLAG_UNSET, FLAG_YES, FLAG_NO };
struct arg_number {
	bool set;
	uint64_t v;
};
struct arg_list {
	const char *v[ARGS_MAX];
	size_t n;
};

/* Texts are those of argv. */
struct args {
	struct arg_list words; /* what is no option */
	const char *context, *color, *output, *reason, *plan, *product, *build, *release, *out,
		*profile, *repository, *line, *listen, *baseline, *role, *draft, *config, *prefix,
		*journal;
	enum arg_flag ascii, help, version, watch, yes, dry_run, all, demo, renew, skip_bad,
		keep_dates, force, empty;
	struct arg_number fleet, runs, counter, rollback_index, timeout; /* timeout in ms */
	struct arg_list builds, rollback_from, keys, products, persons, rings;
	/* Options as they stand, until it is known whose they are. */
	struct {
		const char *name, *value; /* "--plan" or "-o" */
		size_t length;            /* of the name */
	} pending[ARGS_MAX];
	size_t n_pending;
};

/* Sorts argv (without the program's name) into words and options.  ERR_CONFIG with
 * `error` set. */
WARN_UNUSED int args_split(struct args *a, int argc, char *const *argv, char error[ARGS_ERR_MAX]);
/* Reads the options into their members; `allowed` are ARG() bits.  ERR_CONFIG as above.
 */
WARN_UNUSED int args_read(struct args *a, uint64_t allowed, char error[ARGS_ERR_MAX]);
/* Takes the first `n` words, or all there are, off the list. */
void args_drop(struct arg_list *words, size_t n);
/* A line for each option in `which`. */
void args_help(struct buf *out, uint64_t which);
