/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/conn.h"

#include <assert.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/tls.h"

#define SPARE_MAX 1024u
#define SHARE     16u /* of a turn */

/*
 * Each change is told once: half the work of polling for the kernel, and no system
 * calls to wait for something else.  So whatever can be done is done, or queued.
 */
#define EVENTS (EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST)

static const struct {
	size_t limit; /* how long, in struct http_limits */
	enum http_count count;
} times[PHASE__COUNT] = {
#define TIME(phase, limit, count)                                                                  \
	[PHASE_##phase] = { offsetof(struct http_limits, limit), HTTP_##count }
	TIME(PROXY, handshake_ms, PROXY),
	TIME(HANDSHAKE, handshake_ms, TIMEOUT_HANDSHAKE),
	TIME(IDLE, idle_ms, TIMEOUT_IDLE),
	TIME(HEAD, headers_ms, TIMEOUT_HEADERS),
	TIME(BODY, body_ms, TIMEOUT_BODY),
	TIME(ANSWER, request_ms, TIMEOUT_REQUEST),
	TIME(FILE, file_window_ms, TIMEOUT_FILE),
	TIME(LINGER, linger_ms, COUNT__COUNT),
#undef TIME
};

/* Where it waits to be closed for another's sake; NULL: it is not. */
static struct conn_list *list_of(struct http_server *s, enum phase phase)
{
	if (phase == PHASE_IDLE)
		return &s->idle;
	return phase < PHASE_ANSWER ? &s->unready : NULL;
}

static void list(struct conn *c, enum phase phase)
{
	struct conn_list *from = list_of(c->server, c->phase), *to = list_of(c->server, phase);

	if (from == to)
		return;
	if (from != NULL)
		TAILQ_REMOVE(from, c, in_list);
	if (to != NULL)
		TAILQ_INSERT_TAIL(to, c, in_list);
	c->listed_ms = c->server->now_ms;
}

void conn_enter(struct conn *c, enum phase phase)
{
	struct http_server *s = c->server;
	const struct http_limits *limits = &s->options.limits;
	uint64_t deadline_ms, whole_ms = c->since_ms + limits->request_ms;

	list(c, phase);
	c->phase = phase;
	if (phase == PHASE_GONE)
		return;
	deadline_ms = s->now_ms + *(const uint32_t *)((const char *)limits + times[phase].limit);
	if (phase == PHASE_IDLE && s->draining)
		deadline_ms = s->now_ms + SERVER_DRAIN_IDLE_MS;
	if (phase >= PHASE_HEAD && phase <= PHASE_ANSWER && whole_ms < deadline_ms)
		deadline_ms = whole_ms;
	wheel_set(&s->wheel, &c->timer, deadline_ms);
}

void conn_close_file(struct conn *c)
{
	if (c->file < 0)
		return;
	(void)close(c->file); /* it was only read */
	c->file = -1;
	c->server->n_files--;
}

/* Nobody has its address any more. */
static void recycle(struct conn *c)
{
	struct http_server *s = c->server;

	if (c->call.kept != NULL && s->options.closed != NULL)
		s->options.closed(s->options.user, c->call.kept);
	if (s->n_spare_conn >= SPARE_MAX) {
		free(c);
		return;
	}
	c->next_spare = s->spare_conn;
	s->spare_conn = c;
	s->n_spare_conn++;
}

/* The socket goes; the rest stays while a deferred call is someone else's. */
static void bury(struct conn *c)
{
	struct http_server *s = c->server;

	wheel_clear(&c->timer);
	loop_del(&c->event);
	SSL_free(c->stream.ssl);
	if (c->reset)
		address_reset(c->stream.fd);
	else
		(void)close(c->stream.fd); /* whether it all arrived is not known here anyway */
	if (s->crowd != NULL)
		crowd_leave(s->crowd, c->place);
	conn_close_file(c);
	buf_release(&c->out);
	if (c->in != NULL)
		server_input_give(s, c->in);
	c->in = NULL;
	TAILQ_REMOVE(&s->conns, c, in_all);
	if (c->queued)
		TAILQ_REMOVE(&s->queued, c, in_queued);
	server_count(s, HTTP_CLOSED);
	if (c->waiting)
		s->n_left++;
	else
		recycle(c);
	server_conn_went(s);
}

/* Nothing can be done now: libevent tells when that changes. */
static void settle(struct conn *c)
{
	if (!c->added)
		loop_add(&c->event, NULL);
	c->added = true;
	if (c->in != NULL && c->at == c->end) {
		server_input_give(c->server, c->in);
		c->in = NULL;
		c->at = c->end = 0;
	}
}

static void run(struct conn *c)
{
	c->share = SHARE;
	while (step(c))
		;
	if (c->phase == PHASE_GONE)
		bury(c);
	else
		settle(c);
}

bool conn_may(struct conn *c, unsigned cost)
{
	if (c->share >= cost) {
		c->share -= cost;
		return true;
	}
	if (!c->queued)
		server_again(c->server, c);
	c->queued = true;
	return false;
}

void conn_again(struct conn *c)
{
	TAILQ_REMOVE(&c->server->queued, c, in_queued);
	c->queued = false;
	run(c);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	c->server->now_ms = clock_mono_ms();
	c->can_read = c->can_read || (what & (EV_READ | EV_CLOSED)) != 0;
	c->ended = c->ended || (what & EV_CLOSED) != 0;
	c->stream.ended = c->ended;
	c->stream.drained = false;
	run(c);
}

static struct conn *take(struct http_server *s)
{
	struct conn *c = s->spare_conn;

	if (c == NULL)
		return mem_alloc(sizeof(*c));
	s->spare_conn = c->next_spare;
	s->n_spare_conn--;
	return c;
}

void conn_open(struct http_server *s, const struct arrival *a, struct tls *tls)
{
	struct conn *c = take(s);

	*c = (struct conn){
		.server = s,
		.call = { .user = s->options.user, .worker = s->worker },
		.stream = { .fd = a->fd },
		.peer = a->peer,
		.place = a->place,
		.can_read = true, /* it may have come with the connection */
		.since_ms = s->now_ms,
		.phase = PHASE_GONE, /* it is in none yet */
		.file = -1,
	};
	c->call.peer = &c->peer.any;
	event_assign(&c->event, s->base, a->fd, EVENTS, on_event, c);
	TAILQ_INSERT_TAIL(&s->conns, c, in_all);
	server_conn_came(s);
	server_count(s, HTTP_ACCEPTED);
	conn_enter(c, a->proxy ? PHASE_PROXY : tls != NULL ? PHASE_HANDSHAKE : PHASE_HEAD);
	if (tls != NULL && stream_secure(&c->stream, tls) != 0) {
		server_complain(s, c->call.peer, "tls", "OpenSSL has no more of it");
		conn_drop(c);
		return;
	}
	run(c);
}

void conn_drop(struct conn *c)
{
	conn_enter(c, PHASE_GONE);
	bury(c);
}

void conn_expire(struct conn *c)
{
	if (c->phase == PHASE_FILE && download_goes_on(c))
		return;
	if (times[c->phase].count < HTTP_COUNT__COUNT)
		server_count(c->server, times[c->phase].count);
	if (c->phase == PHASE_IDLE)
		stream_end(&c->stream);
	/* Else the kernel would keep what is not sent for as long as the client likes. */
	c->reset = c->phase == PHASE_FILE || (c->phase == PHASE_ANSWER && c->answered);
	conn_drop(c);
}

void http_defer(struct http_call *call)
{
	struct conn *c = conn_of(call);

	assert(!c->answered && !c->waiting);
	c->waiting = true;
}

static void on_resume(struct inbox_task *task)
{
	struct conn *c = (struct conn *)((char *)task - offsetof(struct conn, resume));
	struct http_server *s = c->server;

	s->now_ms = clock_mono_ms();
	c->waiting = false;
	c->resumed(&c->call, c->resumed_arg);
	assert(c->answered || c->waiting);
	if (c->phase != PHASE_GONE) {
		run(c);
	} else if (!c->waiting) {
		s->n_left--;
		recycle(c);
	}
}

void http_resume(struct http_call *call, http_resumed *fn, void *arg)
{
	struct conn *c = conn_of(call);

	c->resumed = fn;
	c->resumed_arg = arg;
	c->resume.fn = on_resume;
	inbox_post(&c->server->inbox, &c->resume);
}
