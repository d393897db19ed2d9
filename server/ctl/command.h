/* SPDX-License-Identifier: Apache-2.0 */
/* What huiductl can do: one table for dispatch, help and completion. */
#pragma once

#include "server/base/show.h"
#include "server/ctl/args.h"
#include "server/ctl/term.h"

struct ctl;

struct command {
	const char *noun;
	const char *verb;  /* NULL: the noun alone */
	const char *alias; /* at the top level; NULL: none */
	const char *args;  /* what follows, as the help shows it */
	const char *help;  /* one line */
	const char *example;
	int (*run)(struct ctl *c); /* returns an exit code */
	uint64_t options;          /* besides ARGS_GLOBAL */
	size_t min, max;           /* words after noun and verb */
};

extern const struct command commands[]; /* one without noun at the end */

/*
 * The command that `words` begin with; `*used` is how many of them name it.  NULL with
 * a sentence in `error` when there is none.
 */
const struct command *command_find(
	const struct arg_list *words, size_t *used, char error[ARGS_ERR_MAX]);

bool command_is_noun(const char *word);
void command_help_all(struct buf *out, const struct term *t);
void command_help_noun(struct buf *out, const struct term *t, const char *noun);
void command_help(struct buf *out, const struct term *t, const struct command *c);
/* "huiductl rollout get"; the second one "huiductl help rollout get" */
struct shown command_str(const struct command *c);
struct shown command_page(const struct command *c);
