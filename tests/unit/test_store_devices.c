/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in comes out, and what is damaged is said to be. */
#include "unit.h"

#include "proto/crypto.h"
#include "records_world.h"
#include "server/store/device.h"
#include "server/store/entry.h"
#include "server/store/foreign.h"

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
	store_foreach(&c, &txn, STORE_DEVICE, bytes_of(NULL, 0)) {
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
		store_put(&txn, STORE_DEVICE, bytes_of(id, ID_LEN), bytes_of(record, row[i].n));
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

static void test_tokens(void **state)
{
	uint8_t token[TOKEN_LEN], id[ID_LEN], have[ID_LEN], again[TOKEN_LEN];
	struct rng r = { 23 };
	struct store_cursor c;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		rng_fill(&r, token, sizeof(token));
		rng_fill(&r, id, sizeof(id));
		assert_false(device_of_token(&txn, token, have));
		device_token_put(&txn, token, id);
		assert_true(device_of_token(&txn, token, have));
		assert_memory_equal(have, id, ID_LEN);
	}
	device_token_delete(&txn, token);
	assert_false(device_of_token(&txn, token, have));
	store_foreach(&c, &txn, STORE_TOKEN, bytes_of(NULL, 0))
		n += device_token_read(&c, again, have);
	assert_int_equal(n, ROUNDS - 1);
	assert_int_equal(txn.err, 0);
}

static void test_key_hash(void **state)
{
	static const uint8_t key[33] = { 2, 1, 2, 3 };
	struct bytes all = bytes_of(key, sizeof(key));
	uint8_t want[SHA256_LEN], have[SHA256_LEN];
	struct device d = { .public_key = { 0 } };

	(void)state;
	assert_int_equal(crypto_sha256(&all, 1, want), 0);
	assert_int_equal(device_key_hash(key, have), 0);
	assert_memory_equal(want, have, SHA256_LEN);
	assert_false(device_has_key(&d));
	d.public_key[0] = 3;
	assert_true(device_has_key(&d));
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
	store_foreach(&c, &txn, STORE_WAITING, waiting_prefix(2, key)) {
		assert_int_equal(waiting_read(&c, have), RING_HONOUR);
		assert_int_equal(have[0], n++ == 0 ? 0 : 2);
	}
	assert_int_equal(n, 2);
	n = 0;
	store_foreach(&c, &txn, STORE_WAITING, waiting_prefix(UINT16_MAX, key))
		n++;
	assert_int_equal(n, 3);
	waiting_put(&txn, 2, id, RING__COUNT);
	store_foreach(&c, &txn, STORE_WAITING, waiting_prefix(2, key))
		(void)waiting_read(&c, have);
	assert_int_equal(txn.err, ERR_CORRUPT);
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

static struct stored_foreign random_foreign(struct rng *r)
{
	struct stored_foreign f;
	size_t n = 1 + rng_below(r, FOREIGN_NAME_MAX);

	memset(&f, 0, sizeof(f));
	f.state.protocol = (enum foreign_protocol)(1 + rng_below(r, FOREIGN__END - 1));
	f.state.state = (enum foreign_state)rng_below(r, FOREIGN_STATE__COUNT);
	f.state.cancelling = rng_below(r, 2);
	f.state.tells_build = rng_below(r, 2);
	f.state.wants = rng_below(r, 2);
	f.state.counted = (uint32_t)rng_u64(r);
	f.state.action = (uint32_t)rng_u64(r) & INT32_MAX;
	f.state.build = rng_u64(r);
	f.state.counter = rng_u64(r);
	f.state.runs = rng_u64(r);
	f.state.since_ms = rng_u64(r);
	f.has_token = rng_below(r, 2);
	if (f.has_token)
		rng_fill(r, f.token, TOKEN_LEN);
	for (size_t i = 0; i < n; i++)
		f.name[i] = (char)('!' + rng_below(r, '~' - '!'));
	return f;
}

static void check_foreign(const struct stored_foreign *a, const struct stored_foreign *b)
{
	assert_int_equal(a->state.protocol, b->state.protocol);
	assert_int_equal(a->state.state, b->state.state);
	assert_int_equal(a->state.cancelling, b->state.cancelling);
	assert_int_equal(a->state.tells_build, b->state.tells_build);
	assert_int_equal(a->state.wants, b->state.wants);
	assert_int_equal(a->state.counted, b->state.counted);
	assert_int_equal(a->state.action, b->state.action);
	assert_int_equal(a->state.build, b->state.build);
	assert_int_equal(a->state.counter, b->state.counter);
	assert_int_equal(a->state.runs, b->state.runs);
	assert_int_equal(a->state.since_ms, b->state.since_ms);
	assert_int_equal(a->has_token, b->has_token);
	assert_memory_equal(a->token, b->token, TOKEN_LEN);
	assert_string_equal(a->name, b->name);
}

static void test_foreign(void **state)
{
	struct rng r = { 77 };
	struct stored_foreign have;
	uint8_t id[ID_LEN], read[ID_LEN];
	struct store_cursor c;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct stored_foreign f = random_foreign(&r);
		rng_fill(&r, id, sizeof(id));
		foreign_put(&txn, id, &f);
		turn();
		memset(&have, 0xee, sizeof(have));
		assert_true(foreign_get(&txn, id, &have));
		check_foreign(&have, &f);
		store_foreach(&c, &txn, STORE_FOREIGN, bytes_of(id, ID_LEN)) {
			assert_true(foreign_read(&c, read, &have));
			assert_memory_equal(read, id, ID_LEN);
			check_foreign(&have, &f);
			n++;
		}
		foreign_delete(&txn, id);
		assert_false(foreign_get(&txn, id, &have));
	}
	assert_int_equal(n, ROUNDS);
}

/* What no device leaves behind is damage, and not handed out. */
static void test_foreign_damaged(void **state)
{
	static const struct {
		const char *why;
		size_t at;
		uint8_t byte;
	} rows[] = {
		{ "no protocol", 0, 0 },
		{ "a protocol that is not known", 0, FOREIGN__END },
		{ "a state that is not known", 1, FOREIGN_STATE__COUNT },
		{ "a flag that is not known", 2, 16 },
		{ "a number of an action beyond 31 bits", 8, 128 },
		{ "a name with an end in it", 64, 0 },
	};
	struct rng r = { 78 };
	struct stored_foreign f = random_foreign(&r);
	uint8_t id[ID_LEN] = { 1 }, good[256], bad[256];
	struct bytes v;
	size_t n;

	(void)state;
	foreign_put(&txn, id, &f);
	assert_true(store_get(&txn, STORE_FOREIGN, bytes_of(id, ID_LEN), &v));
	n = v.n;
	memcpy(good, v.p, n);
	for (size_t i = 0; i <= COUNT(rows); i++) {
		memcpy(bad, good, n);
		if (i < COUNT(rows))
			bad[rows[i].at] = rows[i].byte;
		/* The last one has no name. */
		store_put(&txn, STORE_FOREIGN, bytes_of(id, ID_LEN),
			bytes_of(bad, i < COUNT(rows) ? n : 64));
		if (foreign_get(&txn, id, &f) || txn.err != ERR_CORRUPT)
			fail_msg("%s", i < COUNT(rows) ? rows[i].why : "no name");
		txn.err = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_devices),
		IN_STORE(test_damaged_devices),
		IN_STORE(test_keys),
		IN_STORE(test_tokens),
		IN_STORE(test_key_hash),
		IN_STORE(test_waiting),
		IN_STORE(test_foreign),
		IN_STORE(test_foreign_damaged),
		IN_STORE(test_log),
		IN_STORE(test_envelopes),
		IN_STORE(test_numbers),
		cmocka_unit_test(test_build_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
