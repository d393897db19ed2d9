/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's server: listeners, connections and what they share.  Private to this
 * folder; http.h is for others.
 */
#pragma once

#include <event2/event_struct.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "server/base/buf.h"
#include "server/http/address.h"
#include "server/http/crowd.h"
#include "server/http/http.h"
#include "server/http/inbox.h"
#include "server/http/listener.h"
#include "server/http/overload.h"
#include "server/http/routes.h"
#include "server/http/wheel.h"

/* Answers are put together here, and pieces of files for TLS. */
#define SERVER_SCRATCH 65536u
/* An idle connection has, while the server stops, for a request that is on its way. */
#define SERVER_DRAIN_IDLE_MS 500u

/* What has arrived of a request.  Connections between requests have none. */
struct input {
	struct input *next; /* among the spare ones */
	size_t cap;
	uint8_t data[];
};

/* How the last answer began; most begin alike. */
struct opening {
	unsigned status;
	bool keep;
	const char *type;
	uint64_t date_ms; /* the server's, when it was written */
	size_t n;
	char text[256];
};

struct conn;
struct pace;
TAILQ_HEAD(conn_list, conn);

struct http_server {
	struct event_base *base;
	struct http_options options; /* limits filled in */
	struct routes routes;
	unsigned worker;
	uint64_t now_ms;     /* monotonic; set by each callback from libevent */
	struct crowd *crowd; /* the front's; NULL: nobody counts */
	struct inbox inbox;
	struct wheel wheel;
	struct event tick, unpause, again;
	struct overload overload;
	SLIST_HEAD(, listener) listeners;
	bool paused; /* not accepting for a while */
	bool draining;
	void (*drained)(void *arg); /* draining, and the last connection is gone */
	void *drained_arg;
	struct conn_list conns;   /* all with a socket */
	struct conn_list idle;    /* those between requests, oldest first */
	struct conn_list unready; /* those whose request is not whole yet, oldest first */
	struct conn_list queued;  /* those that had their share of this turn */
	unsigned n_conns;
	unsigned n_crowd;                     /* the most of them since memory was given back */
	unsigned n_files;                     /* open, to be sent */
	uint64_t total_bytes_s, each_bytes_s; /* of downloads; 0: any */
	struct pace *total;                   /* the front's, of all its threads */
	unsigned n_left;                      /* deferred calls whose connection is gone */
	struct conn *spare_conn;
	struct input *spare_input;
	unsigned n_spare_conn, n_spare_input;
	uint8_t *scratch;
	char date[40]; /* "Date: ...\r\n" */
	size_t date_len;
	uint64_t date_ms; /* when it was made; monotonic */
	struct opening opening;
	uint64_t complained_ms;
	unsigned complaints; /* not logged since */
	_Atomic uint64_t count[HTTP_COUNT__COUNT];
};

/* One writer: the server's thread. */
static inline void server_add(struct http_server *s, enum http_count which, uint64_t more)
{
	uint64_t n = atomic_load_explicit(&s->count[which], memory_order_relaxed);

	atomic_store_explicit(&s->count[which], n + more, memory_order_relaxed);
}

static inline void server_count(struct http_server *s, enum http_count which)
{
	server_add(s, which, 1);
}

/* Defaults for those that are zero. */
void server_limits(struct http_limits *limits);
/*
 * Closes the listeners; idle connections get a moment, others finish what they are at.
 */
void server_drain(struct http_server *s, void (*drained)(void *arg), void *arg);
/* Closes all connections, whatever they are at. */
void server_close_all(struct http_server *s);
/* Connections and files have all that they may. */
bool server_full(const struct http_server *s);
/*
 * The oldest idle connection goes; when there is none, the one that is the longest without a whole
 * request, if that is longer than grace_ms.  False when nobody goes.
 */
bool server_evict(struct http_server *s);

/* Whether connections of this peer begin with a PROXY header. */
bool server_is_proxy(const struct http_server *s, const union address *peer);
/* One more of the peer's network.  False, and counted: it is one too many. */
WARN_UNUSED bool server_admit(struct http_server *s, const union address *peer, uint32_t *place);

/* An input with room for `cap` bytes or more, and back. */
struct input *server_input(struct http_server *s, size_t cap);
void server_input_give(struct http_server *s, struct input *in);
/* A connection came or went: start and stop what runs only while there are some. */
void server_conn_came(struct http_server *s);
void server_conn_went(struct http_server *s);
/*
 * The connection goes on in the next turn, though its socket may have nothing to say.
 */
void server_again(struct http_server *s, struct conn *c);
/* "Date: Sat, 21 Nov 2026 18:56:00 GMT\r\n" */
struct bytes server_date(struct http_server *s);
/* Logs "peer: what: why", at most one line a second; the others are counted in it. */
void server_complain(
	struct http_server *s, const struct sockaddr *peer, const char *what, const char *why);
