/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a file goes, and whether it goes at all.  Private to this folder. */
#pragma once

#include <stdbool.h>

#include "server/http/pace.h"

struct conn;
struct http_server;

/* Of a connection. */
struct download {
	struct pace pace;
	uint64_t may;       /* bytes of the file that may go, now or at wake_ms */
	uint64_t wake_ms;   /* it sleeps until then; 0: it does not */
	uint64_t look_ms;   /* whether it moves, next */
	uint64_t sent;      /* to the socket */
	uint64_t seen;      /* acknowledged at the last look */
	uint64_t sent_then; /* at the last look */
	bool slept;         /* since the last look */
};

/* The file's first byte is next, and the phase entered. */
void download_begin(struct conn *c);
/* Some bytes may go, as `may` says; else it sleeps, and has its turn in time. */
bool download_may(struct conn *c);
/* Its deadline has come: true when it may go on, and waits for the next. */
bool download_goes_on(struct conn *c);
/* Bytes a second, of all and of each connection; 0: any.  For those under way too. */
void download_limit(struct http_server *s, uint64_t total_bytes_s, uint64_t each_bytes_s);
