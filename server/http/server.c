/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/server.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/network.h"
#include "server/http/conn.h"

#define INPUT_BYTES     (20 * 1024u) /* headers and the body of a poll */
#define SPARE_INPUT_MAX 64u
#define COMPLAIN_MS     1000u
#define CROWD_MIN       512u /* connections */

static const struct {
	const char *name, *help;
} counts[] = {
#define HTTP_COUNT(name, word, sentence) [HTTP_##name] = { word, sentence },
#include "server/http/count.def"
#undef HTTP_COUNT
};

static const struct http_limits defaults = {
	.handshake_ms = 5000,
	.headers_ms = 5000,
	.body_ms = 10000,
	.request_ms = 20000,
	.idle_ms = 60000,
	.grace_ms = 1000,
	.file_window_ms = 30000,
	.file_window_bytes = 32 * 1024,
	.linger_ms = 2000,
	.drain_ms = 10000,
	.accept_ms = 3000,
	.headers_max = 4096,
	.connections_max = 10000,
};

const char *http_count_name(enum http_count which)
{
	return counts[which].name;
}

const char *http_count_help(enum http_count which)
{
	return counts[which].help;
}

void server_limits(struct http_limits *limits)
{
	uint32_t *field = (uint32_t *)limits; /* there are no others */
	const uint32_t *def = (const uint32_t *)&defaults;

	for (size_t i = 0; i < sizeof(*limits) / sizeof(*field); i++)
		if (field[i] == 0)
			field[i] = def[i];
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct wheel_node *n;

	(void)fd, (void)what;
	s->now_ms = clock_mono_ms();
	while ((n = wheel_expired(&s->wheel, s->now_ms)) != NULL)
		conn_expire((struct conn *)((char *)n - offsetof(struct conn, timer)));
}

void server_conn_came(struct http_server *s)
{
	if (s->n_conns++ == 0)
		loop_add_ms(&s->tick, WHEEL_TICK_MS);
	if (s->n_conns > s->n_crowd)
		s->n_crowd = s->n_conns;
	overload_watch(s);
}

/* glibc keeps what a crowd took, for the next one: 43 KiB each that never ended its handshake. */
static void give_back(struct http_server *s)
{
	if (s->n_crowd < CROWD_MIN || s->n_conns > s->n_crowd / 8)
		return;
	s->n_crowd = s->n_conns;
	(void)malloc_trim(0); /* whether there was any does not matter */
}

void server_conn_went(struct http_server *s)
{
	if (--s->n_conns == 0)
		loop_del(&s->tick);
	give_back(s);
	listener_resume(s);
	if (s->draining && s->n_conns == 0)
		s->drained(s->drained_arg);
}

/*
 * A timer, not event_active: that would come before libevent looks at the sockets
 * again, and who sends fast enough would have the thread for himself.
 */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct conn *c;
	size_t n = 0;

	(void)fd, (void)what;
	s->now_ms = clock_mono_ms();
	TAILQ_FOREACH(c, &s->queued, in_queued)
	n++;
	for (; n > 0 && (c = TAILQ_FIRST(&s->queued)) != NULL; n--)
		conn_again(c);
}

void server_again(struct http_server *s, struct conn *c)
{
	loop_add_ms(&s->again, 0);
	TAILQ_INSERT_TAIL(&s->queued, c, in_queued);
}

bool server_full(const struct http_server *s)
{
	return s->n_conns + s->n_files >= s->options.limits.connections_max;
}

bool server_evict(struct http_server *s)
{
	struct conn *oldest = TAILQ_FIRST(&s->idle);
	bool idle = oldest != NULL;

	if (!idle)
		oldest = TAILQ_FIRST(&s->unready);
	if (!idle && oldest != NULL && s->now_ms - oldest->listed_ms < s->options.limits.grace_ms)
		oldest = NULL;
	if (oldest == NULL)
		return false;
	server_count(s, idle ? HTTP_EVICTED : HTTP_EVICTED_UNREADY);
	conn_drop(oldest);
	return true;
}

bool server_is_proxy(const struct http_server *s, const union address *peer)
{
	uint8_t at[NETWORK_ADDRESS];

	if (s->options.n_proxies == 0 || !address_v6(&peer->any, at))
		return false;
	for (size_t i = 0; i < s->options.n_proxies; i++)
		if (network_has(&s->options.proxy[i], at))
			return true;
	return false;
}

bool server_admit(struct http_server *s, const union address *peer, uint32_t *place)
{
	uint8_t network[ADDRESS_NETWORK];

	*place = 0;
	/* Who comes from here is a proxy that does not tell for whom, or whose machine it is. */
	if (s->crowd == NULL || address_is_loopback(&peer->any))
		return true;
	if (crowd_enter(s->crowd, bytes_of(network, address_network(&peer->any, network)), place))
		return true;
	server_count(s, HTTP_PREFIX);
	return false;
}

bool http_room(struct http_call *call)
{
	struct http_server *s = conn_of(call)->server;

	return !server_full(s) || server_evict(s);
}

struct input *server_input(struct http_server *s, size_t cap)
{
	struct input *in = s->spare_input;

	if (cap <= INPUT_BYTES && in != NULL) {
		s->spare_input = in->next;
		s->n_spare_input--;
		return in;
	}
	if (cap < INPUT_BYTES)
		cap = INPUT_BYTES;
	in = mem_alloc(sizeof(*in) + cap);
	in->cap = cap;
	return in;
}

void server_input_give(struct http_server *s, struct input *in)
{
	if (in->cap > INPUT_BYTES || s->n_spare_input >= SPARE_INPUT_MAX) {
		free(in);
		return;
	}
	in->next = s->spare_input;
	s->spare_input = in;
	s->n_spare_input++;
}

struct bytes server_date(struct http_server *s)
{
	time_t now;
	struct tm tm;

	if (s->date_len == 0 || s->now_ms - s->date_ms >= 1000) {
		now = (time_t)(clock_ms() / 1000);
		s->date_len = strftime(s->date, sizeof(s->date),
			"Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&now, &tm));
		s->date_ms = s->now_ms;
	}
	return bytes_of(s->date, s->date_len);
}

void server_complain(
	struct http_server *s, const struct sockaddr *peer, const char *what, const char *why)
{
	char from[ADDRESS_TEXT] = "listen";

	if (s->complained_ms != 0 && s->now_ms - s->complained_ms < COMPLAIN_MS) {
		s->complaints++;
		return;
	}
	if (peer != NULL)
		(void)address_str(peer, from);
	if (s->complaints > 0)
		log_warn("%s: %s: %s (and %u others since)", from, what, why, s->complaints);
	else
		log_warn("%s: %s: %s", from, what, why);
	s->complained_ms = s->now_ms;
	s->complaints = 0;
}

struct http_server *http_server_new(struct event_base *base, const struct http_options *options)
{
	struct http_server *s = mem_zalloc(sizeof(*s));

	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
	s->base = base;
	s->options = *options;
	server_limits(&s->options.limits);
	s->now_ms = clock_mono_ms();
	routes_init(&s->routes, options->route, options->n_routes);
	inbox_open(&s->inbox, base);
	wheel_init(&s->wheel, s->now_ms);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->unready);
	TAILQ_INIT(&s->queued);
	s->scratch = mem_alloc(SERVER_SCRATCH);
	event_assign(&s->tick, base, -1, EV_PERSIST, on_tick, s);
	event_assign(&s->unpause, base, -1, 0, listener_unpause, s);
	event_assign(&s->again, base, -1, 0, on_again, s);
	overload_init(s);
	return s;
}

uint64_t http_server_count(const struct http_server *s, enum http_count which)
{
	return atomic_load_explicit(&s->count[which], memory_order_relaxed);
}

void server_drain(struct http_server *s, void (*drained)(void *arg), void *arg)
{
	struct conn *c;

	s->now_ms = clock_mono_ms();
	listener_finish(s);
	s->draining = true;
	s->drained = drained;
	s->drained_arg = arg;
	TAILQ_FOREACH(c, &s->idle, in_list)
	wheel_set(&s->wheel, &c->timer, s->now_ms + SERVER_DRAIN_IDLE_MS);
	if (s->n_conns == 0)
		drained(arg);
}

void server_close_all(struct http_server *s)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->conns)) != NULL)
		conn_drop(c);
}

void http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	listener_close_all(s);
	s->draining = false;
	server_close_all(s);
	inbox_run(&s->inbox);
	assert(s->n_left == 0); /* every deferred call was resumed */
	inbox_close(&s->inbox);
	overload_release(s);
	while (s->spare_conn != NULL) {
		struct conn *c = s->spare_conn;
		s->spare_conn = c->next_spare;
		free(c);
	}
	while (s->spare_input != NULL) {
		struct input *in = s->spare_input;
		s->spare_input = in->next;
		free(in);
	}
	routes_release(&s->routes);
	free(s->scratch);
	free(s);
}
