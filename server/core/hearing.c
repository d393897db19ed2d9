/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/hearing.h"

#include <string.h>

#define STILL_MS (2 * HEARING_SLOT_MS)

static uint32_t *slot(struct hearing *h, uint64_t number)
{
	return &h->lost_ms[number % HEARING_SLOTS];
}

/*
 * Slots that time has passed over hold what was lost twelve days ago.  When nobody ticked for
 * longer than any tick takes, the machine slept, or its clock was wrong: all of it is lost.
 */
static void pass(struct hearing *h, uint64_t now_ms)
{
	uint64_t from = h->tick_ms / HEARING_SLOT_MS, to = now_ms / HEARING_SLOT_MS;
	bool still = now_ms - h->tick_ms > STILL_MS;

	if (still)
		*slot(h, from) += (uint32_t)(HEARING_SLOT_MS - h->tick_ms % HEARING_SLOT_MS);
	if (to - from > HEARING_SLOTS)
		from = to - HEARING_SLOTS;
	for (uint64_t n = from + 1; n <= to; n++)
		*slot(h, n) = still && n < to ? (uint32_t)HEARING_SLOT_MS : 0;
}

/* The clock was set back: what was lost in a time that is still to come is forgotten. */
static void set_back(struct hearing *h, uint64_t now_ms)
{
	uint64_t low = now_ms / HEARING_SLOT_MS, high = h->tick_ms / HEARING_SLOT_MS;
	uint64_t by_ms = h->tick_ms - now_ms;

	if (high - low > HEARING_SLOTS)
		high = low + HEARING_SLOTS;
	for (uint64_t n = low + 1; n <= high; n++)
		*slot(h, n) = 0;
	h->stretch_ms -= by_ms < h->stretch_ms ? by_ms : h->stretch_ms;
	h->tick_ms = now_ms;
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

/* Of the newest slot, and of no more than one. */
static uint64_t lost_since(const struct hearing *h, const struct hearing_tick *t)
{
	uint64_t passed_ms = t->now_ms - h->tick_ms;

	if (passed_ms > STILL_MS)
		return t->now_ms % HEARING_SLOT_MS; /* the rest pass() saw */
	if (passed_ms > HEARING_SLOT_MS)
		passed_ms = HEARING_SLOT_MS;
	return t->deaf ? passed_ms : passed_ms - (passed_ms >> h->stretch);
}

void hearing_tick(struct hearing *h, const struct hearing_tick *t)
{
	if (h->tick_ms == 0)
		h->tick_ms = t->now_ms;
	if (t->now_ms < h->tick_ms)
		set_back(h, t->now_ms);
	pass(h, t->now_ms);
	hold(h, t);
	*slot(h, t->now_ms / HEARING_SLOT_MS) += (uint32_t)lost_since(h, t);
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
