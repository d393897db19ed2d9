/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole connection: what is sent in one piece, and the same in pieces whose sizes the first bytes choose,
 * is answered alike; no request has two answers, and the connection ends when the client's does.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/log.h"
#include "server/http/conn.h"

#define SIZES      4u
#define INPUT_MAX  16384u
#define LOOPS_MAX  100000u
#define ANSWER_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- the server: what came with the call is the answer ---- */

static void echo(struct http_call *call)
{
	struct bytes part[] = { call->rest, bytes_str("?"), call->query, bytes_str("\n"),
		call->body };
	struct http_answer answer = { .status = 200, .part = part, .n_parts = 5 };

	http_reply(call, &answer);
}

static void resumed(struct http_call *call, void *arg)
{
	struct bytes part = bytes_str("later");
	struct http_answer answer = { .status = 200, .part = &part, .n_parts = 1 };

	(void)arg;
	http_reply(call, &answer);
}

static void later(struct http_call *call)
{
	http_defer(call);
	http_resume(call, resumed, NULL);
}

static const struct http_route routes[] = {
	{ "POST", "/v1/poll", false, 300, echo },
	{ "POST", "/v1/report", false, 300, later },
	{ "GET", "/v1/health", false, 0, echo },
	{ "GET", "/v1/artifact/", true, 0, echo },
};

static struct http_server *server(void)
{
	static const struct http_options options = { .route = routes,
		.n_routes = sizeof(routes) / sizeof(routes[0]) };
	static struct http_server *s;

	if (s == NULL) {
		log_init("fuzz", LOG_LEVEL_ERROR);
		s = http_server_new(event_base_new(), &options);
	}
	return s;
}

static uint64_t refusals(const struct http_server *s)
{
	static const enum http_count which[] = { HTTP_BAD_REQUEST, HTTP_HEADERS_TOO_LARGE,
		HTTP_TOO_LARGE, HTTP_NOT_FOUND, HTTP_BAD_METHOD, HTTP_ENCODED };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		sum += http_server_count(s, which[i]);
	return sum;
}

/* ---- a client ---- */

struct client {
	struct http_server *s;
	int fd;
	struct buf got;
	bool ended;
};

/* Lets the server do what it can, and takes what it says. */
static void turn(struct client *c)
{
	char data[4096];
	ssize_t n;

	(void)event_base_loop(c->s->base, EVLOOP_NONBLOCK); /* 1: nothing is waited for */
	while ((n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		buf_add(&c->got, data, (size_t)n);
	c->ended = n == 0 || errno != EAGAIN;
}

static void say(struct client *c, const uint8_t *p, size_t n)
{
	while (n > 0 && !c->ended) {
		ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno != EAGAIN) {
			n = 0;
		}
		turn(c);
	}
}

/* Everything the server says to these bytes in pieces of these sizes. */
static struct buf talk(const uint8_t *p, size_t n, const uint8_t *sizes)
{
	struct client c = { .s = server() };
	struct arrival a = { .peer = { .any = { .sa_family = AF_UNIX } } };
	int pair[2], rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
	unsigned loops = 0;

	assert(rc == 0);
	c.fd = pair[0];
	a.fd = pair[1];
	conn_open(c.s, &a, NULL);
	for (size_t i = 0, at = 0; at < n; i++) {
		size_t piece = sizes != NULL ? sizes[i % SIZES] % 61u + 1 : n;
		piece = piece < n - at ? piece : n - at;
		say(&c, p + at, piece);
		at += piece;
	}
	(void)shutdown(c.fd, SHUT_WR); /* fails when the server was first */
	while (!c.ended && loops++ < LOOPS_MAX)
		turn(&c);
	assert(c.ended);
	(void)close(c.fd); /* nothing more is wanted of it */
	while (c.s->n_conns > 0 && loops++ < LOOPS_MAX)
		(void)event_base_loop(c.s->base, EVLOOP_NONBLOCK); /* as above */
	assert(c.s->n_conns == 0 && c.s->n_left == 0);
	return c.got;
}

/* ---- what it said ---- */

struct answer {
	unsigned status;
	struct bytes body;
};

static size_t length_of(struct bytes head)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *at = memmem(head.p, head.n, name, sizeof(name) - 1);

	return at != NULL ? strtoul(at + sizeof(name) - 1, NULL, 10) : 0;
}

/* Answers, without those that only say to go on; an answer to HEAD has no body but its length. */
static size_t read_answers(struct bytes in, struct answer *out)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t n = 0;

	while (in.n > 0 && n < ANSWER_MAX) {
		const uint8_t *end = memmem(in.p, in.n, "\r\n\r\n", 4);
		assert(end != NULL && in.n > 12 && memcmp(in.p, "HTTP/1.1 ", 9) == 0);
		struct bytes head = bytes_of(in.p, (size_t)(end - in.p) + 4);
		in = bytes_of(end + 4, in.n - head.n);
		if (head.n == sizeof(go_on) - 1 && memcmp(head.p, go_on, head.n) == 0)
			continue;
		size_t length = length_of(head);
		bool bodiless = in.n < length ||
			(in.n > length && memcmp(in.p + length, "HTTP/1.1 ", 9) != 0);
		out[n++] = (struct answer){ (unsigned)strtoul((const char *)head.p + 9, NULL, 10),
			bytes_of(in.p, bodiless ? 0 : length) };
		in = bytes_of(in.p + out[n - 1].body.n, in.n - out[n - 1].body.n);
	}
	return n;
}

/* Too many headers may be seen before what is wrong in them. */
static bool alike(const struct answer *a, const struct answer *b)
{
	if (a->status >= 400 && b->status >= 400)
		return a->status == b->status || a->status == 431 || b->status == 431;
	return a->status == b->status && bytes_eq(a->body, b->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct answer whole[ANSWER_MAX], pieces[ANSWER_MAX];
	struct http_server *s = server();
	struct buf one, many;
	uint64_t calls, refused;
	size_t n_whole, n_pieces;

	if (n < SIZES || n > INPUT_MAX)
		return 0;
	calls = http_server_count(s, HTTP_CALLS);
	refused = refusals(s);
	one = talk(data + SIZES, n - SIZES, NULL);
	calls = http_server_count(s, HTTP_CALLS) - calls;
	refused = refusals(s) - refused;
	many = talk(data + SIZES, n - SIZES, data);
	n_whole = read_answers(buf_bytes(&one), whole);
	n_pieces = read_answers(buf_bytes(&many), pieces);
	assert(n_whole <= calls + refused && n_whole == n_pieces);
	for (size_t i = 0; i < n_whole; i++)
		assert(alike(&whole[i], &pieces[i]));
	buf_release(&one);
	buf_release(&many);
	return 0;
}
