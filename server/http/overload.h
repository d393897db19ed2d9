/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How late and how busy a server's thread is, and what it does about it before a handshake: a
 * connection that waited too long to be accepted is closed, if the queue it waited in does not get
 * shorter.  Private to this folder; what else is to be refused is for http_options.looked to say.
 */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

/* So often it is looked, while there are connections or somebody wants it. */
#define OVERLOAD_LOOK_MS 100u

struct overload {
	struct event look;
	bool looking;
	uint64_t due_ms, since_ms; /* this look, and the last one */
	uint64_t cpu_us;           /* of the thread, at the last one */
	bool sampled;              /* the wait of a connection is known, since the last one */
	uint32_t wait_ms, turned_away;
	unsigned standing; /* looks since which the queue is too long */
	unsigned stuck;    /* looks since which there are connections, and none could be accepted */
	bool paused;       /* accepting was, at the last look */
};

struct http_server;

void overload_init(struct http_server *s);
void overload_release(struct http_server *s);
/* There is a connection: looks begin, if they have not. */
void overload_watch(struct http_server *s);
/* Whether the connection that was just accepted is to be served. */
bool overload_admits(struct http_server *s, int fd);
