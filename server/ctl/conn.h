/* SPDX-License-Identifier: Apache-2.0 */
/* The admin socket: one frame out, one frame back; u32 big-endian length, then an
 * Envelope. */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/envelope.h"

#define CONN_FRAME_MAX  (1024u * 1024u) /* of a question */
#define CONN_TIMEOUT_MS 30000u          /* for one answer */

struct conn;

struct reply {
	const Pb__AdminReply *m; /* NULL: there is none */
	void *memory;
};

/* -errno of connecting. */
WARN_UNUSED int conn_open(const char *path, struct conn **out);
/*
 * Sends `envelope` and waits for the answer, whatever its code.  An error means that
 * the connection is of no more use; `out` is always to be released.
 */
WARN_UNUSED int conn_ask(struct conn *c, struct bytes envelope, struct reply *out);
void conn_close(struct conn *c);
void reply_release(struct reply *r);
