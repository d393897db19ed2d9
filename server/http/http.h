/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin HTTP/1.1 server on libevent: bounded in memory, time and connections.  It
 * knows nothing of what it serves: routes and handlers are the caller's.
 *
 * A server lives on one event_base and one thread.  A front (front.h) is several
 * threads, each with a server of its own behind the same addresses.  A handler runs on
 * the thread of its call and must not block; functions here are called on that thread
 * unless they say "any thread".
 *
 * SIGPIPE is ignored from the first http_server_new on.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

struct event_base;
struct network;
struct sockaddr;
struct tls;

struct http_call {
	void *user;           /* http_options.user */
	unsigned worker;      /* which of a front's threads; 0 when there is one */
	bool head;            /* HEAD: answer as to GET, the body is left out */
	struct bytes rest;    /* of the path, behind a prefix route's; not decoded */
	struct bytes query;   /* behind the '?'; not decoded */
	struct bytes body;    /* whole */
	struct bytes headers; /* the raw block; for http_header */
	void *kept;           /* the connection's, NULL at first; see closed below */
	const struct sockaddr *peer;
};

/*
 * Answers by one call of http_reply, http_reply_error or http_reply_file before it
 * returns, or calls http_defer.  The bytes in the call are gone when it returns: copy
 * what is needed longer.
 */
typedef void http_handler(struct http_call *call);

struct http_route {
	const char *method, *path; /* GET routes take HEAD too */
	bool prefix;               /* `path` begins the path; the first route that fits is taken */
	size_t max_body;           /* bytes; beyond is 413 */
	http_handler *handler;
};

/* Absolute, not from the last byte.  Zero means the default. */
struct http_limits {
	uint32_t handshake_ms;      /* TLS; 5 s */
	uint32_t headers_ms;        /* from the first byte, or from accept; 5 s */
	uint32_t body_ms;           /* from the headers; 10 s */
	uint32_t request_ms;        /* first byte in to last byte out, but files; 20 s */
	uint32_t idle_ms;           /* between requests; 60 s */
	uint32_t grace_ms;          /* before one without a whole request makes room; 1 s */
	uint32_t file_window_ms;    /* a download must take, in each of these; 30 s */
	uint32_t file_window_bytes; /* this much; 32 KiB */
	uint32_t linger_ms;         /* for a refused client to stop sending; 2 s */
	uint32_t drain_ms;          /* for answers in flight when stopping; 10 s */
	uint32_t accept_ms;         /* in the queue, while that gets no shorter; 3 s */
	uint32_t headers_max;       /* bytes of a header block, 431 beyond; 4 KiB */
	uint32_t connections_max;   /* of a server; 10 000 */
	uint32_t per_prefix;        /* of these, of one network, /24 or /56; any */
};

/* How a thread fares, since the last look. */
struct http_load {
	uint64_t now_ms;   /* monotonic */
	uint32_t seen_ms;  /* so long until now was looked at */
	uint32_t lag_ms;   /* how late its loop is */
	uint32_t wait_ms;  /* how long a connection waited to be accepted; 0: none came */
	uint32_t busy_ppm; /* of the time it had the processor */
	bool unheard;      /* connections that had waited too long were closed, or wait */
};

struct http_options {
	const struct http_route *route; /* borrowed */
	size_t n_routes;
	struct http_limits limits;
	const struct network *proxy; /* who must begin with a PROXY header; borrowed */
	size_t n_proxies;
	void *user;
	/* Called when a connection ends whose `kept` is not NULL; may be NULL. */
	void (*closed)(void *user, void *kept);
	/*
	 * Called ten times a second while there are connections, and while it returns true; may
	 * be NULL.
	 */
	bool (*looked)(void *user, unsigned worker, const struct http_load *load);
};

enum http_count {
#define HTTP_COUNT(name, word, sentence) HTTP_##name,
#include "server/http/count.def"
#undef HTTP_COUNT
	HTTP_COUNT__COUNT
};

/* "accepted", "connections accepted"; valid for ever. */
const char *http_count_name(enum http_count which);
const char *http_count_help(enum http_count which);

struct http_header {
	const char *name, *value;
};

/* All borrowed; what cannot be sent at once is copied. */
struct http_answer {
	unsigned status;
	const char *type; /* Content-Type, valid for ever; NULL leaves it out */
	const struct bytes *part;
	size_t n_parts;
	uint32_t retry_after_s; /* 0 leaves it out */
	bool close;             /* the connection, after this */
	const struct http_header *header;
	size_t n_headers;
	const char *etag; /* of a file, with its quotes; NULL leaves it out */
};

void http_reply(struct http_call *call, const struct http_answer *answer);
/* With the status' own words as the text. */
void http_reply_error(struct http_call *call, unsigned status);
/* Instead of an answer the connection ends: for who takes any refusal for the file's fault. */
void http_hang_up(struct http_call *call);
/*
 * The first `length` bytes of `file`, which it takes and closes.  Of `answer` type,
 * retry_after_s, headers and etag are used; the status follows from Range: 200, 206 or
 * 416, or from If-None-Match: 304.
 * The file must not change while it is sent.
 */
void http_reply_file(
	struct http_call *call, const struct http_answer *answer, int file, uint64_t length);

/*
 * Whether the handler may open a file to answer with: connections and their files share the
 * descriptors of connections_max.  An idle connection may go for it.
 */
bool http_room(struct http_call *call);

/*
 * Value of a header of the request, n 0 when absent; valid until the handler returns.
 */
struct bytes http_header(const struct http_call *call, const char *name);

/*
 * The common name of the certificate that the client showed, and that was verified; false when there is
 * none.  Before http_defer.
 */
bool http_client_name(struct http_call *call, char *out, size_t size);

/*
 * The handler returns without an answer.  The call stays valid, without its bytes,
 * until it is answered, and it must be answered: by a function that http_resume brings
 * to its thread.  When the client has left meanwhile the answer goes nowhere.
 */
void http_defer(struct http_call *call);
typedef void http_resumed(struct http_call *call, void *arg);
/* Any thread, once after http_defer: soon `fn` runs on the call's own thread. */
void http_resume(struct http_call *call, http_resumed *fn, void *arg);

#define HTTP_ERROR_MAX 256

/* Server on a base of the caller's, and its thread. */
struct http_server;
struct http_server *http_server_new(struct event_base *base, const struct http_options *options);
/*
 * "127.0.0.1:8080", "[::]:8443"; port 0 lets the system choose.  `tls` may be NULL.
 * Returns the port, or -errno with "listen ADDRESS: why" in `error`.
 */
WARN_UNUSED int http_server_listen(struct http_server *server, const char *address, struct tls *tls,
	char error[HTTP_ERROR_MAX]);
/*
 * For a listening TCP socket that was made elsewhere, as systemd does; takes it. -errno
 * when it is none, and then it is still the caller's.
 */
WARN_UNUSED int http_server_adopt(struct http_server *server, int fd, struct tls *tls);
/* Any thread. */
uint64_t http_server_count(const struct http_server *server, enum http_count which);
/* Closes everything at once.  Deferred calls must have been resumed. */
void http_server_free(struct http_server *server);
