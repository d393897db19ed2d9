/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of records: what goes in comes out, and what is damaged is said to be. */
#include "unit.h"

#include "rng.h"
#include "server/store/device.h"
#include "server/store/entry.h"
#include "server/store/stage.h"
#include "tmpdir.h"

#define ROUNDS 300u

static struct store *store;
static struct store_txn txn;

static int begin(void **state)
{
	char error[256];

	return tmpdir_make(state) != 0 ||
		store_open(tmpdir_path("store"), 64 << 20, &store, error) != 0 ||
		(store_begin(store, &txn, true), txn.err);
}

static int end(void **state)
{
	store_abort(&txn);
	store_close(store);
	return tmpdir_drop(state);
}

/* Commits, and goes on in a new transaction. */
static void turn(void)
{
	assert_int_equal(store_commit(&txn), 0);
	store_begin(store, &txn, true);
}

static struct device random_device(struct rng *r)
{
	struct device d;

	memset(&d, 0, sizeof(d));
	rng_fill(r, d.id, sizeof(d.id));
	rng_fill(r, d.public_key, sizeof(d.public_key));
	d.product = (uint16_t)rng_u64(r);
	d.ring = (enum ring)rng_below(r, RING__COUNT);
	d.wish = (enum ring)rng_below(r, RING__COUNT);
	d.left = rng_below(r, 2);
	d.failed_tag = (uint8_t)rng_u64(r);
	d.enrolled_day = (uint32_t)rng_u64(r);
	d.last_seq = (uint32_t)rng_u64(r);
	d.build = rng_u64(r);
	return d;
}

static void check_device(const struct device *a, const struct device *b)
{
	assert_memory_equal(a->id, b->id, ID_LEN);
	assert_memory_equal(a->public_key, b->public_key, sizeof(a->public_key));
	assert_int_equal(a->product, b->product);
	assert_int_equal(a->ring, b->ring);
	assert_int_equal(a->wish, b->wish);
	assert_int_equal(a->left, b->left);
	assert_int_equal(a->failed_tag, b->failed_tag);
	assert_int_equal(a->enrolled_day, b->enrolled_day);
	assert_int_equal(a->last_seq, b->last_seq);
	assert_int_equal(a->build, b->build);
}

static void test_devices(void **state)
{
	struct rng r = { 21 };
	struct device have;
	struct store_cursor c;
	uint64_t n = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct device d = random_device(&r);
		device_put(&txn, &d);
		turn();
		memset(&have, 0xee, sizeof(have));
		assert_true(device_get(&txn, d.id, &have));
		check_device(&have, &d);
		/* Again: it is replaced. */
		d.last_seq++;
		d.left = !d.left;
		device_put(&txn, &d);
		assert_true(device_get(&txn, d.id, &have));
		check_device(&have, &d);
		d.id[0] ^= 1;
		assert_false(device_get(&txn, d.id, &have));
	}
	store_foreach (&c, &txn, STORE_DEVICE, bytes_of(NULL, 0)) {
		struct device again;
		assert_true(device_read(&c, &have));
		assert_true(device_get(&txn, have.id, &again));
		check_device(&again, &have);
		n++;
	}
	assert_int_equal(n, ROUNDS);
	assert_int_equal(txn.err, 0);
}

static void test_damaged_devices(void **state)
{
	static const struct {
		const char *why;
		size_t n, at; /* length; a byte that is set to 4 */
	} row[] = {
		{ "short", 59, 0 },
		{ "long", 61, 0 },
		{ "empty", 0, 0 },
		{ "no such ring", 60, 33 },
		{ "no such wish", 60, 34 },
	};
	uint8_t id[ID_LEN] = { 0 }, record[64];
	struct device d;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		memset(record, 0, sizeof(record));
		if (row[i].n > 0)
			record[row[i].at] = 4;
		store_put(&txn, STORE_DEVICE, bytes_of(id, ID_LEN),
			bytes_of(record, row[i].n));
		if (device_get(&txn, id, &d) || txn.err != ERR_CORRUPT)
			fail_msg("%s", row[i].why);
		assert_int_equal(store_commit(&txn), ERR_CORRUPT);
		store_begin(store, &txn, true);
	}
}

static void test_keys(void **state)
{
	uint8_t hash[SHA256_LEN], id[ID_LEN], have[ID_LEN];
	struct rng r = { 22 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		rng_fill(&r, hash, sizeof(hash));
		rng_fill(&r, id, sizeof(id));
		assert_false(device_of_key(&txn, hash, have));
		device_key_put(&txn, hash, id);
		assert_true(device_of_key(&txn, hash, have));
		assert_memory_equal(have, id, ID_LEN);
		hash[0] ^= 1;
		assert_false(device_of_key(&txn, hash, have));
	}
}

static void test_waiting(void **state)
{
	uint8_t id[ID_LEN] = { 0 }, key[2], have[ID_LEN];
	struct store_cursor c;
	unsigned n = 0;

	(void)state;
	/* Lines beside each other, and the last one. */
	for (id[0] = 0; id[0] < 3; id[0]++) {
		waiting_put(&txn, 1, id, RING_CORE);
		waiting_put(&txn, 2, id, RING_HONOUR);
		waiting_put(&txn, UINT16_MAX, id, RING_DEV);
	}
	id[0] = 1;
	waiting_delete(&txn, 2, id);
	waiting_delete(&txn, 3, id);
	turn();
	store_foreach (&c, &txn, STORE_WAITING, waiting_prefix(2, key)) {
		assert_int_equal(waiting_read(&c, have), RING_HONOUR);
		assert_int_equal(have[0], n++ == 0 ? 0 : 2);
	}
	assert_int_equal(n, 2);
	n = 0;
	store_foreach (&c, &txn, STORE_WAITING, waiting_prefix(UINT16_MAX, key))
		n++;
	assert_int_equal(n, 3);
	waiting_put(&txn, 2, id, RING__COUNT);
	store_foreach (&c, &txn, STORE_WAITING, waiting_prefix(2, key))
		(void)waiting_read(&c, have);
	assert_int_equal(txn.err, ERR_CORRUPT);
}

static struct evidence_device random_arm(struct rng *r)
{
	return (struct evidence_device){
		.arm = (enum arm)rng_below(r, ARM__COUNT),
		.group = (uint32_t)rng_below(r, EVIDENCE_GROUPS),
		.seq = (uint32_t)rng_u64(r),
		.entered_batch = (uint32_t)rng_u64(r),
		.seen = (uint32_t)rng_u64(r),
		.entered_ms = rng_u64(r),
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
	assert_int_equal(a->entered_ms, b->entered_ms);
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
		struct stage_key stage = { (uint32_t)rng_u64(&r),
			(uint8_t)rng_u64(&r) };
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
	store_foreach (&c, &txn, STORE_ARM, bytes_of(NULL, 0)) {
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
	} row[] = { { 23, 0, 0 }, { 25, 0, 0 }, { 24, ARM__COUNT, 0 },
		{ 24, 0, EVIDENCE_GROUPS }, { 24, 255, 255 } };
	struct stage_key stage = { 1, 2 };
	uint8_t id[ID_LEN] = { 0 }, key[5 + ID_LEN] = { 0, 0, 0, 1, 2 },
		record[32] = { 0 };
	struct evidence_device d;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		record[0] = row[i].arm;
		record[1] = row[i].group;
		store_put(&txn, STORE_ARM, bytes_of(key, sizeof(key)),
			bytes_of(record, row[i].n));
		assert_false(arm_get(&txn, stage, id, &d));
		assert_int_equal(store_commit(&txn), ERR_CORRUPT);
		store_begin(store, &txn, true);
	}
}

static void test_stages(void **state)
{
	struct rng r = { 24 };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		static struct evidence e, have;
		struct stage_key stage = { (uint32_t)rng_u64(&r),
			(uint8_t)rng_u64(&r) };
		uint16_t product = (uint16_t)rng_u64(&r);
		rng_fill(&r, &e, sizeof(e));
		memset(&have, 0, sizeof(have));
		assert_false(stage_get(&txn, stage, product, &have));
		stage_put(&txn, stage, product, &e);
		assert_true(stage_get(&txn, stage, product, &have));
		/* All but what lies between the members. */
		assert_int_equal(have.batch, e.batch);
		assert_int_equal(have.opened_ms, e.opened_ms);
		assert_int_equal(have.events, e.events);
		assert_int_equal(have.closed_groups, e.closed_groups);
		assert_memory_equal(have.entered, e.entered, sizeof(e.entered));
		assert_memory_equal(have.total, e.total, sizeof(e.total));
		assert_memory_equal(have.risk, e.risk, sizeof(e.risk));
		assert_memory_equal(have.frozen, e.frozen, sizeof(e.frozen));
		assert_memory_equal(have.open, e.open, sizeof(e.open));
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
		store_seek_from(&c, &txn, STORE_ROW, bytes_of(key, 4),
			row_key(rollouts[k], n, key));
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
	store_foreach (&c, &txn, STORE_ROW, bytes_of(NULL, 0)) {
		assert_true(row_read(&c, &number, &have));
		check_row(&have, &a);
	}
	assert_int_equal(row_count(&txn, 5), 1);
}

static void test_log(void **state)
{
	struct bytes v;

	(void)state;
	assert_int_equal(entry_count(&txn), 0);
	assert_false(entry_get(&txn, 0, &v));
	entry_append(&txn, 0, bytes_str("zero"));
	entry_append(&txn, 1, bytes_str("one"));
	turn();
	assert_int_equal(entry_count(&txn), 2);
	assert_true(entry_get(&txn, 1, &v));
	assert_true(bytes_eq(v, bytes_str("one")));
	assert_false(entry_get(&txn, 2, &v));
	/* Neither a gap nor a second truth. */
	entry_append(&txn, 3, bytes_str("three"));
	assert_int_equal(store_commit(&txn), ERR_CORRUPT);
	store_begin(store, &txn, true);
	entry_append(&txn, 1, bytes_str("uno"));
	assert_int_equal(store_commit(&txn), ERR_CORRUPT);
	store_begin(store, &txn, true);
	assert_true(entry_get(&txn, 1, &v));
	assert_true(bytes_eq(v, bytes_str("one")));
	/* In order of their number, not of its text. */
	for (uint64_t i = 2; i < 300; i++)
		entry_append(&txn, i, bytes_of(&i, sizeof(i)));
	assert_int_equal(txn.err, 0);
	assert_int_equal(entry_count(&txn), 300);
}

static void test_envelopes(void **state)
{
	struct bytes v;

	(void)state;
	assert_false(envelope_get(&txn, "director/a/core", &v));
	envelope_put(&txn, "director/a/core", bytes_str("one"));
	envelope_put(&txn, "director/a/core", bytes_str("two"));
	envelope_put(&txn, "director/a/dev", bytes_str("three"));
	turn();
	assert_true(envelope_get(&txn, "director/a/core", &v));
	assert_true(bytes_eq(v, bytes_str("two")));
	assert_false(envelope_get(&txn, "director/a", &v));
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(name_number(&txn, "product", "a"), 0);
	assert_int_equal(name_number(&txn, "product", "b"), 1);
	assert_int_equal(name_number(&txn, "product", "a"), 0);
	assert_int_equal(name_number(&txn, "line", "b"), 0);
	assert_int_equal(name_number(&txn, "line", "a"), 1);
	turn();
	assert_int_equal(name_number(&txn, "product", "c"), 2);
	assert_int_equal(name_number(&txn, "product", "b"), 1);
	/* Aborted: the number is free again. */
	store_abort(&txn);
	store_begin(store, &txn, true);
	assert_int_equal(name_number(&txn, "product", "d"), 2);
}

/* Golden: it is in every device's record on disk. */
static void test_build_hash(void **state)
{
	(void)state;
	assert_int_equal(device_build_hash("huidu"), 0xcf78e590f65602d2);
}

#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_devices),
		IN_STORE(test_damaged_devices),
		IN_STORE(test_keys),
		IN_STORE(test_waiting),
		IN_STORE(test_arms),
		IN_STORE(test_damaged_arms),
		IN_STORE(test_stages),
		IN_STORE(test_rows),
		IN_STORE(test_rows_are_never_rewritten),
		IN_STORE(test_log),
		IN_STORE(test_envelopes),
		IN_STORE(test_numbers),
		cmocka_unit_test(test_build_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
