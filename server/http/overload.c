/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/overload.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include "server/base/clock.h"
#include "server/http/server.h"

/* A queue that was too long for a second is not going to be short by itself. */
#define STANDING_LOOKS 10u

static uint64_t thread_cpu_us(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void next_look(struct http_server *s)
{
	struct overload *o = &s->overload;

	o->due_ms = s->now_ms + OVERLOAD_LOOK_MS;
	o->looking = true;
	loop_add_ms(&o->look, OVERLOAD_LOOK_MS);
}

static struct http_load measure(struct http_server *s)
{
	struct overload *o = &s->overload;
	uint64_t cpu_us = thread_cpu_us(), passed_ms = s->now_ms - o->since_ms;
	uint64_t busy = passed_ms > 0 ? (cpu_us - o->cpu_us) * 1000 / passed_ms : 0;
	struct http_load load = {
		.now_ms = s->now_ms,
		.seen_ms = passed_ms < UINT32_MAX ? (uint32_t)passed_ms : UINT32_MAX,
		.lag_ms = s->now_ms > o->due_ms ? (uint32_t)(s->now_ms - o->due_ms) : 0,
		.wait_ms = o->wait_ms,
		.busy_ppm = busy < 1000000 ? (uint32_t)busy : 1000000,
		.unheard = o->turned_away > 0 ||
			o->stuck >= s->options.limits.accept_ms / OVERLOAD_LOOK_MS,
	};

	o->cpu_us = cpu_us;
	o->since_ms = s->now_ms;
	return load;
}

/*
 * All connections are taken, by whoever it is, and phones wait in the kernel.  A pause ends now and
 * then to see whether that is still so: once without one says nothing.
 */
static void watch_pause(struct http_server *s)
{
	struct overload *o = &s->overload;

	if (o->sampled || (!s->paused && !o->paused))
		o->stuck = 0;
	else
		o->stuck++;
	o->paused = s->paused;
}

/* What came since the last look: the queue is long, or short again, or in between. */
static void judge(struct overload *o, uint32_t most_ms)
{
	if (o->wait_ms < most_ms / 2)
		o->standing = 0;
	else if (o->wait_ms >= most_ms && o->standing < STANDING_LOOKS)
		o->standing++;
	o->sampled = false;
	o->wait_ms = 0;
	o->turned_away = 0;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct http_load load;
	bool more = false;

	(void)fd, (void)what;
	s->now_ms = clock_mono_ms();
	watch_pause(s);
	load = measure(s);
	judge(&s->overload, s->options.limits.accept_ms);
	if (s->options.looked != NULL)
		more = s->options.looked(s->options.user, s->worker, &load);
	s->overload.looking = false;
	if (more || s->n_conns > 0)
		next_look(s);
}

void overload_init(struct http_server *s)
{
	struct overload *o = &s->overload;

	event_assign(&o->look, s->base, -1, 0, on_look, s);
	/* Before what waits to be served, so that it is known how late that is. */
	if (event_base_get_npriorities(s->base) == LOOP__COUNT)
		(void)event_priority_set(&o->look, LOOP_INBOX); /* else as all others */
}

void overload_release(struct http_server *s)
{
	loop_del(&s->overload.look);
}

void overload_watch(struct http_server *s)
{
	if (s->overload.looking)
		return;
	s->overload.since_ms = s->now_ms;
	s->overload.cpu_us = thread_cpu_us();
	next_look(s);
}

bool overload_admits(struct http_server *s, int fd)
{
	struct overload *o = &s->overload;
	bool standing = o->standing == STANDING_LOOKS;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (o->sampled && !standing)
		return true;
	o->sampled = true;
	/* The client has sent something at once, or nothing so far: since then it waits. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return true;
	o->wait_ms = info.tcpi_last_data_recv;
	if (!standing ||
		(o->wait_ms < s->options.limits.accept_ms && info.tcpi_state == TCP_ESTABLISHED))
		return true;
	o->turned_away++;
	server_count(s, HTTP_TURNED_AWAY);
	return false;
}
