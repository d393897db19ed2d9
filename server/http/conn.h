/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection and the call it is at.  Private to this folder.
 *
 * conn.c has its life: opened, waiting for events and deadlines, closed.  step.c has
 * what happens in each phase, reply.c the answers.
 */
#pragma once

#include "server/http/address.h"
#include "server/http/chunks.h"
#include "server/http/download.h"
#include "server/http/head.h"
#include "server/http/server.h"
#include "server/http/stream.h"

enum phase {
	PHASE_PROXY, /* the header of a proxy is awaited */
	PHASE_HANDSHAKE,
	PHASE_IDLE, /* between requests */
	PHASE_HEAD, /* a request begins, or the first is awaited */
	PHASE_BODY,
	PHASE_ANSWER, /* with the handler, deferred, or being sent */
	PHASE_FILE,   /* an answer that is a file */
	PHASE_LINGER, /* answered; what the client still sends is thrown away */
	PHASE_GONE,
	PHASE__COUNT
};

struct conn {
	struct http_call call; /* first: handlers have its address */
	struct http_server *server;
	struct conn *next_spare;
	TAILQ_ENTRY(conn) in_all, in_list, in_queued;
	uint64_t listed_ms; /* since when it is idle, or unready */
	enum phase phase;
	struct stream stream;
	union address peer;
	uint32_t place; /* in the server's crowd */
	struct event event;
	bool added;     /* the event */
	bool can_read;  /* something may have come that was not read */
	bool ended;     /* the client sends no more; its end may not be read yet */
	bool queued;    /* for the next turn */
	unsigned share; /* of this turn that is left: others want theirs */
	struct wheel_node timer;
	uint64_t since_ms; /* first byte of the request */

	struct input *in;
	size_t at, end; /* the request begins; what was read ends */
	size_t line;    /* head_scan's; the length of the header block when it is whole */
	size_t used;    /* bytes of the request when it is whole */
	struct head head;
	struct chunks chunks;
	const struct http_route *route;

	bool keep;     /* the connection, after the answer */
	bool answered; /* this call */
	bool waiting;  /* deferred, and not resumed yet */
	bool broken;   /* a write failed */
	bool reset;    /* what was not sent is thrown away */
	struct buf out;
	size_t out_at;
	int file; /* -1: none */
	off_t file_at;
	uint64_t file_left;
	struct download download;

	struct inbox_task resume;
	http_resumed *resumed;
	void *resumed_arg;
};

static inline struct conn *conn_of(struct http_call *call)
{
	return (struct conn *)call;
}

/* Who has just been accepted. */
struct arrival {
	int fd;
	union address peer;
	bool proxy;     /* it is one: who it comes for is not known yet */
	uint32_t place; /* in the server's crowd */
};

/* Takes the socket and begins. */
void conn_open(struct http_server *s, const struct arrival *a, struct tls *tls);
/* Closes it now; not from inside conn_run. */
void conn_drop(struct conn *c);
/* Its deadline has passed. */
void conn_expire(struct conn *c);
/* Its next turn has come. */
void conn_again(struct conn *c);
/*
 * Takes `cost` from its share of this turn: 1 is a read or a request.  False when there
 * is not enough, and then it is queued for the next turn.
 */
bool conn_may(struct conn *c, unsigned cost);
/* Sets the phase and its deadline. */
void conn_enter(struct conn *c, enum phase phase);
/* All of the call's file is sent, or nothing more will be. */
void conn_close_file(struct conn *c);

/*
 * Takes one step in the phase the connection is in.  True when another may follow at
 * once, false when it has to wait for the socket or for http_resume.
 */
bool step(struct conn *c);

/*
 * Answers what is no call: malformed, too large, no such path.  `whole`: all of it was
 * read.
 */
void reply_refuse(struct conn *c, unsigned status, bool whole);
/* Sends what is left of the answer but a file: true when all is sent or c->broken. */
bool reply_flush(struct conn *c);
