/* SPDX-License-Identifier: Apache-2.0 */
/* Signed bytes in words: what a person reads before signing, and what the log holds. */
#pragma once

#include "proto/envelope.h"
#include "server/ctl/term.h"

#define DECODE_ARENA (4u * 1024u * 1024u)

struct decode {
	const struct term *term;
	const Pb__Root *root; /* signatures are checked against it; NULL: said to be unchecked */
	struct arena *a;
	/* The release of a rollout, for people; NULL: its id is shown. */
	const char *(*rollout)(const void *ctx, struct bytes id);
	const void *ctx;
};

/*
 * An Envelope, or a LogEntry with one: its type, who signed it, and what it says.  An error when the
 * bytes are neither; then `out` is as it was.
 */
WARN_UNUSED int decode_show(struct decode *d, struct buf *out, struct bytes in);

/* One line: who, as a column, and what: "alice     halt 2.4.1". */
WARN_UNUSED int decode_line(struct decode *d, struct buf *out, struct bytes envelope);

/* "alice (release), bob (approver)": all keys of the root whose signature is good. */
WARN_UNUSED int decode_signers(
	const Pb__Root *root, struct bytes envelope, struct arena *a, struct signers *out);
