/* SPDX-License-Identifier: Apache-2.0 */
/* The word of a device: what it holds, and changing it among others who do. */
#include "server/service/fleet.h"

#include <assert.h>

/* Bits of the word, from the lowest. */
#define ENTERED_BITS  8u
#define FAILED_AT     8u
#define PRODUCT_AT    16u
#define RING_AT       27u
#define WISH_AT       29u
#define LEFT_AT       31u
#define DAY_AT        32u
#define HEARD_AT      48u
#define HEARD_MASK    (0xffffull << HEARD_AT)
#define HEARD_MS      16000u
#define HEARD_LONGEST (12 * 86400000u / HEARD_MS + 1)
#define PRODUCT_MASK  (2047ull << PRODUCT_AT)
/*
 * Who took the word before the device was erased may still answer it: it is of stable, wishes for
 * nothing else and is in no arm.  All bits 0 would be a seat in core.
 */
#define ERASED                                                                                     \
	(PRODUCT_MASK | (uint64_t)RING_STABLE << RING_AT | (uint64_t)RING_STABLE << WISH_AT |      \
		1ull << LEFT_AT)

uint64_t fleet_pack(const struct fleet_device *d)
{
	assert(d->product < FLEET_ERASED && d->enrolled_day <= UINT16_MAX);
	return (uint64_t)d->entered | (uint64_t)d->failed_tag << FAILED_AT |
		(uint64_t)d->product << PRODUCT_AT | (uint64_t)d->ring << RING_AT |
		(uint64_t)d->wish << WISH_AT | (uint64_t)d->left << LEFT_AT |
		(uint64_t)d->enrolled_day << DAY_AT;
}

struct fleet_device fleet_unpack(uint64_t w)
{
	return (struct fleet_device){
		.entered = (uint8_t)w,
		.failed_tag = (uint8_t)(w >> FAILED_AT),
		.product = (uint16_t)(w >> PRODUCT_AT & 2047),
		.ring = (enum ring)(w >> RING_AT & 3),
		.wish = (enum ring)(w >> WISH_AT & 3),
		.left = w >> LEFT_AT & 1,
		.enrolled_day = (uint32_t)(w >> DAY_AT & UINT16_MAX),
	};
}

bool fleet_enter(fleet_word *w, unsigned slot)
{
	uint64_t bit = 1u << slot;

	return (atomic_fetch_or(w, bit) & bit) == 0;
}

void fleet_leave(fleet_word *w, unsigned slot)
{
	(void)atomic_fetch_and(w, ~(uint64_t)(1u << slot));
}

void fleet_update(fleet_word *w, const struct fleet_device *d, uint8_t keep)
{
	uint64_t next = fleet_pack(d) & ~(uint64_t)UINT8_MAX, old = atomic_load(w);

	while (!fleet_is_erased(old) &&
		!atomic_compare_exchange_weak(w, &old, next | (old & (keep | HEARD_MASK))))
		;
}

bool fleet_is_erased(uint64_t word)
{
	return (word & PRODUCT_MASK) == PRODUCT_MASK;
}

bool fleet_word_erase(fleet_word *w)
{
	return !fleet_is_erased(atomic_exchange(w, ERASED));
}

/* Never 0, which says that nothing was heard. */
static uint64_t heard_at(uint64_t now_ms)
{
	uint64_t t = now_ms / HEARD_MS & UINT16_MAX;

	return t == 0 ? 1 : t;
}

void fleet_hear(fleet_word *w, uint64_t now_ms)
{
	uint64_t old = atomic_load_explicit(w, memory_order_relaxed), at = heard_at(now_ms);

	while (old >> HEARD_AT != at &&
		!atomic_compare_exchange_weak(w, &old, (old & ~HEARD_MASK) | at << HEARD_AT))
		;
}

bool fleet_heard(uint64_t word, uint64_t window_ms, uint64_t now_ms)
{
	uint64_t heard = word >> HEARD_AT, ago = (heard_at(now_ms) - heard) & UINT16_MAX;

	if (ago > HEARD_LONGEST)
		ago = 0; /* not longer ago, but to come: the clock was set back */
	return heard != 0 && ago * HEARD_MS <= window_ms + HEARD_MS;
}
