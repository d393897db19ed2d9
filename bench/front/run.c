/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "bench/front/load.h"

#define EVENTS      256
#define WARM_MAX    256u /* links that connect at a time */
#define PATIENCE_NS (20ull * 1000 * 1000 * 1000)

uint64_t now_ns(void)
{
	struct timespec t;

	assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct link *l = SSL_get_app_data(ssl);

	SSL_SESSION_free(l->session);
	l->session = session;
	return 1; /* kept */
}

/* One cipher and one group, so that all servers are asked the same. */
static SSL_CTX *new_context(void)
{
	static char group[] = "X25519"; /* OpenSSL's macro wants it writable */
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
		SSL_CTX_set1_groups_list(ctx, group) != 1)
		die("SSL_CTX_new");
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(
		ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_ticket);
	return ctx;
}

void load_open(struct load *d)
{
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->links = calloc(d->n, sizeof(*d->links));
	if (d->epoll_fd < 0 || d->links == NULL)
		die("out of memory");
	if (d->tls)
		d->ctx = new_context();
	d->draws = (uint64_t)getpid() + 88172645463325252u;
	STAILQ_INIT(&d->free);
	for (unsigned i = 0; i < d->n; i++) {
		struct link *l = &d->links[i];
		*l = (struct link){ .load = d, .number = i, .answer = malloc(ANSWER_KEPT) };
		if (l->answer == NULL)
			die("out of memory");
		STAILQ_INSERT_TAIL(&d->free, l, in_free);
	}
}

void load_close(struct load *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		link_close(&d->links[i]);
		SSL_SESSION_free(d->links[i].session);
		free(d->links[i].answer);
	}
	SSL_CTX_free(d->ctx);
	free(d->links);
	(void)close(d->epoll_fd);
}

/* Gaps as of many phones that know nothing of each other. */
static uint64_t draw_gap_ns(struct load *d)
{
	double u;

	d->draws ^= d->draws >> 12;
	d->draws ^= d->draws << 25;
	d->draws ^= d->draws >> 27;
	u = (double)((d->draws * 2685821657736338717u >> 11) + 1) / 9007199254740993.0;
	return (uint64_t)(-log(u) * 1e9 / d->rate);
}

/* In a closed loop, at once; in an open one, those that were late are begun after the end too. */
static bool is_due(const struct load *d, uint64_t now)
{
	if (d->rate > 0)
		return d->due_ns <= now && d->due_ns < d->end_ns;
	return now < d->end_ns;
}

static void begin_due(struct load *d)
{
	struct link *l;
	uint64_t now = now_ns();

	while ((l = STAILQ_FIRST(&d->free)) != NULL && is_due(d, now)) {
		STAILQ_REMOVE_HEAD(&d->free, in_free);
		link_begin(l, d->rate > 0 ? d->due_ns : now);
		if (d->rate > 0)
			d->due_ns += draw_gap_ns(d);
		now = now_ns();
	}
}

void load_done(struct link *l)
{
	struct load *d = l->load;
	struct slice *s = &d->slice;

	d->busy--;
	if (l->state == LINK_IDLE) {
		s->requests++;
		s->bytes += l->got;
		s->refused += strncmp((const char *)l->answer, "HTTP/1.1 200", 12) != 0;
		histogram_add(&s->latency, now_ns() - l->due_ns);
		if (d->offers != NULL)
			offers_note(d->offers, l);
		if (d->reuse != REUSE_KEPT)
			link_close(l);
	} else {
		s->lost++;
	}
	STAILQ_INSERT_TAIL(&d->free, l, in_free);
}

/* Until the next request is due, if a link is there for it. */
static int64_t wait_ns(const struct load *d, uint64_t now)
{
	uint64_t until = now < d->end_ns ? d->end_ns : now + 1000000;

	if (STAILQ_FIRST(&d->free) != NULL && d->rate > 0 && d->due_ns < until)
		until = d->due_ns;
	return until > now ? (int64_t)(until - now) : 0;
}

static void pump(struct load *d)
{
	struct epoll_event events[EVENTS];
	int64_t ns = wait_ns(d, now_ns());
	struct timespec wait = { ns / 1000000000, ns % 1000000000 };
	int n = epoll_pwait2(d->epoll_fd, events, EVENTS, &wait, NULL);

	for (int i = 0; i < n; i++)
		link_go(events[i].data.ptr, events[i].events);
}

void load_warm(struct load *d)
{
	uint64_t until = now_ns() + 10 * PATIENCE_NS;

	for (unsigned i = 0; i < d->n; i++) {
		struct link *l = STAILQ_FIRST(&d->free);
		STAILQ_REMOVE_HEAD(&d->free, in_free);
		link_begin(l, now_ns());
		while (d->busy >= WARM_MAX && now_ns() < until)
			pump(d);
	}
	while (d->busy > 0 && now_ns() < until)
		pump(d);
	if (d->busy > 0)
		die("not all connections were answered");
	if (d->slice.lost > 0)
		die("connections were closed before they were answered");
	if (d->slice.refused > 0)
		die("answers are not 200");
}

/* Is there more to begin, or to wait for? */
static bool is_open(const struct load *d, uint64_t now)
{
	if (now < d->end_ns)
		return true;
	return now < d->end_ns + PATIENCE_NS &&
		(d->busy > 0 || (d->rate > 0 && d->due_ns < d->end_ns));
}

void load_slice(struct load *d, double seconds)
{
	uint64_t begin = now_ns();

	d->slice = (struct slice){ 0 };
	d->due_ns = begin;
	d->end_ns = begin + (uint64_t)(seconds * 1e9);
	while (is_open(d, now_ns())) {
		begin_due(d);
		pump(d);
	}
	if (d->busy > 0)
		die("requests were not answered within 20 s");
}
