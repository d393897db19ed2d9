/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/asks.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"

/* A grant is a signature, times of a batch are one. */
static const uint32_t most[ASK__COUNT] = { [ASK_TIME] = 4096, [ASK_GRANT] = GRANTS_MAX };

struct asks {
	struct server *server;
	struct inbox inbox;
	struct event tick;
	_Atomic bool open;
	bool begun;
	_Atomic uint32_t waiting[ASK__COUNT]; /* posted, or about to be */
	struct ask *list[ASK__COUNT];         /* of this tenth of a second; control's */
	size_t n[ASK__COUNT];
};

struct asks *asks_new(struct server *server)
{
	struct asks *a = mem_zalloc(sizeof(*a));

	a->server = server;
	return a;
}

void asks_free(struct asks *a)
{
	free(a);
}

/* ---- workers ---- */

static void take(struct inbox_task *task);

int asks_post(struct asks *a, struct ask *ask)
{
	/* Counted before it is looked whether they end: asks_end() waits for who is in between. */
	uint32_t before = atomic_fetch_add(&a->waiting[ask->kind], 1);

	if (before >= most[ask->kind] || !atomic_load(&a->open)) {
		atomic_fetch_sub(&a->waiting[ask->kind], 1);
		return ERR_BUSY;
	}
	ask->asks = a;
	ask->task.fn = take;
	inbox_post(&a->inbox, &ask->task);
	return 0;
}

/* ---- control ---- */

static void take(struct inbox_task *task)
{
	struct ask *ask = (struct ask *)task;
	struct asks *a = ask->asks;

	if (a->n[ASK_TIME] + a->n[ASK_GRANT] == 0 && atomic_load(&a->open))
		loop_add_ms(&a->tick, ASKS_EVERY_MS);
	ask->next = a->list[ask->kind];
	a->list[ask->kind] = ask;
	a->n[ask->kind]++;
}

static int sign_times(struct server *s, struct ask *const *asks, size_t n, struct buf *out)
{
	uint8_t(*nonce)[TIME_NONCE_LEN] = mem_alloc(n * sizeof(*nonce));
	int err;

	for (size_t i = 0; i < n; i++)
		memcpy(nonce[i], asks[i]->nonce, TIME_NONCE_LEN);
	err = timeproof_sign(s, (const uint8_t(*)[TIME_NONCE_LEN])nonce, n, clock_ms(), out);
	free(nonce);
	metric_add(METRIC_TIMES, err == 0 ? n : 0);
	return err;
}

static int sign_grants(struct server *s, struct ask *const *asks, size_t n, struct buf *out)
{
	const struct grant_ask **list = mem_alloc(n * sizeof(*list));
	int err;

	for (size_t i = 0; i < n; i++)
		list[i] = &asks[i]->grant;
	err = grant_sign(s, list, n, clock_ms(), out);
	free(list);
	metric_add(METRIC_GRANTS, err == 0 ? n : 0);
	return err;
}

static void answer(struct asks *a, enum ask_kind kind, bool sign)
{
	static int (*const sign_kind[])(
		struct server *, struct ask *const *, size_t, struct buf *) = {
		[ASK_TIME] = sign_times,
		[ASK_GRANT] = sign_grants,
	};
	size_t n = a->n[kind];
	struct ask **asks = mem_alloc(n * sizeof(*asks));
	struct buf *out = mem_zalloc(n * sizeof(*out));
	int err = ERR_BUSY;

	for (size_t i = 0; i < n; i++) {
		asks[i] = a->list[kind];
		a->list[kind] = asks[i]->next;
	}
	a->n[kind] = 0;
	if (n > 0 && sign)
		err = sign_kind[kind](a->server, asks, n, out);
	for (size_t i = 0; i < n; i++) {
		asks[i]->err = err;
		asks[i]->reply = out[i];
		atomic_fetch_sub(&a->waiting[kind], 1);
		asks[i]->done(asks[i]); /* from here on it is gone */
	}
	free(asks);
	free(out);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct asks *a = arg;

	(void)fd, (void)what;
	answer(a, ASK_TIME, true);
	answer(a, ASK_GRANT, true);
}

void asks_begin(struct asks *a, struct event_base *base)
{
	inbox_open(&a->inbox, base);
	event_assign(&a->tick, base, -1, 0, on_tick, a);
	a->begun = true;
	atomic_store(&a->open, true);
}

void asks_end(struct asks *a)
{
	if (!atomic_exchange(&a->open, false))
		return;
	while (atomic_load(&a->waiting[ASK_TIME]) + atomic_load(&a->waiting[ASK_GRANT]) > 0) {
		inbox_run(&a->inbox);
		answer(a, ASK_TIME, false);
		answer(a, ASK_GRANT, false);
		(void)sched_yield(); /* a worker is about to post, or to see that it may not */
	}
	loop_del(&a->tick);
}

void asks_close(struct asks *a)
{
	if (a->begun)
		inbox_close(&a->inbox);
	a->begun = false;
}
