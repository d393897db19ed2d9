/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/front.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/download.h"
#include "server/http/server.h"

struct worker {
	struct event_base *base;
	struct http_server *server;
	pthread_t thread;
	struct inbox_task stop;
	struct event deadline; /* of draining */
};

struct http_front {
	struct pace total;     /* of downloads */
	unsigned n, n_running; /* threads */
	struct crowd *crowd;
	struct worker worker[];
};

struct http_front *http_front_new(const struct http_options *options, unsigned workers)
{
	struct http_front *f = mem_zalloc(sizeof(*f) + workers * sizeof(f->worker[0]));
	struct http_options each = *options;

	f->n = workers;
	f->crowd = crowd_new();
	server_limits(&each.limits);
	for (unsigned i = 0; i < workers; i++) {
		struct worker *w = &f->worker[i];
		w->base = loop_new();
		w->server = http_server_new(w->base, &each);
		w->server->worker = i;
		w->server->crowd = f->crowd;
		w->server->total = &f->total;
	}
	http_front_limit(f, each.limits.connections_max, each.limits.per_prefix);
	return f;
}

/* Each its share: the kernel spreads connections evenly enough. */
void http_front_limit(struct http_front *f, uint32_t connections, uint32_t per_prefix)
{
	uint32_t share = connections / f->n;

	for (unsigned i = 0; i < f->n; i++)
		f->worker[i].server->options.limits.connections_max = share > 0 ? share : 1;
	crowd_limit(f->crowd, per_prefix);
}

int http_front_listen(
	struct http_front *f, const char *address, struct tls *tls, char error[HTTP_ERROR_MAX])
{
	in_port_t port = 0;

	for (unsigned i = 0; i < f->n; i++) {
		int fd = address_listen(address, i == 0, &port);
		if (fd < 0) {
			(void)snprintf(error, HTTP_ERROR_MAX, "listen %s: %s", address,
				strerrordesc_np(-fd));
			return fd;
		}
		listener_open(f->worker[i].server, fd, tls);
	}
	return port;
}

int http_front_adopt(struct http_front *f, int fd, struct tls *tls)
{
	for (unsigned i = 1; i < f->n; i++) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		int rc = copy >= 0 ? http_server_adopt(f->worker[i].server, copy, tls) : -errno;
		if (rc != 0) {
			if (copy >= 0)
				(void)close(copy); /* nothing was written */
			return rc;
		}
	}
	return http_server_adopt(f->worker[0].server, fd, tls);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	(void)event_base_dispatch(w->base); /* its one failure is memory at the very start */
	return NULL;
}

int http_front_start(struct http_front *f)
{
	sigset_t all, old;
	int rc = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old); /* cannot fail with these arguments */
	while (f->n_running < f->n && rc == 0) {
		struct worker *w = &f->worker[f->n_running];
		rc = -pthread_create(&w->thread, NULL, work, w);
		f->n_running += rc == 0;
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		http_front_stop(f);
	return rc;
}

/* One worker's part of http_front_each. */
struct each {
	struct inbox_task task; /* first */
	http_each *fn;
	void *user, *arg;
	unsigned worker;
	sem_t *done;
};

static void run_each(struct inbox_task *task)
{
	struct each *e = (struct each *)task;

	e->fn(e->user, e->worker, e->arg);
	(void)sem_post(e->done); /* cannot overflow; from here on `e` is gone */
}

void http_front_each(struct http_front *f, http_each *fn, void *arg)
{
	struct each *each = mem_alloc(f->n * sizeof(*each));
	sem_t done;

	(void)sem_init(&done, 0, 0); /* cannot fail for one process and zero */
	for (unsigned i = 0; i < f->n; i++) {
		struct http_server *s = f->worker[i].server;
		each[i] = (struct each){ { .fn = run_each }, fn, s->options.user, arg, i, &done };
		if (i < f->n_running)
			inbox_post(&s->inbox, &each[i].task);
		else
			run_each(&each[i].task);
	}
	for (unsigned i = 0; i < f->n; i++)
		while (sem_wait(&done) != 0)
			; /* a signal */
	(void)sem_destroy(&done);
	free(each);
}

struct bandwidth {
	struct http_front *front;
	uint64_t total_bytes_s, each_bytes_s;
};

static void limit(void *user, unsigned worker, void *arg)
{
	const struct bandwidth *b = arg;

	(void)user;
	download_limit(b->front->worker[worker].server, b->total_bytes_s, b->each_bytes_s);
}

void http_front_bandwidth(struct http_front *f, uint64_t total_bytes_s, uint64_t each_bytes_s)
{
	struct bandwidth b = { f, total_bytes_s, each_bytes_s };

	/* What was reserved at another rate is not waited for. */
	atomic_store_explicit(&f->total.next_ns, 0, memory_order_relaxed);
	http_front_each(f, limit, &b);
}

static void on_drained(void *arg)
{
	struct worker *w = arg;

	(void)event_base_loopbreak(w->base); /* fails only without a base */
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	server_close_all(w->server);
}

static void on_stop(struct inbox_task *task)
{
	struct worker *w = (struct worker *)((char *)task - offsetof(struct worker, stop));

	event_assign(&w->deadline, w->base, -1, 0, on_deadline, w);
	loop_add_ms(&w->deadline, w->server->options.limits.drain_ms);
	server_drain(w->server, on_drained, w);
}

void http_front_stop(struct http_front *f)
{
	for (unsigned i = 0; i < f->n_running; i++) {
		f->worker[i].stop.fn = on_stop;
		inbox_post(&f->worker[i].server->inbox, &f->worker[i].stop);
	}
	for (; f->n_running > 0; f->n_running--) {
		int rc = pthread_join(f->worker[f->n_running - 1].thread, NULL);
		assert(rc == 0);
	}
}

uint64_t http_front_count(const struct http_front *f, enum http_count which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < f->n; i++)
		sum += http_server_count(f->worker[i].server, which);
	return sum;
}

void http_front_free(struct http_front *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < f->n; i++) {
		http_server_free(f->worker[i].server);
		event_base_free(f->worker[i].base);
	}
	crowd_free(f->crowd);
	free(f);
}
