/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in comes out, and what is damaged is said to be. */
#include "unit.h"

#include "records_world.h"
#include "server/store/stage.h"

static struct evidence_device random_arm(struct rng *r)
{
	return (struct evidence_device){
		.arm = (enum arm)rng_below(r, ARM__COUNT),
		.group = (uint32_t)rng_below(r, EVIDENCE_GROUPS),
		.seq = (uint32_t)rng_u64(r),
		.entered_batch = (uint32_t)rng_u64(r),
		.seen = (uint32_t)rng_u64(r),
		.slot = (uint32_t)rng_u64(r),
		.entered_ms = rng_u64(r),
		.installing_ms = rng_u64(r),
		.gone = rng_below(r, 2),
	};
}

static void check_arm(const struct evidence_device *a, const struct evidence_device *b)
{
	assert_int_equal(a->arm, b->arm);
	assert_int_equal(a->group, b->group);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->entered_batch, b->entered_batch);
	assert_int_equal(a->seen, b->seen);
	assert_int_equal(a->slot, b->slot);
	assert_int_equal(a->entered_ms, b->entered_ms);
	assert_int_equal(a->installing_ms, b->installing_ms);
	assert_int_equal(a->gone, b->gone);
}

static void test_arms(void **state)
{
	struct rng r = { 23 };
	unsigned n = 0;
	struct store_cursor c;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct evidence_device d = random_arm(&r), have;
		struct stage_key stage = { (uint32_t)rng_u64(&r), (uint8_t)rng_u64(&r) };
		uint8_t id[ID_LEN];
		rng_fill(&r, id, sizeof(id));
		assert_false(arm_get(&txn, stage, id, &have));
		arm_put(&txn, stage, id, &d);
		assert_true(arm_get(&txn, stage, id, &have));
		check_arm(&have, &d);
		/* The same device in another stage is another record. */
		stage.step ^= 1;
		assert_false(arm_get(&txn, stage, id, &have));
	}
	store_foreach(&c, &txn, STORE_ARM, bytes_of(NULL, 0)) {
		struct evidence_device have, again;
		struct stage_key stage;
		uint8_t id[ID_LEN];
		assert_true(arm_read(&c, &stage, id, &have));
		assert_true(arm_get(&txn, stage, id, &again));
		check_arm(&again, &have);
		n++;
	}
	assert_int_equal(n, ROUNDS);
}

static void test_damaged_arms(void **state)
{
	static const struct {
		size_t n;
		uint8_t arm, group;
	} row[] = { { 35, 0, 0 }, { 37, 0, 0 }, { 36, ARM__COUNT, 0 }, { 36, 0, EVIDENCE_GROUPS },
		{ 36, 255, 255 } };
	struct stage_key stage = { 1, 2 };
	uint8_t id[ID_LEN] = { 0 }, key[5 + ID_LEN] = { 0, 0, 0, 1, 2 }, record[40] = { 0 };
	struct evidence_device d;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		record[0] = row[i].arm;
		record[1] = row[i].group;
		store_put(&txn, STORE_ARM, bytes_of(key, sizeof(key)), bytes_of(record, row[i].n));
		assert_false(arm_get(&txn, stage, id, &d));
		assert_int_equal(store_commit(&txn), ERR_CORRUPT);
		store_begin(store, &txn, true);
	}
	/* So large is one that is not. */
	record[0] = record[1] = 0;
	store_put(&txn, STORE_ARM, bytes_of(key, sizeof(key)), bytes_of(record, 36));
	assert_true(arm_get(&txn, stage, id, &d));
}

static void test_stages(void **state)
{
	struct rng r = { 24 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		static struct evidence e, have;
		struct stage_key stage = { (uint32_t)rng_u64(&r), (uint8_t)rng_u64(&r) };
		uint16_t product = (uint16_t)rng_u64(&r);
		rng_fill(&r, &e, sizeof(e));
		memset(&have, 0, sizeof(have));
		assert_false(stage_get(&txn, stage, product, &have));
		stage_put(&txn, stage, product, &e);
		assert_true(stage_get(&txn, stage, product, &have));
		/* All but what lies between the members. */
		assert_int_equal(have.batch, e.batch);
		assert_int_equal(have.slot, e.slot);
		assert_int_equal(have.started_ms, e.started_ms);
		assert_int_equal(have.settle_ms, e.settle_ms);
		assert_int_equal(have.opened_ms, e.opened_ms);
		assert_int_equal(have.events, e.events);
		assert_int_equal(have.closed_groups, e.closed_groups);
		assert_memory_equal(have.entered, e.entered, sizeof(e.entered));
		assert_memory_equal(have.total, e.total, sizeof(e.total));
		assert_memory_equal(have.risk, e.risk, sizeof(e.risk));
		assert_memory_equal(have.frozen, e.frozen, sizeof(e.frozen));
		assert_memory_equal(have.open, e.open, sizeof(e.open));
		assert_memory_equal(have.young, e.young, sizeof(e.young));
		assert_memory_equal(have.frozen_young, e.frozen_young, sizeof(e.frozen_young));
		assert_memory_equal(have.open_young, e.open_young, sizeof(e.open_young));
		assert_memory_equal(have.judged, e.judged, sizeof(e.judged));
		assert_false(stage_get(&txn, stage, (uint16_t)(product ^ 1), &have));
	}
	assert_int_equal(txn.err, 0);
	store_put(&txn, STORE_STAGE, bytes_of("\0\0\0\1\2\0\3", 7), bytes_str("short"));
	struct evidence e;
	assert_false(stage_get(&txn, (struct stage_key){ 1, 2 }, 3, &e));
	assert_int_equal(txn.err, ERR_CORRUPT);
}

static struct stored_row random_row(struct rng *r, uint32_t rollout)
{
	return (struct stored_row){
		.stage = { rollout, (uint8_t)rng_u64(r) },
		.product = (uint16_t)rng_u64(r),
		.row = { .batch = (uint32_t)rng_u64(r),
			.stream = (enum stream)rng_below(r, STREAM__COUNT),
			.age = (enum age)rng_below(r, AGE__COUNT),
			.signature = (uint16_t)rng_u64(r),
			.closed_ms = rng_u64(r),
			.xc = (uint32_t)rng_u64(r),
			.xk = (uint32_t)rng_u64(r),
			.ec = (uint32_t)rng_u64(r),
			.ek = (uint32_t)rng_u64(r) },
	};
}

static void check_row(const struct stored_row *a, const struct stored_row *b)
{
	assert_int_equal(a->stage.rollout, b->stage.rollout);
	assert_int_equal(a->stage.step, b->stage.step);
	assert_int_equal(a->product, b->product);
	assert_int_equal(a->row.batch, b->row.batch);
	assert_int_equal(a->row.stream, b->row.stream);
	assert_int_equal(a->row.age, b->row.age);
	assert_int_equal(a->row.signature, b->row.signature);
	assert_int_equal(a->row.closed_ms, b->row.closed_ms);
	assert_int_equal(a->row.xc, b->row.xc);
	assert_int_equal(a->row.xk, b->row.xk);
	assert_int_equal(a->row.ec, b->row.ec);
	assert_int_equal(a->row.ek, b->row.ek);
}

static void test_rows(void **state)
{
	static struct stored_row rows[ROUNDS];
	static const uint32_t rollouts[] = { 5, 0, 6, UINT32_MAX };
	struct rng r = { 25 };

	(void)state;
	for (size_t k = 0; k < COUNT(rollouts); k++) {
		uint8_t key[12];
		struct store_cursor c;
		uint64_t number, n = 0;
		assert_int_equal(row_count(&txn, rollouts[k]), 0);
		for (uint64_t i = 0; i < ROUNDS; i++) {
			rows[i] = random_row(&r, rollouts[k]);
			row_put(&txn, i, &rows[i]);
			assert_int_equal(row_count(&txn, rollouts[k]), i + 1);
		}
		turn();
		/* In the order in which they were closed, from anywhere on. */
		n = 100;
		store_seek_from(
			&c, &txn, STORE_ROW, bytes_of(key, 4), row_key(rollouts[k], n, key));
		while (store_next(&c)) {
			struct stored_row have;
			assert_true(row_read(&c, &number, &have));
			assert_int_equal(number, n);
			check_row(&have, &rows[n++]);
		}
		assert_int_equal(n, ROUNDS);
	}
}

static void test_rows_are_never_rewritten(void **state)
{
	struct rng r = { 26 };
	struct stored_row a = random_row(&r, 5), b = random_row(&r, 5), have;
	struct store_cursor c;
	uint64_t number;

	(void)state;
	row_put(&txn, 0, &a);
	turn();
	row_put(&txn, 0, &b);
	assert_int_equal(store_commit(&txn), ERR_CORRUPT);
	store_begin(store, &txn, true);
	row_put(&txn, 0, &a); /* nor by itself */
	assert_int_equal(store_commit(&txn), ERR_CORRUPT);
	store_begin(store, &txn, true);
	store_foreach(&c, &txn, STORE_ROW, bytes_of(NULL, 0)) {
		assert_true(row_read(&c, &number, &have));
		check_row(&have, &a);
	}
	assert_int_equal(row_count(&txn, 5), 1);
}

static void test_damaged_rows(void **state)
{
	static const struct {
		const char *why;
		size_t key_n, n;
		uint8_t stream, age;
		bool want;
	} row[] = {
		{ "fine", 12, 36, STREAM__COUNT - 1, AGE__COUNT - 1, true },
		{ "too short", 12, 35, 0, 0, false },
		{ "too long", 12, 37, 0, 0, false },
		{ "another key", 11, 36, 0, 0, false },
		{ "no such stream", 12, 36, STREAM__COUNT, 0, false },
		{ "no such age", 12, 36, 0, AGE__COUNT, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint8_t key[12] = { 0 }, value[37] = { 0 };
		struct stored_row out;
		uint64_t number;
		value[1] = row[i].stream;
		value[32] = row[i].age;
		if (row_unpack(bytes_of(key, row[i].key_n), bytes_of(value, row[i].n), &number,
			    &out) != row[i].want)
			fail_msg("%s", row[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_arms),
		IN_STORE(test_damaged_arms),
		IN_STORE(test_stages),
		IN_STORE(test_rows),
		IN_STORE(test_rows_are_never_rewritten),
		cmocka_unit_test(test_damaged_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
