/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An honest server on 127.0.0.1, over plain HTTP, in a thread: one connection at a
 * time.  Change `server` and the fields below only while no request is under way.
 */
#pragma once

#include <pthread.h>

#include "tests/lib/honest.h"

struct loopback {
	struct honest *server;
	char url[64];
	const char *only;     /* NULL: what follows is for every path, else for this */
	int status;           /* 0: as the server says */
	const char *header;   /* "Retry-After: 7\r\n"; NULL: none */
	const char *redirect; /* a Location, with 307; files are under /mirror too */
	size_t cut_after;     /* 0: never; bytes of a body until the connection breaks */
	size_t padding;       /* zeros behind every body */
	unsigned trickle_ms;  /* 0: never; a byte of a body each */
	bool ignores_range;
	unsigned requests;

	int listener;
	pthread_t thread;
	pthread_mutex_t lock; /* held while a request is answered */
};

void loopback_start(struct loopback *l, struct honest *server);
void loopback_stop(struct loopback *l);
/* How many polls it has answered; at any time. */
unsigned loopback_polls(struct loopback *l);
