/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/fleet.h"

#include <assert.h>

#include "server/base/mem.h"

#define CHUNK_BITS 16u
#define CHUNK      (1u << CHUNK_BITS)
#define CHUNKS_MAX (1u << 16)

/* Bits of the word, from the lowest. */
#define ENTERED_BITS 8u
#define FAILED_AT    8u
#define PRODUCT_AT   16u
#define RING_AT      27u
#define WISH_AT      29u
#define LEFT_AT      31u
#define DAY_AT       32u
#define HEARD_AT     48u
#define HEARD_MASK   (0xffffull << HEARD_AT)
#define HEARD_MS     16000u

/* Ids are random, so their first half identifies them: 170 million collide once in a thousand. */
struct device_entry {
	uint64_t half;
	fleet_word word;
};

/*
 * Open addressing over numbers of devices, 0 for empty.  A grown index replaces the old one, which
 * a reader may still be in and which is kept until the end: all of them together are as large as
 * the last.
 */
struct index {
	struct index *older;
	uint64_t mask;
	_Atomic uint32_t slot[];
};

struct fleet {
	_Atomic(struct index *) index;
	_Atomic uint64_t count;
	struct device_entry *chunk[CHUNKS_MAX];
};

uint64_t fleet_pack(const struct fleet_device *d)
{
	assert(d->product < FLEET_PRODUCTS && d->enrolled_day <= UINT16_MAX);
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

static struct index *index_new(uint64_t slots, struct index *older)
{
	struct index *x = mem_zalloc(sizeof(*x) + (size_t)slots * sizeof(x->slot[0]));

	x->mask = slots - 1;
	x->older = older;
	return x;
}

/* At most 2/3 full: 6 bytes of index a device at the worst, 16 in the chunk. */
static bool is_full(uint64_t count, const struct index *x)
{
	return (count + 1) * 3 > (x->mask + 1) * 2;
}

struct fleet *fleet_new(uint64_t expected)
{
	struct fleet *f = mem_zalloc(sizeof(*f));
	uint64_t slots = 1024;

	while (expected * 3 > slots * 2)
		slots *= 2;
	atomic_store(&f->index, index_new(slots, NULL));
	return f;
}

void fleet_free(struct fleet *f)
{
	struct index *x, *older;

	if (f == NULL)
		return;
	for (x = atomic_load(&f->index); x != NULL; x = older) {
		older = x->older;
		free(x);
	}
	for (unsigned c = 0; c < CHUNKS_MAX && f->chunk[c] != NULL; c++)
		free(f->chunk[c]);
	free(f);
}

uint64_t fleet_count(const struct fleet *f)
{
	return atomic_load(&f->count);
}

static struct device_entry *device_at(const struct fleet *f, uint32_t number)
{
	return &f->chunk[number >> CHUNK_BITS][number & (CHUNK - 1)];
}

/* The slot of `half`, or the empty one where it belongs. */
static _Atomic uint32_t *probe(
	const struct fleet *f, struct index *x, uint64_t half, struct device_entry **found)
{
	for (uint64_t i = half;; i++) {
		_Atomic uint32_t *slot = &x->slot[i & x->mask];
		uint32_t number = atomic_load_explicit(slot, memory_order_acquire);
		*found = number == 0 ? NULL : device_at(f, number - 1);
		if (*found == NULL || (*found)->half == half)
			return slot;
	}
}

fleet_word *fleet_find(const struct fleet *f, const uint8_t id[ID_LEN])
{
	struct index *x = atomic_load_explicit(&f->index, memory_order_acquire);
	struct device_entry *d;

	(void)probe(f, x, get_be64(id), &d);
	return d == NULL ? NULL : &d->word;
}

static void grow(struct fleet *f)
{
	struct index *old = atomic_load(&f->index), *x;
	struct device_entry *unused;
	uint64_t n = fleet_count(f);

	x = index_new((old->mask + 1) * 2, old);
	for (uint32_t i = 0; i < n; i++)
		atomic_store_explicit(
			probe(f, x, device_at(f, i)->half, &unused), i + 1, memory_order_relaxed);
	atomic_store_explicit(&f->index, x, memory_order_release);
}

bool fleet_add(struct fleet *f, const uint8_t id[ID_LEN], const struct fleet_device *d)
{
	uint64_t n = fleet_count(f);
	struct device_entry *e;
	_Atomic uint32_t *slot;

	assert(n < UINT32_MAX - 1);
	if (is_full(n, atomic_load(&f->index)))
		grow(f);
	slot = probe(f, atomic_load(&f->index), get_be64(id), &e);
	if (e != NULL)
		return false;
	if (f->chunk[n >> CHUNK_BITS] == NULL)
		f->chunk[n >> CHUNK_BITS] = mem_alloc(CHUNK * sizeof(*e));
	e = device_at(f, (uint32_t)n);
	e->half = get_be64(id);
	atomic_init(&e->word, fleet_pack(d));
	atomic_store(&f->count, n + 1);
	/* Readers see the number only after what it stands for. */
	atomic_store_explicit(slot, (uint32_t)n + 1, memory_order_release);
	return true;
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

	while (!atomic_compare_exchange_weak(w, &old, next | (old & (keep | HEARD_MASK))))
		;
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

	return heard != 0 && ago * HEARD_MS <= window_ms + HEARD_MS;
}

void fleet_clear_slot(
	struct fleet *f, unsigned slot, enum ring ring, const struct fleet_products *products)
{
	uint64_t n = fleet_count(f);

	for (uint32_t i = 0; i < n; i++) {
		fleet_word *w = &device_at(f, i)->word;
		struct fleet_device d = fleet_unpack(atomic_load(w));
		if (d.ring == ring && products->bits[d.product / 64] >> d.product % 64 & 1)
			fleet_leave(w, slot);
	}
}
