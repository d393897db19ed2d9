/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "rng.h"
#include "server/service/fleet.h"

#define MANY 150000u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#	define WATCHED true
#else
#	define WATCHED false
#endif

/* The id of the device numbered i: all different, in no order. */
static const uint8_t *id_of(uint64_t i, uint8_t id[ID_LEN])
{
	struct rng r = { i };

	put_be64(id, rng_u64(&r));
	put_be64(id + 8, rng_u64(&r));
	return id;
}

static struct fleet_device device_of(uint64_t i)
{
	return (struct fleet_device){ .product = (uint16_t)(i % FLEET_ERASED),
		.ring = (enum ring)(i % 4),
		.wish = (enum ring)(i / 4 % 4),
		.left = i % 7 == 0,
		.failed_tag = (uint8_t)(i % 251),
		.enrolled_day = (uint32_t)(i % 65536) };
}

static void check_same(const struct fleet_device *a, const struct fleet_device *b)
{
	assert_int_equal(a->product, b->product);
	assert_int_equal(a->ring, b->ring);
	assert_int_equal(a->wish, b->wish);
	assert_int_equal(a->left, b->left);
	assert_int_equal(a->failed_tag, b->failed_tag);
	assert_int_equal(a->entered, b->entered);
	assert_int_equal(a->enrolled_day, b->enrolled_day);
}

static void check_word(uint64_t word, const struct fleet_device *want)
{
	struct fleet_device have = fleet_unpack(word);

	check_same(&have, want);
}

static void test_pack(void **state)
{
	static const struct fleet_device edges[] = {
		{ .product = 0 },
		{ .product = 2046 },
		{ .ring = RING_STABLE },
		{ .wish = RING_STABLE },
		{ .left = true },
		{ .failed_tag = 255 },
		{ .entered = 255 },
		{ .enrolled_day = 65535 },
		{ 2046, RING_STABLE, RING_STABLE, true, 255, 255, 65535 },
	};
	struct rng r = { 28 };

	(void)state;
	for (size_t i = 0; i < COUNT(edges); i++)
		check_word(fleet_pack(&edges[i]), &edges[i]);
	for (unsigned i = 0; i < 10000; i++) {
		struct fleet_device d = device_of(rng_u64(&r));
		d.entered = (uint8_t)rng_u64(&r);
		check_word(fleet_pack(&d), &d);
	}
}

static void test_add_and_find(void **state)
{
	static fleet_word *word[MANY];
	struct fleet *f = fleet_new(0);
	uint8_t id[ID_LEN];

	(void)state;
	assert_null(fleet_find(f, id_of(0, id)));
	for (uint64_t i = 0; i < MANY; i++) {
		struct fleet_device d = device_of(i);
		assert_true(fleet_add(f, id_of(i, id), &d));
		assert_int_equal(fleet_count(f), i + 1);
		word[i] = fleet_find(f, id);
		assert_non_null(word[i]);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		struct fleet_device d = device_of(i);
		/* Where it was when it was added, however often the table has grown. */
		assert_ptr_equal(fleet_find(f, id_of(i, id)), word[i]);
		check_word(atomic_load(word[i]), &d);
		assert_null(fleet_find(f, id_of(MANY + i, id)));
	}
	fleet_free(f);
	fleet_free(NULL);
}

/* Ids with a common first half are one to this table: the second is refused, not mixed
 * up. */
static void test_half_taken(void **state)
{
	struct fleet *f = fleet_new(10);
	struct fleet_device a = device_of(1), b = device_of(2);
	uint8_t id[ID_LEN];

	(void)state;
	assert_true(fleet_add(f, id_of(1, id), &a));
	assert_false(fleet_add(f, id, &b));
	id[ID_LEN - 1] ^= 1;
	assert_false(fleet_add(f, id, &b));
	assert_int_equal(fleet_count(f), 1);
	check_word(atomic_load(fleet_find(f, id)), &a);
	/* All zero, and all one, are ids like others. */
	memset(id, 0, sizeof(id));
	assert_true(fleet_add(f, id, &b));
	assert_non_null(fleet_find(f, id));
	memset(id, 0xff, sizeof(id));
	assert_true(fleet_add(f, id, &b));
	assert_non_null(fleet_find(f, id));
	fleet_free(f);
}

/* Whoever chose the ids, they do not lie together. */
static void test_patterns(void **state)
{
	static const struct {
		unsigned shift;
		uint64_t low;
	} row[] = { { 0, 0 }, { 8, 7 }, { 32, 1020 }, { 45, 1 } };

	(void)state;
	for (size_t r = 0; r < sizeof(row) / sizeof(row[0]); r++) {
		struct fleet *f = fleet_new(10);
		uint8_t id[ID_LEN] = { 0 };
		for (uint64_t i = 0; i < MANY; i++) {
			struct fleet_device d = device_of(i);
			put_be64(id, i << row[r].shift | row[r].low);
			assert_true(fleet_add(f, id, &d));
		}
		for (uint64_t i = 0; i < MANY; i++) {
			struct fleet_device d = device_of(i);
			put_be64(id, i << row[r].shift | row[r].low);
			check_word(atomic_load(fleet_find(f, id)), &d);
			put_be64(id, (MANY + i) << row[r].shift | row[r].low);
			assert_null(fleet_find(f, id));
		}
		fleet_free(f);
	}
}

static void test_erase(void **state)
{
	struct fleet *f = fleet_new(0);
	struct fleet_device d = device_of(1), next = device_of(54321);
	struct fleet_products all;
	uint8_t id[ID_LEN];
	fleet_word *w;
	uint64_t bytes;

	(void)state;
	memset(&all, 0xff, sizeof(all));
	assert_false(fleet_erase(f, id_of(1, id)));
	for (uint64_t i = 0; i < 5000; i++)
		assert_true(fleet_add(f, id_of(i, id), &d));
	w = fleet_find(f, id_of(1, id));
	bytes = fleet_bytes(f);
	assert_true(fleet_erase(f, id));
	assert_false(fleet_erase(f, id));
	assert_null(fleet_find(f, id));
	assert_int_equal(fleet_count(f), 4999);
	/* Who still holds the word sees nobody who has a seat, waits for one or is in an arm. */
	struct fleet_device gone = fleet_unpack(atomic_load(w));
	assert_int_equal(gone.ring, RING_STABLE);
	assert_int_equal(gone.wish, RING_STABLE);
	assert_true(gone.left);
	/* And brings nobody back. */
	fleet_update(w, &d, UINT8_MAX);
	fleet_hear(w, 1000000);
	(void)fleet_enter(w, 3);
	fleet_clear_slot(f, 3, RING_STABLE, &all);
	assert_true(fleet_is_erased(atomic_load(w)));
	assert_null(fleet_find(f, id));
	for (uint64_t i = 2; i < 5000; i++)
		assert_non_null(fleet_find(f, id_of(i, id)));
	/* The same half again, and nothing of before. */
	assert_true(fleet_add(f, id_of(1, id), &next));
	assert_false(fleet_add(f, id, &next));
	assert_int_equal(fleet_count(f), 5000);
	check_word(atomic_load(fleet_find(f, id)), &next);
	assert_false(fleet_heard(atomic_load(fleet_find(f, id)), 1000000, 1000000));
	assert_true(fleet_bytes(f) == bytes);
	/* Erased ones are still known for what they are when the table has grown. */
	assert_true(fleet_erase(f, id));
	for (uint64_t i = 5000; i < MANY; i++)
		assert_true(fleet_add(f, id_of(i, id), &d));
	assert_null(fleet_find(f, id_of(1, id)));
	assert_int_equal(fleet_count(f), MANY - 1);
	fleet_free(f);
}

static void test_enter_and_leave(void **state)
{
	struct fleet_device d = device_of(12345);
	fleet_word w = fleet_pack(&d);

	(void)state;
	for (unsigned slot = 0; slot < FLEET_SLOTS; slot++) {
		assert_true(fleet_enter(&w, slot));
		assert_false(fleet_enter(&w, slot));
		d.entered |= (uint8_t)(1u << slot);
		check_word(atomic_load(&w), &d);
	}
	fleet_leave(&w, 3);
	fleet_leave(&w, 3);
	d.entered &= (uint8_t)~8u;
	check_word(atomic_load(&w), &d);
	assert_true(fleet_enter(&w, 3));
}

static void test_update(void **state)
{
	static const struct {
		uint8_t before, keep, after;
	} row[] = { { 0xff, 0xff, 0xff }, { 0xff, 0, 0 }, { 0xa5, 0xf0, 0xa0 }, { 0, 0xff, 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct fleet_device d = device_of(1), next = device_of(54321);
		fleet_word w;
		d.entered = row[i].before;
		atomic_init(&w, fleet_pack(&d));
		/* What it says itself of its arms does not count. */
		next.entered = 0x5a;
		fleet_update(&w, &next, row[i].keep);
		next.entered = row[i].after;
		check_word(atomic_load(&w), &next);
	}
}

static void test_clear_slot(void **state)
{
	struct fleet *f = fleet_new(0);
	struct fleet_products products = { { 0 } };
	uint8_t id[ID_LEN];

	(void)state;
	products.bits[0] = 1u << 5;
	products.bits[2046 / 64] |= 1ull << 2046 % 64;
	for (uint64_t i = 0; i < 20000; i++) {
		struct fleet_device d = device_of(i);
		d.entered = 0x0c;
		assert_true(fleet_add(f, id_of(i, id), &d));
	}
	fleet_clear_slot(f, 2, RING_HONOUR, &products);
	for (uint64_t i = 0; i < 20000; i++) {
		struct fleet_device d = device_of(i);
		bool cleared = d.ring == RING_HONOUR && (d.product == 5 || d.product == 2046);
		d.entered = cleared ? 0x08 : 0x0c;
		check_word(atomic_load(fleet_find(f, id_of(i, id))), &d);
	}
	fleet_free(f);
}

#define READERS 4

struct reader {
	pthread_t thread;
	struct fleet *fleet;
	const _Atomic uint64_t *added; /* devices that are there */
	unsigned slot;
	uint64_t lost, wrong; /* not found; not what was added */
	uint8_t in[MANY];     /* whether the device is in its slot */
};

/* Finds, enters and leaves, each in a slot of its own; the last also updates. */
static void *read_all(void *arg)
{
	struct reader *me = arg;
	struct rng r = { me->slot };
	uint64_t n = 0;

	while (n < MANY) {
		uint8_t id[ID_LEN];
		uint64_t i;
		fleet_word *w;
		struct fleet_device d;
		n = atomic_load(me->added);
		if (n == 0)
			continue;
		i = rng_below(&r, n);
		w = fleet_find(me->fleet, id_of(i, id));
		if (w == NULL) {
			me->lost++;
			continue;
		}
		d = fleet_unpack(atomic_load(w));
		me->wrong += d.product != i % FLEET_ERASED;
		me->wrong += (d.entered >> me->slot & 1) != me->in[i];
		if (me->in[i])
			fleet_leave(w, me->slot);
		else
			me->wrong += !fleet_enter(w, me->slot);
		me->in[i] ^= 1;
		if (me->slot == READERS - 1) {
			d = device_of(i);
			d.failed_tag = 77;
			fleet_update(w, &d, UINT8_MAX);
		}
	}
	return NULL;
}

/* One adds, four use what is there: nothing is lost while the table grows under them.
 */
static void test_threads(void **state)
{
	static struct reader reader[READERS];
	struct fleet *f = fleet_new(0);
	_Atomic uint64_t added = 0;
	uint8_t id[ID_LEN];

	(void)state;
	for (unsigned t = 0; t < READERS; t++) {
		reader[t].fleet = f;
		reader[t].added = &added;
		reader[t].slot = t;
		assert_int_equal(pthread_create(&reader[t].thread, NULL, read_all, &reader[t]), 0);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		struct fleet_device d = device_of(i);
		assert_true(fleet_add(f, id_of(i, id), &d));
		atomic_store(&added, i + 1);
	}
	for (unsigned t = 0; t < READERS; t++) {
		assert_int_equal(pthread_join(reader[t].thread, NULL), 0);
		assert_int_equal(reader[t].lost, 0);
		assert_int_equal(reader[t].wrong, 0);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		struct fleet_device d = fleet_unpack(atomic_load(fleet_find(f, id_of(i, id))));
		for (unsigned t = 0; t < READERS; t++)
			assert_int_equal(d.entered >> t & 1, reader[t].in[i]);
		assert_int_equal(d.entered >> READERS, 0);
		assert_int_equal(d.product, i % FLEET_ERASED);
	}
	fleet_free(f);
}

#define TURNS 200000u

struct turner {
	pthread_t thread;
	fleet_word *word;
	unsigned slot;
	unsigned wrong;
	bool in;
};

static void *turn_many(void *arg)
{
	struct turner *me = arg;

	for (unsigned i = 0; i < TURNS; i++) {
		me->wrong += (atomic_load(me->word) >> me->slot & 1) != me->in;
		if (me->in)
			fleet_leave(me->word, me->slot);
		else
			me->wrong += !fleet_enter(me->word, me->slot);
		me->in = !me->in;
	}
	return NULL;
}

/* One device, all at once: an update in between takes nobody's bit away. */
static void test_one_word(void **state)
{
	struct fleet_device d = device_of(1);
	struct turner turner[READERS] = { 0 };
	fleet_word w = fleet_pack(&d);

	(void)state;
	for (unsigned t = 0; t < READERS; t++) {
		turner[t].word = &w;
		turner[t].slot = 2 * t;
		assert_int_equal(pthread_create(&turner[t].thread, NULL, turn_many, &turner[t]), 0);
	}
	for (unsigned i = 0; i < TURNS; i++) {
		d.failed_tag = (uint8_t)i;
		fleet_update(&w, &d, UINT8_MAX);
	}
	for (unsigned t = 0; t < READERS; t++) {
		assert_int_equal(pthread_join(turner[t].thread, NULL), 0);
		assert_int_equal(turner[t].wrong, 0);
	}
	check_word(atomic_load(&w), &d);
}

#define WEIGHED 1000000u

/* The most bytes a device while the table grows from `from` devices on, and an MB beyond that. */
static double most_a_device(uint64_t expected, uint64_t from, uint64_t to)
{
	struct fleet *f = fleet_new(expected);
	double most = 0;
	uint8_t id[ID_LEN];

	for (uint64_t i = 0; i < to; i++) {
		struct fleet_device d = device_of(i);
		assert_true(fleet_add(f, id_of(i, id), &d));
		double now = (double)fleet_bytes(f) / (double)(i + 1);
		if (i + 1 >= from && now > most)
			most = now;
	}
	fleet_free(f);
	return most;
}

/* At every size, in the middle of growing too. */
static void test_bytes(void **state)
{
	double grown = most_a_device(0, 20000, WEIGHED);

	(void)state;
	print_message("# bytes a device, the most from 20 000 to a million: %.2f\n", grown);
	assert_true(grown <= 24);
	assert_true(most_a_device(0, 1000, 20000) <= 24 + 48);
	for (uint64_t n = 20000; n <= WEIGHED; n *= 7)
		assert_true(most_a_device(n, n, n) <= 24);
}

static uint64_t resident(void)
{
	unsigned long all, pages;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
	(void)fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What it says it takes is what the system says. */
static void test_resident(void **state)
{
	uint64_t before = resident(), after, says;
	struct fleet *f = fleet_new(0);
	uint8_t id[ID_LEN];

	(void)state;
	for (uint64_t i = 0; i < WEIGHED; i++) {
		struct fleet_device d = device_of(i);
		assert_true(fleet_add(f, id_of(i, id), &d));
	}
	after = resident();
	says = fleet_bytes(f);
	fleet_free(f);
	print_message(
		"# %.1f MB, resident %.1f\n", (double)says / 1e6, (double)(after - before) / 1e6);
	if (WATCHED)
		return; /* a sanitizer has memory of its own */
	assert_true(after - before <= says + says / 50);
	assert_true(resident() <= before + says / 50);
}

#define KNOWN 50000u

struct looker {
	pthread_t thread;
	const struct fleet *fleet;
	_Atomic bool *stop;
	uint64_t seed, looked, lost, ghosts;
};

static void *look_for_known(void *arg)
{
	struct looker *me = arg;
	struct rng r = { me->seed };
	uint8_t id[ID_LEN];

	while (!atomic_load_explicit(me->stop, memory_order_relaxed)) {
		uint64_t i = rng_below(&r, KNOWN);
		fleet_word *w = fleet_find(me->fleet, id_of(i, id));
		me->lost += w == NULL || fleet_unpack(atomic_load(w)).product != i % FLEET_ERASED;
		/* Nobody has this one, ever. */
		me->ghosts += fleet_find(me->fleet, id_of(UINT32_MAX + i, id)) != NULL;
		me->looked++;
	}
	return NULL;
}

/* Those that are there are found at every moment while a million more are added. */
static void test_lookup_while_growing(void **state)
{
	static struct looker looker[READERS];
	struct fleet *f = fleet_new(0);
	_Atomic bool stop = false;
	uint64_t looked = 0;
	uint8_t id[ID_LEN];

	(void)state;
	for (uint64_t i = 0; i < KNOWN + WEIGHED; i++) {
		struct fleet_device d = device_of(i);
		assert_true(fleet_add(f, id_of(i, id), &d));
		for (unsigned t = 0; i == KNOWN - 1 && t < READERS; t++) {
			looker[t] = (struct looker){ .fleet = f, .stop = &stop, .seed = t };
			assert_int_equal(
				pthread_create(&looker[t].thread, NULL, look_for_known, &looker[t]),
				0);
		}
	}
	atomic_store(&stop, true);
	for (unsigned t = 0; t < READERS; t++) {
		assert_int_equal(pthread_join(looker[t].thread, NULL), 0);
		assert_int_equal(looker[t].lost, 0);
		assert_int_equal(looker[t].ghosts, 0);
		looked += looker[t].looked;
	}
	print_message("# %llu looked for meanwhile\n", (unsigned long long)looked);
	for (uint64_t i = 0; i < KNOWN + WEIGHED; i++)
		assert_non_null(fleet_find(f, id_of(i, id)));
	fleet_free(f);
}

/* Each tenth is of another protocol: what is remembered of it is its own, also while the table grows. */
static struct fleet_foreign foreign_of(uint64_t i)
{
	return (struct fleet_foreign){ .state = (uint8_t)(i % 5),
		.wants = i % 3 == 0,
		.runs = (i * 0x9e3779b97f4a7c15u) & FLEET_RUNS,
		.token = i * 0xc2b2ae3d27d4eb4fu };
}

static void check_foreign(const struct fleet *f, const fleet_word *w, uint64_t i)
{
	struct fleet_foreign want = foreign_of(i), have;

	assert_true(fleet_foreign_get(f, w, &have));
	assert_int_equal(have.state, want.state);
	assert_int_equal(have.wants, want.wants);
	assert_true(have.runs == want.runs && have.token == want.token);
}

static void test_foreign(void **state)
{
	struct fleet *f = fleet_new(0);
	struct fleet_device d = device_of(1);
	struct fleet_foreign one;
	uint8_t id[ID_LEN];

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		assert_true(fleet_add(f, id_of(i, id), &d));
		assert_false(fleet_foreign_get(f, fleet_find(f, id), &one));
		one = foreign_of(i);
		if (i % 10 == 0)
			fleet_foreign_set(f, fleet_find(f, id), &one);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		fleet_word *w = fleet_find(f, id_of(i, id));
		if (i % 10 == 0)
			check_foreign(f, w, i);
		else
			assert_false(fleet_foreign_get(f, w, &one));
	}
	/* The least there can be is not nothing; what was erased is, also when it comes again. */
	one = (struct fleet_foreign){ 0 };
	fleet_foreign_set(f, fleet_find(f, id_of(0, id)), &one);
	assert_true(fleet_foreign_get(f, fleet_find(f, id), &one));
	assert_true(fleet_erase(f, id));
	assert_true(fleet_add(f, id, &d));
	assert_false(fleet_foreign_get(f, fleet_find(f, id), &one));
	fleet_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_add_and_find),
		cmocka_unit_test(test_half_taken),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_enter_and_leave),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_clear_slot),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_one_word),
		cmocka_unit_test(test_lookup_while_growing),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_resident),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
