/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/silence.h"

#include "server/base/mem.h"
#include "server/service/stages.h"
#include "server/store/device.h"

#define DAY_MS        86400000ull
#define AT_ONE_TIME   20000u /* devices judged in one transaction */
#define FIRST_RESERVE 256u

static void add(struct waiting_list *w, uint16_t product, const uint8_t id[ID_LEN], uint64_t now_ms)
{
	struct waiting *x;

	if (w->n == w->cap) {
		w->cap = w->cap > 0 ? 2 * w->cap : FIRST_RESERVE;
		w->list = mem_resize(w->list, w->cap, sizeof(*w->list));
	}
	x = &w->list[w->n++];
	*x = (struct waiting){ .at_ms = now_ms, .product = product };
	memcpy(x->id, id, ID_LEN);
}

void silence_entered(struct silence *s, uint16_t product, const uint8_t id[ID_LEN], uint64_t now_ms)
{
	add(&s->entered, product, id, now_ms);
}

void silence_installing(
	struct silence *s, uint16_t product, const uint8_t id[ID_LEN], uint64_t now_ms)
{
	add(&s->installing, product, id, now_ms);
}

static uint64_t milestone(const struct silence *s, unsigned m)
{
	static const uint64_t later[SILENCE_MILESTONES] = { 0, DAY_MS, 3 * DAY_MS, 7 * DAY_MS };

	uint64_t first_ms = s->rules.milestone_ms + s->lost_ms;

	/* One that would come before the first is no look of its own. */
	return m == 0 || later[m] < first_ms ? first_ms : later[m];
}

static bool find(struct stage *g, struct store_txn *t, const struct waiting *x,
	struct stratum **stratum, struct evidence_device *d)
{
	*stratum = stage_stratum(g, x->product);
	return *stratum != NULL && arm_get(t, g->key, x->id, d);
}

static void judge(
	struct stage *g, struct store_txn *t, const struct fleet *f, unsigned m, uint64_t now_ms)
{
	const struct waiting *x = &g->silence.entered.list[g->silence.next[m]++];
	fleet_word *word = fleet_find(f, x->id);
	struct evidence_device d;
	struct stratum *stratum;
	uint32_t seen;

	if (word == NULL || !find(g, t, x, &stratum, &d))
		return;
	if (m == 0 && (d.seen & 1u << STREAM_JUDGED) != 0)
		return; /* before a restart */
	seen = d.seen;
	evidence_judge(&stratum->evidence, &d,
		!fleet_heard(atomic_load(word), g->silence.rules.window_ms + g->silence.lost_ms,
			now_ms));
	stratum->dirty = true;
	if (d.seen != seen)
		arm_put(t, g->key, x->id, &d);
}

static void judge_s1(struct stage *g, struct store_txn *t, const struct waiting *x)
{
	struct evidence_device d;
	struct stratum *stratum;

	if (!find(g, t, x, &stratum, &d))
		return;
	(void)evidence_s1(&stratum->evidence, &d);
	arm_put(t, g->key, x->id, &d);
	stratum->dirty = true;
}

void silence_judge(struct stage *g, struct store_txn *t, const struct fleet *f, uint64_t now_ms)
{
	struct silence *s = &g->silence;
	unsigned left = AT_ONE_TIME;

	/* What was not heard while nobody listened is no silence. */
	if (now_ms < s->listening_ms + s->rules.window_ms + s->lost_ms)
		return;
	for (unsigned m = 0; m < SILENCE_MILESTONES; m++) {
		if (m > 0 && milestone(s, m) == milestone(s, m - 1))
			continue;
		while (left > 0 && s->next[m] < s->entered.n &&
			s->entered.list[s->next[m]].at_ms + milestone(s, m) <= now_ms) {
			judge(g, t, f, m, now_ms);
			left--;
		}
	}
	while (left > 0 && s->next_s1 < s->installing.n &&
		s->installing.list[s->next_s1].at_ms + s->rules.s1_ms + s->lost_s1_ms <= now_ms) {
		judge_s1(g, t, &s->installing.list[s->next_s1++]);
		left--;
	}
}

/* ---- after a start ---- */

static int by_time(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static void sort(struct waiting_list *w)
{
	if (w->n > 1)
		qsort(w->list, w->n, sizeof(*w->list), by_time);
}

static void load_device(struct stage *g, const struct fleet *f, const uint8_t id[ID_LEN],
	const struct evidence_device *d)
{
	fleet_word *word = d->gone ? NULL : fleet_find(f, id);
	uint16_t product;

	if (word == NULL)
		return;
	product = fleet_unpack(atomic_load(word)).product;
	add(&g->silence.entered, product, id, d->entered_ms);
	if (d->installing_ms != 0 && (d->seen & 1u << STREAM_S1_DUE) == 0)
		add(&g->silence.installing, product, id, d->installing_ms);
}

/*
 * Only the first milestone leaves a mark in a device.  Later ones that passed while nobody listened
 * are left out, in both arms alike.
 */
static void skip_judged(struct silence *s)
{
	for (unsigned m = 1; m < SILENCE_MILESTONES; m++)
		while (s->next[m] < s->entered.n &&
			s->entered.list[s->next[m]].at_ms + milestone(s, m) <= s->listening_ms)
			s->next[m]++;
}

void silence_load(struct stage *g, struct store_txn *t, const struct fleet *f)
{
	struct store_cursor c;
	uint8_t prefix[5];

	g->silence.entered.n = g->silence.installing.n = g->silence.next_s1 = 0;
	memset(g->silence.next, 0, sizeof(g->silence.next));
	put_be32(prefix, g->key.rollout);
	prefix[4] = g->key.step;
	store_foreach(&c, t, STORE_ARM, bytes_of(prefix, 5)) {
		struct evidence_device d;
		struct stage_key key;
		uint8_t id[ID_LEN];
		if (arm_read(&c, &key, id, &d))
			load_device(g, f, id, &d);
	}
	sort(&g->silence.entered);
	sort(&g->silence.installing);
	skip_judged(&g->silence);
}

void silence_release(struct silence *s)
{
	free(s->entered.list);
	free(s->installing.list);
}
