/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repository on 127.0.0.1, over plain HTTP, in a thread: one connection at a time.  It can be made
 * to misbehave below the messages.  Change anything only while no request is under way.
 */
#pragma once

#include <pthread.h>

#include "tests/attack/repo.h"

struct wire {
	struct repo *repo;
	char url[64];
	const char *only;       /* NULL: what follows is for every path, else for this */
	int status;             /* 0: as the repository says */
	const char *header;     /* "Content-Encoding: gzip\r\n"; NULL: none */
	size_t padding;         /* zeros behind every body, announced */
	bool endless;           /* a body without length that never ends */
	unsigned pause_ms;      /* between single bytes of a body; 0: all at once */
	struct bytes body;      /* n > 0: this body, status 200 */
	struct bytes *recorded; /* not NULL: gets a copy of the next body that is sent */
	unsigned requests;
	unsigned odd_paths; /* asked for, of a form that no honest phone asks */

	int listener;
	pthread_t thread;
};

void wire_start(struct wire *w, struct repo *repo);
void wire_stop(struct wire *w);
/* No misbehaviour. */
void wire_be_honest(struct wire *w);
