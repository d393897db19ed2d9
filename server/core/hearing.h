/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far back one must listen to have given phones a chance to be heard.  While the server turns
 * connections away nobody is heard, and phones that were told twice the interval are heard half as
 * often: that time is lost, and is not counted against a device that was silent.  So is time in
 * which nobody ticked for twenty minutes: the process, or its machine, stood still.
 *
 * Kept in slots of ten minutes for twelve days, which is as long as devices are remembered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HEARING_SLOT_MS 600000ull
#define HEARING_SLOTS   1728u

/* All 0 at first. */
struct hearing {
	uint64_t tick_ms;    /* the last one; 0: none yet */
	unsigned stretch;    /* some phones still keep to so many doublings of the interval ... */
	uint64_t stretch_ms; /* ... until then */
	uint32_t lost_ms[HEARING_SLOTS]; /* by the slot's number modulo their count */
};

/* What was since the last one. */
struct hearing_tick {
	uint64_t now_ms;
	unsigned stretch;     /* doublings of the interval that phones were told, at most */
	uint64_t interval_ms; /* the interval, with its jitter */
	bool deaf;            /* connections were turned away unheard */
};

void hearing_tick(struct hearing *h, const struct hearing_tick *tick);
/* The time before `now_ms` that has `window_ms` in which phones could be heard. */
uint64_t hearing_window(const struct hearing *h, uint64_t window_ms, uint64_t now_ms);
