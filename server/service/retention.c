/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/retention.h"

#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"

/* Of one transaction: some milliseconds, in which no report is taken. */
#define A_TIME  4000u
#define KEY_MAX STORE_KEY_MAX

struct purge {
	struct job job; /* first */
	struct due {
		uint32_t rollout;
		size_t at; /* in the state's list */
		bool done;
	} * due;
	size_t n;
	uint64_t removed;
};

uint64_t retention_due_ms(const struct rollout *r, uint64_t keep_ms)
{
	uint64_t watch_ms = rollout_watch_ms(r);

	if (r->state == ROLLOUT_SUPERSEDED)
		return r->since_ms;
	if (r->state == ROLLOUT_COMPLETE)
		return r->since_ms + watch_ms;
	if (r->state == ROLLOUT_HALTED)
		return r->since_ms + (keep_ms > watch_ms ? keep_ms : watch_ms);
	return UINT64_MAX;
}

/* ---- on the writer's thread ---- */

/* Returns how many it removed, at most `max`. */
static size_t remove_some(struct store_txn *t, enum store_table table, uint32_t rollout, size_t max)
{
	uint8_t prefix[4], (*key)[KEY_MAX] = mem_alloc(max * sizeof(*key));
	size_t n = 0, len = 0;
	struct store_cursor c;

	put_be32(prefix, rollout);
	store_seek(&c, t, table, bytes_of(prefix, sizeof(prefix)));
	while (n < max && store_next(&c)) {
		len = c.key.n; /* of one table all are as long */
		memcpy(key[n++], c.key.p, len);
	}
	if (n == max)
		store_cursor_close(&c);
	for (size_t i = 0; i < n; i++)
		store_delete(t, table, bytes_of(key[i], len));
	free(key);
	return n;
}

/* Nobody of the stage is followed any more, nor known; what was counted of them stays. */
static void forget_stages(struct store_txn *t, uint32_t rollout)
{
	struct stage_place {
		struct stage_key key;
		uint16_t product;
	} *place = NULL;
	struct store_cursor c;
	uint8_t prefix[4];
	size_t n = 0;

	put_be32(prefix, rollout);
	store_foreach(&c, t, STORE_STAGE, bytes_of(prefix, sizeof(prefix))) {
		place = mem_resize(place, n + 1, sizeof(*place));
		place[n++] = (struct stage_place){ { rollout, c.key.p[4] }, get_be16(c.key.p + 5) };
	}
	for (size_t i = 0; i < n; i++) {
		struct evidence e;
		if (stage_get(t, place[i].key, place[i].product, &e) && evidence_forget(&e))
			stage_put(t, place[i].key, place[i].product, &e);
	}
	free(place);
}

static void purge_run(struct job *job, struct writer *w)
{
	struct purge *p = (struct purge *)job;
	size_t left = A_TIME;

	for (size_t i = 0; i < p->n && left > 0; i++) {
		size_t before = left;
		/* A hit is of a device in an arm: it goes first. */
		left -= remove_some(&w->txn, STORE_HIT, p->due[i].rollout, left);
		if (left > 0)
			left -= remove_some(&w->txn, STORE_ARM, p->due[i].rollout, left);
		if (left < before)
			stage_purged_put(&w->txn, p->due[i].rollout);
		if (left == 0)
			break;
		forget_stages(&w->txn, p->due[i].rollout);
		p->due[i].done = true;
	}
	p->removed = A_TIME - left;
}

/* ---- control ---- */

static bool is_followed(const struct control *c, const struct rollout *r)
{
	for (size_t i = 0; i < c->n_follows; i++)
		if (c->follows[i].key.rollout == r->no)
			return true;
	return false;
}

static void grow(struct retention *r, size_t n)
{
	r->clean_ms = mem_resize(r->clean_ms, n, sizeof(*r->clean_ms));
	for (; r->n < n; r->n++)
		r->clean_ms[r->n] = 0;
}

static void gather(struct control *c, uint64_t now_ms, struct purge *p)
{
	uint64_t keep_ms = c->server->config->retention_ms;

	for (size_t i = 0; i < c->state.n_rollouts; i++) {
		const struct rollout *r = c->state.rollouts[i];
		if (c->retention.clean_ms[i] == r->since_ms ||
			retention_due_ms(r, keep_ms) > now_ms || is_followed(c, r))
			continue;
		p->due = mem_resize(p->due, p->n + 1, sizeof(*p->due));
		p->due[p->n++] = (struct due){ .rollout = r->no, .at = i };
	}
}

void retention_run(struct control *c, uint64_t now_ms)
{
	struct purge p = { .job = { .now_ms = now_ms, .run = purge_run } };
	int err;

	if (c->state.n_rollouts == 0)
		return;
	grow(&c->retention, c->state.n_rollouts);
	gather(c, now_ms, &p);
	if (p.n == 0)
		return;
	err = writer_call(&c->server->writer, &p.job);
	if (err == 0)
		metric_add(METRIC_PURGED, p.removed);
	else
		log_error("retention: %s; tried again with the next tick", err_str(err));
	for (size_t i = 0; err == 0 && i < p.n; i++)
		if (p.due[i].done)
			c->retention.clean_ms[p.due[i].at] =
				c->state.rollouts[p.due[i].at]->since_ms;
	free(p.due);
}

void retention_release(struct retention *r)
{
	free(r->clean_ms);
	*r = (struct retention){ 0 };
}
