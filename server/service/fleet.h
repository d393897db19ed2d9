/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All devices in memory: what a poll needs to know of one, in at most 24 bytes however many there
 * are.
 *
 * Looking up and changing a device's word take no lock and are for any thread.  Adding and erasing
 * are for one thread at a time (the writer, or the start), and no device that is added makes the
 * thread wait longer than another.  A device is never moved while the table lives, so its word may be
 * kept; of one that was erased it says so.
 */
#pragma once

#include <stdatomic.h>

#include "proto/bytes.h"
#include "server/core/ring.h"

#define FLEET_SLOTS 8u /* stages a ring is followed in at one time */

struct fleet;
typedef _Atomic uint64_t fleet_word;

/* What the word holds; fleet_pack() and fleet_unpack() are the only ones to know how. */
struct fleet_device {
	uint16_t product; /* number in the store, below FLEET_ERASED */
	enum ring ring, wish;
	bool left;             /* consent withdrawn: in no arm */
	uint8_t failed_tag;    /* of the build that last failed here */
	uint8_t entered;       /* followed in these stages, a bit each slot */
	uint32_t enrolled_day; /* days since 1970, below 65 536 */
};

uint64_t fleet_pack(const struct fleet_device *d);
struct fleet_device fleet_unpack(uint64_t word);

/* Room for `expected` devices from the start; it grows, up to 2^28. */
struct fleet *fleet_new(uint64_t expected);
void fleet_free(struct fleet *f);

/* NULL when there is no such device. */
fleet_word *fleet_find(const struct fleet *f, const uint8_t id[ID_LEN]);
/*
 * Memory is slow: for who will ask for it in a microsecond or so, where to look; then, a microsecond
 * later, its word.
 */
void fleet_prefetch(const struct fleet *f, const uint8_t id[ID_LEN]);
void fleet_prefetch_word(const struct fleet *f, const uint8_t id[ID_LEN]);
/* False when the first half of the id is taken: draw another.  It may be one that was erased. */
bool fleet_add(struct fleet *f, const uint8_t id[ID_LEN], const struct fleet_device *d);
/* It is not found any more; false when there is no such device. */
bool fleet_erase(struct fleet *f, const uint8_t id[ID_LEN]);
uint64_t fleet_count(const struct fleet *f);
/* Of memory, for all of it. */
uint64_t fleet_bytes(const struct fleet *f);

/* The device was heard of.  Kept in 16 s, and in memory only. */
void fleet_hear(fleet_word *w, uint64_t now_ms);
/* It was, within the last `window_ms` (at most 12 days, beyond which it is not known). */
bool fleet_heard(uint64_t word, uint64_t window_ms, uint64_t now_ms);

/*
 * What a poll of a device that speaks another server's protocol must be answered by, besides: 16 bytes
 * more.  Erased with the device.
 */
struct fleet_foreign {
	uint8_t state;  /* enum foreign_state */
	bool wants;     /* see struct foreign */
	uint64_t runs;  /* of the hash of the build it runs, FLEET_RUNS */
	uint64_t token; /* the beginning of what is kept of its own; 0: it has none */
};
#define FLEET_RUNS 0xffffffffffffull
/* Any thread.  False: it is none of these. */
bool fleet_foreign_get(const struct fleet *f, const fleet_word *w, struct fleet_foreign *out);
/* For the thread that adds. */
void fleet_foreign_set(struct fleet *f, const fleet_word *w, const struct fleet_foreign *in);

/* Sets or clears the slot's bit; true when that changed it. */
bool fleet_enter(fleet_word *w, unsigned slot);
void fleet_leave(fleet_word *w, unsigned slot);
/* Replaces everything but when it was heard of and the entered bits in `keep`; not if erased. */
void fleet_update(fleet_word *w, const struct fleet_device *d, uint8_t keep);
bool fleet_is_erased(uint64_t word);
/* The table's; false when it was already. */
bool fleet_word_erase(fleet_word *w);
/* Clears the slot's bit in the devices of a ring whose product is in the set (a bit each). */
#define FLEET_PRODUCTS 2048u
#define FLEET_ERASED   2047u /* the product of a device that was erased */
struct fleet_products {
	uint64_t bits[FLEET_PRODUCTS / 64];
};
void fleet_clear_slot(
	struct fleet *f, unsigned slot, enum ring ring, const struct fleet_products *products);
