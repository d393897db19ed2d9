/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log, judged again from its first entry: every signature, every right under the root of its
 * time, the seeds of proposals, and the tree.  Nothing the server says besides is believed.
 */
#pragma once

#include "proto/checkpoint.h"
#include "proto/merkle.h"
#include "server/trust/rootfile.h"

#define AUDIT_ERROR_MAX 240u

struct audit_build;
struct audit_rollout;

struct audit {
	uint64_t n;                   /* entries so far */
	uint8_t (*roots)[SHA256_LEN]; /* of the log after each */
	struct rootfile *root;        /* in force after them; NULL before the first */
	uint64_t n_roots, n_commands, n_decisions, n_directives, n_seeds;
	/* Private. */
	const struct rootfile *anchor;
	struct merkle log;
	struct arena a;
	struct audit_build *builds;
	size_t n_builds;
	struct audit_rollout *rollouts;
	size_t n_rollouts;
};

/* `anchor` is the root this machine holds: the one of its version must be it.  Outlives the audit. */
struct audit *audit_new(const struct rootfile *anchor);
void audit_free(struct audit *a);

/* The next LogEntry; on an error the sentence in `error` says which, and what is wrong. */
WARN_UNUSED int audit_add(struct audit *a, struct bytes entry, char error[AUDIT_ERROR_MAX]);
/*
 * After the last: `note` is of these entries and signed by the log's key, and the root this machine
 * holds was among them.
 */
WARN_UNUSED int audit_end(
	struct audit *a, struct bytes note, struct checkpoint *out, char error[AUDIT_ERROR_MAX]);
