/* SPDX-License-Identifier: Apache-2.0 */
/* Crash signatures on disk: known, new in a stage, and who had them. */
#include "unit.h"

#include "records_world.h"
#include "server/store/novel.h"

static void check_novel(const struct novel *a, const struct novel *b)
{
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->first_ms, b->first_ms);
	assert_memory_equal(a->open, b->open, sizeof(a->open));
	assert_memory_equal(a->total, b->total, sizeof(a->total));
}

static struct novel random_novel(struct rng *r)
{
	struct novel n = { .number = (uint16_t)rng_u64(r), .first_ms = rng_u64(r) };

	rng_fill(r, n.open, sizeof(n.open));
	rng_fill(r, n.total, sizeof(n.total));
	return n;
}

/* Each line knows its own, by the whole of what is kept of a signature. */
static void test_seen(void **state)
{
	struct rng r = { 51 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t signature[SIGNATURE_LEN], near[SIGNATURE_LEN];
		uint16_t line = (uint16_t)rng_u64(&r);
		uint64_t ms = rng_u64(&r) / 2;
		rng_fill(&r, signature, sizeof(signature));
		assert_true(seen_get(&txn, line, signature) == UINT64_MAX);
		seen_put(&txn, line, signature, ms);
		assert_true(seen_get(&txn, line, signature) == ms);
		assert_true(seen_get(&txn, (uint16_t)(line ^ 1), signature) == UINT64_MAX);
		memcpy(near, signature, sizeof(near));
		near[SIGNATURE_LEN - 1] ^= 1;
		assert_true(seen_get(&txn, line, near) == UINT64_MAX);
		if (i % 50 == 0)
			turn();
		assert_true(seen_get(&txn, line, signature) == ms);
	}
	assert_int_equal(txn.err, 0);
	assert_int_equal(store_count(&txn, STORE_SEEN), ROUNDS);
}

static void test_novel(void **state)
{
	struct rng r = { 52 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct novel n = random_novel(&r), have;
		struct stage_key stage = { (uint32_t)rng_u64(&r), (uint8_t)rng_u64(&r) }, other;
		uint8_t signature[SIGNATURE_LEN];
		rng_fill(&r, signature, sizeof(signature));
		assert_false(novel_get(&txn, stage, signature, &have));
		novel_put(&txn, stage, signature, &n);
		assert_true(novel_get(&txn, stage, signature, &have));
		check_novel(&have, &n);
		other = stage;
		other.step ^= 1;
		assert_false(novel_get(&txn, other, signature, &have));
		other = stage;
		other.rollout ^= 1;
		assert_false(novel_get(&txn, other, signature, &have));
		/* The record is replaced, not kept. */
		n.open[ARM_CANARY]++;
		novel_put(&txn, stage, signature, &n);
		assert_true(novel_get(&txn, stage, signature, &have));
		check_novel(&have, &n);
	}
	assert_int_equal(txn.err, 0);
}

/* Over a stage's: all of them, and no others. */
static void test_novel_of_a_stage(void **state)
{
	static const struct stage_key stages[] = { { 7, 2 }, { 7, 1 }, { 7, 3 }, { 6, 2 }, { 8, 2 },
		{ 0x700, 2 }, { 0, 0 }, { UINT32_MAX, 255 } };
	uint8_t prefix[5], signature[SIGNATURE_LEN];
	struct rng r = { 53 };
	struct store_cursor c;
	struct novel have;

	(void)state;
	for (size_t k = 0; k < COUNT(stages); k++)
		for (uint16_t i = 0; i < 20 + k; i++) {
			struct novel n = random_novel(&r);
			n.number = i;
			rng_fill(&r, signature, sizeof(signature));
			signature[0] = (uint8_t)k;
			novel_put(&txn, stages[k], signature, &n);
		}
	turn();
	for (size_t k = 0; k < COUNT(stages); k++) {
		bool found[32] = { false };
		unsigned n = 0;
		store_foreach(&c, &txn, STORE_NOVEL, novel_prefix(stages[k], prefix)) {
			struct novel again;
			assert_true(novel_read(&c, signature, &have));
			assert_int_equal(signature[0], k);
			assert_true(novel_get(&txn, stages[k], signature, &again));
			check_novel(&have, &again);
			assert_false(found[have.number]);
			found[have.number] = true;
			n++;
		}
		assert_int_equal(n, 20 + k);
	}
	assert_int_equal(txn.err, 0);
}

/* A device has a signature once in a stage. */
static void test_hits(void **state)
{
	struct rng r = { 54 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct stage_key stage = { (uint32_t)rng_u64(&r), (uint8_t)rng_u64(&r) }, other;
		uint8_t id[ID_LEN], signature[SIGNATURE_LEN], near[SIGNATURE_LEN];
		rng_fill(&r, id, sizeof(id));
		rng_fill(&r, signature, sizeof(signature));
		assert_true(hit_put(&txn, stage, signature, id));
		assert_false(hit_put(&txn, stage, signature, id));
		for (unsigned k = 0; k < 8; k++) {
			memcpy(near, signature, sizeof(near));
			near[k] ^= 1;
			assert_true(hit_put(&txn, stage, near, id));
		}
		other = stage;
		other.step ^= 1;
		assert_true(hit_put(&txn, other, signature, id));
		other = stage;
		other.rollout ^= 0x1000000;
		assert_true(hit_put(&txn, other, signature, id));
		id[ID_LEN - 1] ^= 1;
		assert_true(hit_put(&txn, stage, signature, id));
		if (i % 50 == 0)
			turn();
		assert_false(hit_put(&txn, stage, signature, id));
	}
	assert_int_equal(txn.err, 0);
}

static void lost(void)
{
	assert_int_equal(store_commit(&txn), ERR_CORRUPT);
	store_begin(store, &txn, true);
}

static void test_damaged(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 9, 25, 27 };
	uint8_t key[5 + SIGNATURE_LEN] = { 0, 0, 0, 1, 2 }, bytes[32] = { 0 };
	uint8_t seen[2 + SIGNATURE_LEN] = { 0, 9 }, signature[SIGNATURE_LEN] = { 0 };
	struct stage_key stage = { 1, 2 };
	struct store_cursor c;
	struct novel n;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		store_put(
			&txn, STORE_SEEN, bytes_of(seen, sizeof(seen)), bytes_of(bytes, sizes[i]));
		assert_true(seen_get(&txn, 9, signature) == UINT64_MAX);
		lost();
		store_put(&txn, STORE_NOVEL, bytes_of(key, sizeof(key)), bytes_of(bytes, sizes[i]));
		assert_false(novel_get(&txn, stage, signature, &n));
		lost();
	}
	for (size_t len = 5; len < sizeof(key); len += 3) {
		store_put(&txn, STORE_NOVEL, bytes_of(key, len), bytes_of(bytes, 26));
		store_foreach(&c, &txn, STORE_NOVEL, bytes_of(NULL, 0))
			assert_false(novel_read(&c, signature, &n));
		lost();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_seen),
		IN_STORE(test_novel),
		IN_STORE(test_novel_of_a_stage),
		IN_STORE(test_hits),
		IN_STORE(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
