/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/hearing.h"

#include <string.h>

static uint32_t *slot(struct hearing *h, uint64_t number)
{
	return &h->lost_ms[number % HEARING_SLOTS];
}

/* Slots that time has passed over hold what was lost twelve days ago. */
static void pass(struct hearing *h, uint64_t now_ms)
{
	uint64_t from = h->tick_ms / HEARING_SLOT_MS, to = now_ms / HEARING_SLOT_MS;

	if (to - from >= HEARING_SLOTS)
		memset(h->lost_ms, 0, sizeof(h->lost_ms));
	for (uint64_t n = from + 1; to - from < HEARING_SLOTS && n <= to; n++)
		*slot(h, n) = 0;
}

/*
 * Who was told the longest may keep to it that long.  When that time is over all others were told
 * half of it or less, no later than now.
 */
static void hold(struct hearing *h, const struct hearing_tick *t)
{
	if (t->stretch < h->stretch && t->now_ms < h->stretch_ms)
		return;
	h->stretch = t->stretch >= h->stretch ? t->stretch : h->stretch - 1;
	h->stretch_ms = t->now_ms + (t->interval_ms << h->stretch);
}

void hearing_tick(struct hearing *h, const struct hearing_tick *t)
{
	uint64_t passed_ms = h->tick_ms != 0 && t->now_ms > h->tick_ms ? t->now_ms - h->tick_ms : 0;

	if (h->tick_ms != 0 && t->now_ms < h->tick_ms)
		return; /* the clock was set back */
	pass(h, t->now_ms);
	hold(h, t);
	if (passed_ms > HEARING_SLOT_MS)
		passed_ms = HEARING_SLOT_MS;
	if (!t->deaf)
		passed_ms -= passed_ms >> h->stretch;
	*slot(h, t->now_ms / HEARING_SLOT_MS) += (uint32_t)passed_ms;
	h->tick_ms = t->now_ms;
}

uint64_t hearing_window(const struct hearing *h, uint64_t window_ms, uint64_t now_ms)
{
	uint64_t newest = now_ms / HEARING_SLOT_MS, long_ms = now_ms % HEARING_SLOT_MS;
	uint64_t back_ms = 0, heard_ms = 0;

	if (now_ms < h->tick_ms || newest - h->tick_ms / HEARING_SLOT_MS >= HEARING_SLOTS)
		return window_ms;
	for (unsigned i = 0; i < HEARING_SLOTS && heard_ms < window_ms; i++) {
		uint64_t lost_ms = newest - i > h->tick_ms / HEARING_SLOT_MS
			? 0
			: h->lost_ms[(newest - i) % HEARING_SLOTS];
		if (lost_ms > long_ms)
			lost_ms = long_ms; /* the rest was of a slot that is over */
		/* In the last one, what was lost is taken to be the latest of it. */
		if (heard_ms + long_ms - lost_ms > window_ms)
			long_ms = window_ms - heard_ms + lost_ms;
		heard_ms += long_ms - lost_ms;
		back_ms += long_ms;
		long_ms = HEARING_SLOT_MS;
	}
	/* Beyond what is kept nothing was lost. */
	return back_ms + window_ms - heard_ms;
}
