/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames over a Unix socket: u32 big-endian length and that many bytes, both ways, one
 * answer to each frame.  For the owner of the socket, on the caller's base and its
 * thread; what the bytes mean is the caller's.
 */
#pragma once

#include <sys/types.h>

#include "proto/bytes.h"
#include "proto/err.h"

struct event_base;
struct frame_server;

/* Valid until it is answered. */
struct frame_call {
	void *user; /* frame_options.user */
	struct bytes payload;
	uid_t uid; /* of the process at the other end, when it connected */
};

/*
 * Answers by frame_reply, now or later, and once.  Until then nothing more is read from
 * that client; when it has left meanwhile the answer goes nowhere.
 */
typedef void frame_handler(struct frame_call *call);

struct frame_options {
	const char *path;
	size_t max_bytes;     /* of a frame; a larger one ends the connection */
	unsigned clients_max; /* beyond, they wait */
	uint32_t deadline_ms; /* for each frame to come and its answer to be taken */
	frame_handler *handler;
	void *user;
};

/* -errno with "listen PATH: why" in `error`. */
#define FRAME_ERROR_MAX 256
WARN_UNUSED int frame_server_open(struct event_base *base, const struct frame_options *options,
	struct frame_server **out, char error[FRAME_ERROR_MAX]);
/* `part` is copied. */
void frame_reply(struct frame_call *call, const struct bytes *part, size_t n);
/* Ends all connections and removes the socket.  All calls must have been answered. */
void frame_server_close(struct frame_server *s);
