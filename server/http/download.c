/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/download.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "server/http/conn.h"

#define PIECE_BYTES 16384u /* a TLS record */
#define MS_NS       1000000ull

static void set_deadline(struct conn *c)
{
	const struct download *d = &c->download;
	bool wakes = d->wake_ms != 0 && d->wake_ms < d->look_ms;

	wheel_set(&c->server->wheel, &c->timer, wakes ? d->wake_ms : d->look_ms);
}

static void wake(struct conn *c)
{
	if (!c->queued)
		server_again(c->server, c);
	c->queued = true;
}

void download_begin(struct conn *c)
{
	struct download *d = &c->download;

	d->may = d->wake_ms = d->sent = d->seen = d->sent_then = 0;
	d->slept = false;
	d->look_ms = c->server->now_ms + c->server->options.limits.file_window_ms;
	set_deadline(c);
}

/* Bytes that were reserved and not sent, for the client is slow, stay his. */
static void reserve(struct conn *c)
{
	struct http_server *s = c->server;
	struct download *d = &c->download;
	size_t n = c->file_left < PIECE_BYTES ? (size_t)c->file_left : PIECE_BYTES;
	uint64_t now_ns = s->now_ms * MS_NS;
	uint64_t own_ns = pace_reserve(&d->pace, s->each_bytes_s, n, now_ns);
	uint64_t total_ns = pace_reserve(s->total, s->total_bytes_s, n, now_ns);

	d->may = n;
	d->wake_ms = ((own_ns > total_ns ? own_ns : total_ns) + MS_NS - 1) / MS_NS;
}

bool download_may(struct conn *c)
{
	const struct http_server *s = c->server;
	struct download *d = &c->download;

	if (s->total_bytes_s == 0 && s->each_bytes_s == 0)
		d->may = c->file_left;
	else if (d->may == 0)
		reserve(c);
	if (d->wake_ms <= s->now_ms) {
		d->wake_ms = 0;
		return true;
	}
	d->slept = true;
	set_deadline(c);
	return false;
}

/*
 * What the other end acknowledged, not what the kernel took from us: that comes in bursts.
 * Who was held back by a limit of ours need have no more than what he was given before.
 */
static bool moves(struct conn *c)
{
	struct download *d = &c->download;
	uint64_t seen = d->sent, least = c->server->options.limits.file_window_bytes;
	bool fine;
	int queued;

	if (ioctl(c->stream.fd, SIOCOUTQ, &queued) == 0 && queued > 0)
		seen -= (uint64_t)queued < seen ? (uint64_t)queued : seen;
	if (d->slept && d->sent_then - d->seen < least)
		least = d->sent_then - d->seen;
	fine = seen >= d->seen + least;
	d->seen = seen;
	d->sent_then = d->sent;
	d->slept = d->wake_ms != 0;
	return fine;
}

bool download_goes_on(struct conn *c)
{
	struct http_server *s = c->server;
	struct download *d = &c->download;

	if (d->look_ms <= s->now_ms) {
		if (!moves(c))
			return false;
		d->look_ms = s->now_ms + s->options.limits.file_window_ms;
	}
	if (d->wake_ms != 0 && d->wake_ms <= s->now_ms) {
		d->wake_ms = 0;
		wake(c);
	}
	set_deadline(c);
	return true;
}

void download_limit(struct http_server *s, uint64_t total_bytes_s, uint64_t each_bytes_s)
{
	struct conn *c;

	s->total_bytes_s = total_bytes_s;
	s->each_bytes_s = each_bytes_s;
	TAILQ_FOREACH(c, &s->conns, in_all)
	{
		atomic_store_explicit(&c->download.pace.next_ns, 0, memory_order_relaxed);
		c->download.may = 0;
		if (c->phase == PHASE_FILE && c->download.wake_ms != 0)
			wake(c);
		c->download.wake_ms = 0;
	}
}
