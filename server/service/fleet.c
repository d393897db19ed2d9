/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/fleet.h"

#include <assert.h>

#include "proto/crypto.h"
#include "server/base/mem.h"
#include "server/base/region.h"

/* Ids are random, so their first half identifies them: 170 million collide once in a thousand. */
struct device_entry {
	uint64_t half;
	fleet_word word;
};

/* Beside an entry of the same number. */
struct foreign_entry {
	_Atomic uint64_t word; /* 0: it is none of these */
	_Atomic uint64_t token;
};

/* Bits of that word, above the build. */
#define STATE_AT 48u
#define WANTS_AT 51u
#define KNOWN_AT 52u

/* A slot of the index: the device's number, one more; above it some bits of its hash. */
#define NUMBER_BITS 28u
#define NUMBER_MAX  ((1u << NUMBER_BITS) - 1)

#define SLOTS_MIN 8192u
#define SLOTS_MAX (1ull << 30)
#define LAYOUTS   64u /* 8192 slots, and a quarter more each time, reach 2^30 after 53 */
/*
 * No device is ever so many slots from its place.  Of 2^28 devices in an index that is full to 4/5
 * one will be, once in 10^12 servers.
 */
#define GAP    2048u
#define STRIDE 32u /* slots that a growing index is moved by with each device that is added */

/*
 * The index is open addressing in one array, in order of hash: the place of a hash is its share of
 * the layout's `size`, behind `base`.  It grows by sliding: each layout begins a gap behind where the
 * one before began, and is a quarter larger, so every place moves up and, from the end down, devices
 * move one cluster after the other into slots that are free by then.  What was left goes back to the
 * system.  So there are never two indexes, and nobody ever waits for one to be made.
 *
 * `state` says how far it is: hashes from its boundary on are in the next layout, those below in
 * this.  It never has the same value twice.  Devices are copied up first (released), then the new
 * state is stored, then the old slots are cleared (released).  Who finds its device is right in any
 * case: the entry itself says whose it is, and is never changed.  Who finds none may have looked
 * where a slot was cleared meanwhile; having acquired that 0 it also sees the state that was stored
 * before, which is another one than it began with, and looks again.
 */
struct layout {
	uint64_t base, size;
};
#define STATE(layout, boundary) ((uint64_t)(boundary) << 8 | (layout))
#define BOUNDARY_END            (1ull << 32) /* above all hashes */

struct fleet {
	struct region entries, slots, foreigners;
	struct device_entry *entry;
	struct foreign_entry *foreign;
	_Atomic uint64_t n_foreign; /* of them that are open */
	_Atomic uint32_t *slot;
	struct layout layout[LAYOUTS];
	_Atomic uint64_t state;
	_Atomic uint64_t added, erased, bytes;
	uint64_t seed;
	/* Of the thread that adds. */
	bool growing;
	uint64_t top; /* first slot of those that were moved */
};

/* Nobody who names devices can know which of them lie together. */
static uint64_t hash_of(const struct fleet *f, uint64_t half)
{
	uint64_t h = half ^ f->seed;

	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

/* The regions are for the thread that adds alone. */
static void weigh(struct fleet *f)
{
	atomic_store(&f->bytes,
		sizeof(*f) + region_bytes(&f->entries) + region_bytes(&f->slots) +
			region_bytes(&f->foreigners));
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)hash << NUMBER_BITS;
}

static bool is_tagged(uint32_t s, uint64_t hash)
{
	return ((s ^ tag_of(hash)) & ~NUMBER_MAX) == 0;
}

static uint64_t place_in(const struct layout *l, uint64_t hash)
{
	return l->base + ((hash >> 32) * l->size >> 32);
}

static uint64_t place_of(const struct fleet *f, uint64_t hash, uint64_t state)
{
	const struct layout *l = &f->layout[state & 255];

	return place_in(hash >> 32 >= state >> 8 ? l + 1 : l, hash);
}

struct fleet *fleet_new(uint64_t expected)
{
	struct fleet *f = mem_zalloc(sizeof(*f));
	struct layout *l = &f->layout[0];
	int err = crypto_random(&f->seed, sizeof(f->seed));

	assert(err == 0 && expected < NUMBER_MAX);
	region_init(&f->entries, (size_t)NUMBER_MAX * sizeof(struct device_entry));
	region_init(&f->slots, (size_t)SLOTS_MAX * sizeof(*f->slot));
	region_init(&f->foreigners, (size_t)NUMBER_MAX * sizeof(*f->foreign));
	f->entry = (struct device_entry *)(void *)f->entries.base;
	f->foreign = (struct foreign_entry *)(void *)f->foreigners.base;
	f->slot = (_Atomic uint32_t *)(void *)f->slots.base;
	l->size = expected + expected / 3 + 1;
	if (l->size < SLOTS_MIN)
		l->size = SLOTS_MIN;
	region_reach(&f->slots, (size_t)(l->size + GAP) * sizeof(*f->slot));
	region_reach(&f->entries, (size_t)expected * sizeof(struct device_entry));
	atomic_init(&f->state, STATE(0, BOUNDARY_END));
	weigh(f);
	return f;
}

void fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	region_release(&f->entries);
	region_release(&f->slots);
	region_release(&f->foreigners);
	free(f);
}

uint64_t fleet_count(const struct fleet *f)
{
	return atomic_load(&f->added) - atomic_load(&f->erased);
}

uint64_t fleet_bytes(const struct fleet *f)
{
	return atomic_load(&f->bytes);
}

static struct device_entry *look(const struct fleet *f, uint64_t half, uint64_t state)
{
	uint64_t hash = hash_of(f, half);
	const _Atomic uint32_t *slot = f->slot + place_of(f, hash, state);

	for (unsigned i = 0; i < GAP; i++) {
		uint32_t s = atomic_load_explicit(&slot[i], memory_order_acquire);
		if (s == 0)
			return NULL;
		if (!is_tagged(s, hash))
			continue;
		struct device_entry *e = &f->entry[(s & NUMBER_MAX) - 1];
		if (e->half == half)
			return e;
	}
	return NULL; /* a layout that is long gone */
}

static struct device_entry *find(const struct fleet *f, uint64_t half)
{
	uint64_t state = atomic_load_explicit(&f->state, memory_order_acquire), seen;
	struct device_entry *e;

	for (;; state = seen) {
		e = look(f, half, state);
		if (e != NULL)
			return e;
		seen = atomic_load_explicit(&f->state, memory_order_acquire);
		if (seen == state)
			return NULL;
	}
}

void fleet_prefetch(const struct fleet *f, const uint8_t id[ID_LEN])
{
	uint64_t state = atomic_load_explicit(&f->state, memory_order_acquire);
	uint64_t at = place_of(f, hash_of(f, get_be64(id)), state);

	__builtin_prefetch(f->slots.base + at * sizeof(*f->slot));
}

void fleet_prefetch_word(const struct fleet *f, const uint8_t id[ID_LEN])
{
	uint64_t state = atomic_load_explicit(&f->state, memory_order_acquire);
	uint64_t hash = hash_of(f, get_be64(id));
	const _Atomic uint32_t *slot = f->slot + place_of(f, hash, state);
	uint32_t s;

	for (; (s = atomic_load_explicit(slot, memory_order_acquire)) != 0; slot++)
		if (is_tagged(s, hash)) {
			/* Another's, now and then: then it was for nothing. */
			s = (s & NUMBER_MAX) - 1;
			__builtin_prefetch(&f->entry[s]);
			if (s < atomic_load_explicit(&f->n_foreign, memory_order_relaxed))
				__builtin_prefetch(&f->foreign[s]);
			return;
		}
}

fleet_word *fleet_find(const struct fleet *f, const uint8_t id[ID_LEN])
{
	struct device_entry *e = find(f, get_be64(id));

	return e == NULL || fleet_is_erased(atomic_load(&e->word)) ? NULL : &e->word;
}

static uint64_t number_of(const struct fleet *f, const fleet_word *w)
{
	return ((uintptr_t)w - (uintptr_t)f->entries.base) / sizeof(struct device_entry);
}

bool fleet_foreign_get(const struct fleet *f, const fleet_word *w, struct fleet_foreign *out)
{
	uint64_t n = number_of(f, w), word;

	if (n >= atomic_load_explicit(&f->n_foreign, memory_order_acquire))
		return false;
	word = atomic_load_explicit(&f->foreign[n].word, memory_order_acquire);
	*out = (struct fleet_foreign){
		.state = word >> STATE_AT & 7,
		.wants = word >> WANTS_AT & 1,
		.runs = word & FLEET_RUNS,
		.token = atomic_load_explicit(&f->foreign[n].token, memory_order_relaxed),
	};
	return word != 0;
}

/* ---- by the one thread that adds ---- */

void fleet_foreign_set(struct fleet *f, const fleet_word *w, const struct fleet_foreign *in)
{
	uint64_t n = number_of(f, w), all = atomic_load(&f->added);

	if (n >= atomic_load(&f->n_foreign)) {
		/* At the start, for all at once: then in large pages. */
		region_reach(&f->foreigners, (size_t)all * sizeof(*f->foreign));
		atomic_store(&f->n_foreign, all);
		weigh(f);
	}
	atomic_store(&f->foreign[n].token, in->token);
	atomic_store(&f->foreign[n].word,
		(in->runs & FLEET_RUNS) | (uint64_t)(in->state & 7) << STATE_AT |
			(uint64_t)in->wants << WANTS_AT | 1ull << KNOWN_AT);
}

static void forget_foreign(struct fleet *f, uint64_t n)
{
	if (n >= atomic_load(&f->n_foreign))
		return;
	atomic_store(&f->foreign[n].word, 0);
	atomic_store(&f->foreign[n].token, 0);
}

static void put_slot(_Atomic uint32_t *place, uint32_t s)
{
	unsigned i = 0;

	while (atomic_load_explicit(&place[i], memory_order_relaxed) != 0)
		i++;
	assert(i < GAP);
	atomic_store_explicit(&place[i], s, memory_order_release);
}

static bool is_empty(const struct fleet *f, uint64_t at)
{
	return atomic_load_explicit(&f->slot[at], memory_order_relaxed) == 0;
}

/* Copies the slots [begin, end) into the next layout. */
static void copy_up(struct fleet *f, const struct layout *next, uint64_t begin, uint64_t end)
{
	for (uint64_t i = begin; i < end; i++)
		if (!is_empty(f, i))
			__builtin_prefetch(&f->entry[(f->slot[i] & NUMBER_MAX) - 1]);
	for (uint64_t i = begin; i < end; i++) {
		uint32_t s = atomic_load_explicit(&f->slot[i], memory_order_relaxed);
		if (s == 0)
			continue;
		uint64_t hash = hash_of(f, f->entry[(s & NUMBER_MAX) - 1].half);
		put_slot(f->slot + place_in(next, hash), s);
	}
}

/* Moves whole clusters, the last that were not: nobody's place is in the one and slot in another. */
static void slide(struct fleet *f)
{
	uint64_t k = atomic_load_explicit(&f->state, memory_order_relaxed) & 255, boundary;
	const struct layout *l = &f->layout[k];
	uint64_t begin = f->top, end = f->top;

	while (!is_empty(f, end))
		end++; /* added since, and pushed up from below */
	while (begin > l->base && (f->top - begin < STRIDE || !is_empty(f, begin - 1)))
		begin--;
	assert(end - begin < GAP);
	copy_up(f, l + 1, begin, end);
	/* The lowest hash whose place is at `begin` or behind. */
	boundary = (((begin - l->base) << 32) + l->size - 1) / l->size;
	f->growing = begin > l->base;
	atomic_store_explicit(&f->state,
		f->growing ? STATE(k, boundary) : STATE(k + 1, BOUNDARY_END), memory_order_release);
	for (uint64_t i = begin; i < end; i++)
		atomic_store_explicit(&f->slot[i], 0, memory_order_release);
	f->top = begin;
	if (!f->growing)
		region_give_back(&f->slots, (size_t)l->base * sizeof(*f->slot),
			(size_t)l[1].base * sizeof(*f->slot));
}

/* 3/4 full; before it is 4/5 full the last has moved. */
static void grow(struct fleet *f)
{
	uint64_t k = atomic_load_explicit(&f->state, memory_order_relaxed) & 255;
	const struct layout *l = &f->layout[k];

	if (atomic_load(&f->added) * 4 <= l->size * 3)
		return;
	assert(k + 1 < LAYOUTS);
	f->layout[k + 1] = (struct layout){ l->base + GAP, l->size + l->size / 4 };
	region_reach(&f->slots, (size_t)(l[1].base + l[1].size + GAP) * sizeof(*f->slot));
	f->growing = true;
	f->top = l->base + l->size;
}

/* One that was erased comes again. */
static bool come_again(struct fleet *f, struct device_entry *e, const struct fleet_device *d)
{
	if (!fleet_is_erased(atomic_load(&e->word)))
		return false;
	atomic_store(&e->word, fleet_pack(d));
	atomic_fetch_sub(&f->erased, 1);
	return true;
}

bool fleet_add(struct fleet *f, const uint8_t id[ID_LEN], const struct fleet_device *d)
{
	uint64_t half = get_be64(id), hash = hash_of(f, half), n = atomic_load(&f->added);
	struct device_entry *e = find(f, half);

	if (e != NULL)
		return come_again(f, e, d);
	assert(n + 1 < NUMBER_MAX);
	region_reach(&f->entries, (size_t)(n + 1) * sizeof(*e));
	e = &f->entry[n];
	e->half = half;
	atomic_init(&e->word, fleet_pack(d));
	atomic_store(&f->added, n + 1);
	/* Readers see the number only after what it stands for. */
	put_slot(f->slot + place_of(f, hash, atomic_load_explicit(&f->state, memory_order_relaxed)),
		tag_of(hash) | (uint32_t)(n + 1));
	if (f->growing)
		slide(f);
	else
		grow(f);
	weigh(f);
	return true;
}

bool fleet_erase(struct fleet *f, const uint8_t id[ID_LEN])
{
	struct device_entry *e = find(f, get_be64(id));

	if (e == NULL || !fleet_word_erase(&e->word))
		return false;
	forget_foreign(f, number_of(f, &e->word));
	atomic_fetch_add(&f->erased, 1);
	return true;
}

void fleet_clear_slot(
	struct fleet *f, unsigned slot, enum ring ring, const struct fleet_products *products)
{
	uint64_t n = atomic_load(&f->added);

	for (uint64_t i = 0; i < n; i++) {
		fleet_word *w = &f->entry[i].word;
		struct fleet_device d = fleet_unpack(atomic_load(w));
		if (d.ring == ring && products->bits[d.product / 64] >> d.product % 64 & 1)
			fleet_leave(w, slot);
	}
}
