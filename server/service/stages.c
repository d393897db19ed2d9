/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/stages.h"

#include <assert.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/service/novelty.h"

bool stage_take_token(struct stage_live *live)
{
	uint32_t taken = atomic_load(&live->granted);

	while (taken < atomic_load(&live->allowed))
		if (atomic_compare_exchange_weak(&live->granted, &taken, taken + 1))
			return true;
	return false;
}

struct stage *stages_find(const struct stages *s, struct stage_key key)
{
	for (struct stage *g = s->list; g != NULL; g = g->next)
		if (g->key.rollout == key.rollout && g->key.step == key.step)
			return g;
	return NULL;
}

struct stratum *stage_stratum(struct stage *s, uint16_t product)
{
	for (size_t i = 0; i < s->n_strata; i++)
		if (s->strata[i].product == product)
			return &s->strata[i];
	return NULL;
}

void stages_add(struct stages *s, struct stage *stage, struct store_txn *t, uint64_t now_ms)
{
	uint32_t granted = 0;

	for (size_t i = 0; i < stage->n_strata; i++) {
		struct stratum *u = &stage->strata[i];
		if (!stage_get(t, stage->key, u->product, &u->evidence)) {
			evidence_start(&u->evidence, stage->settle_ms, now_ms);
			u->dirty = true;
		}
		granted += u->evidence.entered[ARM_CANARY];
	}
	stage->silence.listening_ms = now_ms;
	silence_load(stage, t, s->fleet);
	atomic_store(&stage->live->granted, granted);
	stage->next = s->list;
	s->list = stage;
	stages_show(s);
}

void stage_free(struct stage *stage)
{
	if (stage == NULL)
		return;
	silence_release(&stage->silence);
	free(stage);
}

void stages_remove(struct stages *s, struct stage_key key)
{
	for (struct stage **p = &s->list; *p != NULL; p = &(*p)->next) {
		struct stage *g = *p;
		if (g->key.rollout != key.rollout || g->key.step != key.step)
			continue;
		*p = g->next;
		stage_free(g);
		return;
	}
}

static bool is_due(const struct stage *g, uint64_t now_ms)
{
	for (size_t i = 0; i < g->n_strata; i++)
		if (evidence_due(&g->strata[i].evidence, now_ms, g->batch_ms))
			return true;
	return false;
}

/* All strata of a stage close together, so that their batches have the same numbers. */
void stages_close_batch(struct stage *g, struct store_txn *t, uint64_t now_ms)
{
	uint64_t number = row_count(t, g->key.rollout);
	uint32_t held = atomic_exchange(&g->live->held, 0);

	number += novelty_close(g, t, number, now_ms);
	for (size_t i = 0; i < g->n_strata; i++) {
		struct stratum *u = &g->strata[i];
		struct evidence_row rows[EVIDENCE_ROWS];
		size_t n = evidence_close(&u->evidence, now_ms, i == 0 ? held : 0, rows);
		u->dirty = true;
		for (size_t r = 0; r < n; r++) {
			struct stored_row row = { g->key, u->product, rows[r] };
			row_put(t, number++, &row);
		}
	}
}

/* What was lost of the time that is looked at does not count. */
static void subtract(struct silence *s, const struct hearing *h, uint64_t now_ms)
{
	s->lost_ms = hearing_window(h, s->rules.window_ms, now_ms) - s->rules.window_ms;
	s->lost_s1_ms = hearing_window(h, s->rules.s1_ms, now_ms) - s->rules.s1_ms;
}

void stages_close_due(struct stages *s, struct store_txn *t, uint64_t now_ms)
{
	for (struct stage *g = s->list; g != NULL; g = g->next) {
		subtract(&g->silence, &s->hearing, now_ms);
		silence_judge(g, t, s->fleet, now_ms);
		if (is_due(g, now_ms))
			stages_close_batch(g, t, now_ms);
	}
}

void stages_save(struct stages *s, struct store_txn *t)
{
	for (struct stage *g = s->list; g != NULL; g = g->next)
		for (size_t i = 0; i < g->n_strata; i++)
			if (g->strata[i].dirty) {
				stage_put(t, g->key, g->strata[i].product, &g->strata[i].evidence);
				g->strata[i].dirty = false;
			}
}

void stages_show(struct stages *s)
{
	for (struct stage *g = s->list; g != NULL; g = g->next) {
		uint32_t boot_ok = 0, judged = 0, silent = 0;
		for (size_t i = 0; i < g->n_strata; i++) {
			const struct evidence *e = &g->strata[i].evidence;
			boot_ok += e->total[ARM_CANARY][STREAM_BOOT_OK];
			judged += e->total[ARM_CANARY][STREAM_JUDGED];
			silent += e->total[ARM_CANARY][STREAM_SILENT];
		}
		atomic_store(&g->live->boot_ok, boot_ok);
		atomic_store(&g->live->judged, judged);
		atomic_store(&g->live->heard, judged - silent);
	}
}

/* Into what lies beside it first: a store that cannot be read must not look like one without evidence. */
static bool reload(struct stage *g, struct store_txn *t)
{
	for (size_t i = 0; i < g->n_strata; i++) {
		struct stratum *u = &g->strata[i];
		struct evidence e;
		bool there = stage_get(t, g->key, u->product, &e);
		if (t->err != 0)
			return false;
		/* One that never reached the store begins again as it began. */
		if (!there)
			evidence_start(&e, g->settle_ms, u->evidence.opened_ms);
		u->evidence = e;
		u->dirty = !there;
	}
	return true;
}

int stages_refresh(struct stages *s, struct store *store)
{
	struct store_txn t;
	int err;

	if (!s->stale)
		return 0;
	store_begin(store, &t, false);
	for (struct stage *g = s->list; g != NULL && reload(g, &t); g = g->next)
		silence_load(g, &t, s->fleet);
	err = t.err;
	store_abort(&t);
	s->stale = err != 0;
	if (err != 0)
		log_error("store: evidence cannot be read: %s", err_str(err));
	return err;
}

void stages_reload(struct stages *s, struct store *store)
{
	s->stale = true;
	if (stages_refresh(s, store) != 0)
		log_warn("store: nothing is written before evidence can be read");
}

void stages_release(struct stages *s)
{
	while (s->list != NULL) {
		struct stage *g = s->list;
		s->list = g->next;
		stage_free(g);
	}
}
