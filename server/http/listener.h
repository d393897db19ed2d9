/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's listening sockets, and when it does not accept.  Private to this folder.
 */
#pragma once

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "server/http/http.h"

struct listener {
	SLIST_ENTRY(listener) entry;
	struct http_server *server;
	struct tls *tls; /* NULL: plain */
	int fd;
	struct event acceptable;
};

/* Takes a listening, nonblocking socket. */
void listener_open(struct http_server *s, int fd, struct tls *tls);
/* A connection closed: if accepting was paused, it goes on. */
void listener_resume(struct http_server *s);
/* The time of a pause is over: libevent's callback. */
void listener_unpause(int fd, short what, void *server);
/* Accepts what is connected as far as the kernel goes, then closes all. */
void listener_finish(struct http_server *s);
void listener_close_all(struct http_server *s);
