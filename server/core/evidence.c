/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/evidence.h"

#include <assert.h>
#include <string.h>

#define BIT(n) (1u << (n))

static bool is_failure(enum stream s)
{
	return s == STREAM_BOOT || s == STREAM_INSTALL || s == STREAM_ROLLBACK || s == STREAM_S1;
}

static uint32_t *risk_of(struct evidence *e, const struct evidence_device *d)
{
	return e->risk[d->arm == ARM_CANARY ? 0 : 1 + d->group];
}

static uint32_t *young_of(struct evidence *e, const struct evidence_device *d)
{
	return e->young[d->slot % EVIDENCE_SLOTS][d->arm == ARM_CANARY ? 0 : 1 + d->group];
}

static bool is_followed(const struct evidence *e, const struct evidence_device *d)
{
	return !d->gone && (d->arm == ARM_CANARY || (e->closed_groups & BIT(d->group)) == 0);
}

uint32_t evidence_at_risk(const struct evidence *e, enum arm arm, enum stream stream)
{
	uint32_t sum = 0;

	if (arm == ARM_CANARY)
		return e->risk[0][stream];
	for (uint32_t g = 0; g < EVIDENCE_GROUPS; g++)
		if ((e->closed_groups & BIT(g)) == 0)
			sum += e->risk[1 + g][stream];
	return sum;
}

static uint32_t slot_at(const struct evidence *e, uint64_t now_ms)
{
	uint64_t slot_ms = e->settle_ms / (EVIDENCE_SLOTS - 1);

	if (now_ms < e->started_ms)
		return 0;
	return (uint32_t)((now_ms - e->started_ms) / (slot_ms > 0 ? slot_ms : 1));
}

static bool is_young(const struct evidence *e, const struct evidence_device *d)
{
	return e->settle_ms > 0 && d->slot + EVIDENCE_SLOTS > e->slot;
}

static uint32_t young_at_risk(const struct evidence *e, enum arm arm, enum stream stream)
{
	uint32_t sum = 0;

	for (uint32_t k = 0; k < EVIDENCE_SLOTS; k++)
		for (uint32_t g = 0; g < EVIDENCE_GROUPS; g++) {
			if (arm == ARM_CANARY && g == 0)
				sum += e->young[k][0][stream];
			if (arm == ARM_CONTROL && (e->closed_groups & BIT(g)) == 0)
				sum += e->young[k][1 + g][stream];
		}
	return sum;
}

/*
 * Who entered nine slots ago, or earlier, is young no longer.  A clock that is set back makes
 * nobody younger.
 */
static void grow_up(struct evidence *e, uint64_t now_ms)
{
	uint32_t slot = slot_at(e, now_ms);

	if (slot <= e->slot)
		return;
	for (uint32_t k = 0; k < EVIDENCE_SLOTS && e->slot < slot; k++)
		memset(e->young[++e->slot % EVIDENCE_SLOTS], 0, sizeof(e->young[0]));
	e->slot = slot;
}

static void freeze(struct evidence *e, uint64_t now_ms)
{
	grow_up(e, now_ms);
	e->opened_ms = now_ms;
	e->events = 0;
	memset(e->open, 0, sizeof(e->open));
	memset(e->open_young, 0, sizeof(e->open_young));
	memset(e->judged, 0, sizeof(e->judged));
	for (enum arm a = ARM_CANARY; a < ARM__COUNT; a++) {
		for (unsigned s = 0; s < STREAM__COUNT; s++)
			e->frozen[a][s] = evidence_at_risk(e, a, s);
		for (unsigned s = 0; s < STREAM_COMPARED; s++)
			e->frozen_young[a][s] = young_at_risk(e, a, s);
	}
}

void evidence_start(struct evidence *e, uint64_t settle_ms, uint64_t now_ms)
{
	memset(e, 0, sizeof(*e));
	e->started_ms = now_ms;
	e->settle_ms = settle_ms;
	freeze(e, now_ms);
}

void evidence_enter(struct evidence *e, struct evidence_device *d, enum arm arm, uint32_t group,
	uint32_t seq, uint64_t now_ms)
{
	assert(arm < ARM__COUNT && group < EVIDENCE_GROUPS);
	*d = (struct evidence_device){ .arm = arm,
		.group = group,
		.seq = seq,
		.entered_batch = e->batch,
		.slot = e->slot,
		.entered_ms = now_ms };
	e->entered[arm]++;
	e->open[arm][STREAM_ENTERED]++;
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		risk_of(e, d)[s]++;
	for (unsigned s = 0; s < STREAM_COMPARED && e->settle_ms > 0; s++)
		young_of(e, d)[s]++;
}

/* Marks the first event; true when it was the first. */
static bool mark(struct evidence *e, struct evidence_device *d, enum stream stream)
{
	bool compared = stream < STREAM_COMPARED, young = compared && is_young(e, d);

	if (d->seen & BIT(stream))
		return false;
	d->seen |= BIT(stream);
	e->total[d->arm][stream]++;
	risk_of(e, d)[stream]--;
	if (young)
		young_of(e, d)[stream]--;
	if (compared && d->entered_batch == e->batch)
		return true;
	if (young)
		e->open_young[d->arm][stream]++;
	else
		e->open[d->arm][stream]++;
	/* Those judged come in crowds and say nothing by themselves. */
	e->events += stream != STREAM_JUDGED && stream != STREAM_S1_DUE;
	return true;
}

bool evidence_event(struct evidence *e, struct evidence_device *d, enum stream stream, uint32_t seq)
{
	if (!is_followed(e, d) || seq <= d->seq || !mark(e, d, stream))
		return false;
	if (stream == STREAM_BOOT_OK || is_failure(stream))
		(void)mark(e, d, STREAM_RESOLVED); /* the first outcome only */
	return true;
}

void evidence_judge(struct evidence *e, struct evidence_device *d, bool silent)
{
	if (!is_followed(e, d) || (d->seen & BIT(STREAM_SILENT)) != 0)
		return;
	(void)mark(e, d, STREAM_JUDGED); /* at the first milestone only */
	e->judged[d->arm]++;
	if (silent)
		(void)mark(e, d, STREAM_SILENT); /* was not seen: looked at above */
}

bool evidence_s1(struct evidence *e, struct evidence_device *d)
{
	if (!is_followed(e, d) || !mark(e, d, STREAM_S1_DUE) ||
		(d->seen & BIT(STREAM_RESOLVED)) != 0)
		return false;
	return mark(e, d, STREAM_S1) && mark(e, d, STREAM_RESOLVED);
}

enum arm evidence_signature(const struct evidence *e, const struct evidence_device *d)
{
	return is_followed(e, d) && d->entered_batch != e->batch ? d->arm : ARM_NONE;
}

void evidence_leave(struct evidence *e, struct evidence_device *d)
{
	if (!is_followed(e, d))
		return;
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		if ((d->seen & BIT(s)) == 0)
			risk_of(e, d)[s]--;
	for (unsigned s = 0; s < STREAM_COMPARED && is_young(e, d); s++)
		if ((d->seen & BIT(s)) == 0)
			young_of(e, d)[s]--;
	d->gone = true;
}

static bool clear(void *p, size_t n)
{
	const uint8_t *byte = p;
	bool some = false;

	for (size_t i = 0; i < n; i++)
		some |= byte[i] != 0;
	memset(p, 0, n);
	return some;
}

bool evidence_forget(struct evidence *e)
{
	bool some = clear(e->risk, sizeof(e->risk));

	some |= clear(e->young, sizeof(e->young));
	some |= clear(e->frozen, sizeof(e->frozen));
	some |= clear(e->frozen_young, sizeof(e->frozen_young));
	return some;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void evidence_close_group(struct evidence *e, uint32_t group)
{
	assert(group < EVIDENCE_GROUPS);
	if ((e->closed_groups & BIT(group)) != 0)
		return;
	e->closed_groups |= BIT(group);
	/* What is left is compared with the canary from now on, not from the next batch on. */
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		e->frozen[ARM_CONTROL][s] -=
			least(e->frozen[ARM_CONTROL][s], e->risk[1 + group][s]);
	for (unsigned s = 0; s < STREAM_COMPARED; s++)
		for (unsigned k = 0; k < EVIDENCE_SLOTS; k++)
			e->frozen_young[ARM_CONTROL][s] -=
				least(e->frozen_young[ARM_CONTROL][s], e->young[k][1 + group][s]);
}

bool evidence_due(const struct evidence *e, uint64_t now_ms, uint64_t batch_ms)
{
	return now_ms >= e->opened_ms + batch_ms || e->events >= EVIDENCE_MAX_EVENTS;
}

static void add_row(const struct evidence *e, struct evidence_row rows[EVIDENCE_ROWS], size_t *n,
	struct evidence_row row)
{
	if (row.xc + row.xk == 0 && row.stream != STREAM_ENTERED)
		return;
	row.batch = e->batch;
	rows[(*n)++] = row;
}

size_t evidence_close(
	struct evidence *e, uint64_t now_ms, uint32_t held, struct evidence_row rows[EVIDENCE_ROWS])
{
	size_t n = 0;

	e->open[ARM_CANARY][STREAM_HELD] = held;
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		struct evidence_row all = {
			.stream = s,
			.closed_ms = now_ms,
			.xc = e->open[ARM_CANARY][s],
			.xk = e->open[ARM_CONTROL][s],
			.ec = e->frozen[ARM_CANARY][s],
			.ek = e->frozen[ARM_CONTROL][s],
		};
		if (s == STREAM_SILENT) {
			all.ec = e->judged[ARM_CANARY];
			all.ek = e->judged[ARM_CONTROL];
		}
		if (s < STREAM_COMPARED) {
			struct evidence_row young = all;
			young.age = AGE_YOUNG;
			young.xc = e->open_young[ARM_CANARY][s];
			young.xk = e->open_young[ARM_CONTROL][s];
			young.ec = e->frozen_young[ARM_CANARY][s];
			young.ek = e->frozen_young[ARM_CONTROL][s];
			all.ec -= young.ec;
			all.ek -= young.ek;
			add_row(e, rows, &n, young);
		}
		add_row(e, rows, &n, all);
	}
	e->batch++;
	freeze(e, now_ms);
	return n;
}
