/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of huiductl: its arguments, its terminal, and what it opened on the way.
 * Functions that return `int` return an exit code, and have said on stderr what is
 * wrong when it is not 0.
 */
#pragma once

#include "server/ctl/args.h"
#include "server/ctl/command.h"
#include "server/ctl/conn.h"
#include "server/ctl/context.h"
#include "server/ctl/exits.h"
#include "server/ctl/term.h"
#include "server/trust/keys.h"
#include "server/trust/rootfile.h"

struct ctl {
	const struct command *command;
	struct args args;         /* words: those after noun and verb */
	struct term term, errors; /* stdout, stderr */
	struct context context;
	struct rootfile *root;
	struct conn *conn;
	bool followed;    /* a newer root was looked for */
	const char *next; /* what to try when the server says no and not what next; may
			     be NULL */
};

void ctl_release(struct ctl *c);

/* Loads the context, and its root; again is free. */
WARN_UNUSED int ctl_context(struct ctl *c);
WARN_UNUSED int ctl_root(struct ctl *c);

/*
 * Asks the server; on 0 `out` holds an answer without error, for our repository, and is
 * to be released.  `name` may be NULL.
 */
WARN_UNUSED int ctl_query(struct ctl *c, Pb__QueryKind kind, const char *name, struct reply *out);
/* The same with any query or upload. */
WARN_UNUSED int ctl_ask(
	struct ctl *c, enum envelope_type type, const void *message, struct reply *out);
/*
 * Without a word on stderr: 0, or the error, the server's or our own.  `out` is to be
 * released either way.  The connection is opened again when it was lost.
 */
WARN_UNUSED int ctl_try(
	struct ctl *c, enum envelope_type type, const void *message, struct reply *out);
/* The same with an envelope as it is. */
WARN_UNUSED int ctl_try_envelope(struct ctl *c, struct bytes envelope, struct reply *out);
WARN_UNUSED int ctl_send(struct ctl *c, struct bytes envelope, struct reply *out);
/* What ctl_try() could not do, for a person. */
WARN_UNUSED int ctl_explain(struct ctl *c, int err, const struct reply *r);

#define COMMAND_LIFE_S 900u         /* of a command one person signs, as the server checks */
#define SHARED_LIFE_S  (72u * 3600) /* of one that takes more */

/*
 * Fills in who, when and against which state of the log (`seen`), signs and sends.
 * `what` has only its reason and one of publish, propose, ... set; and expires, in seconds from
 * now, when that is not COMMAND_LIFE_S.
 */
WARN_UNUSED int ctl_command(struct ctl *c, Pb__AdminCommand *what, const struct held_key *key,
	const Pb__Checkpoint *seen, struct reply *out);

/* True when the person said yes, or --yes did; exit code 2 in `*code` when nobody can
 * be asked. */
bool ctl_confirm(struct ctl *c, const char *question, int *code);
/* Prints and releases; EXIT_FAILED when stdout cannot be written. */
WARN_UNUSED int ctl_print(struct buf *out);
static inline bool ctl_json(const struct ctl *c)
{
	return c->args.output != NULL && c->args.output[0] == 'j';
}
