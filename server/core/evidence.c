/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/evidence.h"

#include <assert.h>
#include <string.h>

#define BIT(n) (1u << (n))

/* Streams compared with the control; the others are only counted. */
static bool is_relative(enum stream s)
{
	return s == STREAM_CRASH || s == STREAM_CRASH_LOOP || s == STREAM_SILENT ||
		(s >= STREAM_SYMPTOM && s < STREAM_DOWNLOADED);
}

static bool is_failure(enum stream s)
{
	return s == STREAM_BOOT || s == STREAM_INSTALL || s == STREAM_ROLLBACK || s == STREAM_S1;
}

static uint32_t *risk_of(struct evidence *e, const struct evidence_device *d)
{
	return e->risk[d->arm == ARM_CANARY ? 0 : 1 + d->group];
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

static void freeze(struct evidence *e, uint64_t now_ms)
{
	e->opened_ms = now_ms;
	e->events = 0;
	memset(e->open, 0, sizeof(e->open));
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		e->frozen[ARM_CANARY][s] = evidence_at_risk(e, ARM_CANARY, s);
		e->frozen[ARM_CONTROL][s] = evidence_at_risk(e, ARM_CONTROL, s);
	}
}

void evidence_start(struct evidence *e, uint64_t now_ms)
{
	memset(e, 0, sizeof(*e));
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
		.entered_ms = now_ms };
	e->entered[arm]++;
	e->open[arm][STREAM_ENTERED]++;
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		risk_of(e, d)[s]++;
}

/* Marks the first event; true when it was the first. */
static bool mark(struct evidence *e, struct evidence_device *d, enum stream stream)
{
	if (d->seen & BIT(stream))
		return false;
	d->seen |= BIT(stream);
	e->total[d->arm][stream]++;
	risk_of(e, d)[stream]--;
	if (is_relative(stream) && d->entered_batch == e->batch)
		return true;
	e->open[d->arm][stream]++;
	e->events++;
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

void evidence_leave(struct evidence *e, struct evidence_device *d)
{
	if (!is_followed(e, d))
		return;
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		if ((d->seen & BIT(s)) == 0)
			risk_of(e, d)[s]--;
	d->gone = true;
}

void evidence_close_group(struct evidence *e, uint32_t group)
{
	assert(group < EVIDENCE_GROUPS);
	e->closed_groups |= BIT(group);
}

bool evidence_due(const struct evidence *e, uint64_t now_ms, uint64_t batch_ms)
{
	return now_ms >= e->opened_ms + batch_ms || e->events >= EVIDENCE_MAX_EVENTS;
}

size_t evidence_close(
	struct evidence *e, uint64_t now_ms, uint32_t held, struct evidence_row rows[STREAM__COUNT])
{
	size_t n = 0;

	e->open[ARM_CANARY][STREAM_HELD] = held;
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		uint32_t xc = e->open[ARM_CANARY][s], xk = e->open[ARM_CONTROL][s];
		if (xc + xk == 0 && s != STREAM_ENTERED)
			continue;
		rows[n++] = (struct evidence_row){
			.batch = e->batch,
			.stream = s,
			.closed_ms = now_ms,
			.xc = xc,
			.xk = xk,
			.ec = e->frozen[ARM_CANARY][s],
			.ek = e->frozen[ARM_CONTROL][s],
		};
	}
	e->batch++;
	freeze(e, now_ms);
	return n;
}
