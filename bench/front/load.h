/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load generator for HTTP servers: one thread, epoll, and OpenSSL of its own.  Closed loop (each
 * connection asks again when it is answered) or open (requests are due by a schedule that does not
 * wait for answers, and latency counts from when they were due).
 */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bench/front/histogram.h"
#include "proto/bytes.h"

#define ANSWER_KEPT 16384u /* of an answer; what is longer is only counted */

enum reuse {
	REUSE_KEPT,   /* the connection */
	REUSE_TICKET, /* a new connection, with the ticket of the one before */
	REUSE_NONE,   /* a new connection, and a full handshake if it is TLS */
};

enum link_state {
	LINK_CLOSED,
	LINK_CONNECTING,
	LINK_HANDSHAKE,
	LINK_SENDING,
	LINK_READING,
	LINK_IDLE
};

struct load;

struct link {
	STAILQ_ENTRY(link) in_free;
	struct load *load;
	unsigned number;
	enum link_state state;
	int fd;
	SSL *ssl;             /* NULL: plaintext */
	SSL_SESSION *session; /* the newest ticket */
	const struct bytes *request;
	size_t sent;
	uint64_t due_ns, begun_ns;
	uint64_t got, whole; /* bytes of the answer; whole 0: not known yet */
	uint8_t *answer;     /* the first ANSWER_KEPT of it */
};
STAILQ_HEAD(links, link);

struct slice {
	uint64_t requests, refused, lost, handshakes, resumed, bytes;
	struct histogram latency;
};

struct load {
	struct in_addr host;
	in_port_t port;
	bool tls;
	enum reuse reuse;
	unsigned n;
	struct link *links;
	struct links free;
	SSL_CTX *ctx;
	int epoll_fd;
	struct bytes *requests;
	size_t n_requests, next_request;
	double rate;     /* a second; 0: closed loop */
	uint64_t due_ns; /* of the next request, in an open loop */
	uint64_t end_ns; /* nothing is begun after */
	uint64_t draws;  /* random numbers */
	unsigned busy;
	struct offers *offers; /* NULL: answers are not looked at */
	struct slice slice;
};

/* Says why on stderr and exits. */
void die(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);

/* link.c: begins a request that was due at `due_ns`; the link is not in the free list. */
void link_begin(struct link *l, uint64_t due_ns);
/* Goes on after `events` of epoll; a link that has its answer is handed to load_done(). */
void link_go(struct link *l, uint32_t events);
void link_close(struct link *l);

/* run.c */
void load_open(struct load *d);
/* Every link asks once, so that all are connected when they are kept. */
void load_warm(struct load *d);
void load_slice(struct load *d, double seconds);
void load_done(struct link *l);
void load_close(struct load *d);

/* requests.c: of a file of bodies, each after its length (u32, big-endian); or a GET of `path`. */
void requests_read(struct load *d, const char *file);
void requests_get(struct load *d, const char *path);
void requests_release(struct load *d);

/* offers.c: notes, for each answer to a poll, when it was asked and had, and what it offers. */
struct offers *offers_open(const char *file);
void offers_note(struct offers *o, const struct link *l);
void offers_flush(struct offers *o);
void offers_close(struct offers *o);
