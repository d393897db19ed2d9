/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rng.h"
#include "store_world.h"

static void test_commit(void **state)
{
	struct store *s = open_store(MAP);
	struct store_txn t, reader;

	(void)state;
	store_begin(s, &t, true);
	put(&t, "a", "one");
	put(&t, "b", "");
	assert_true(has(&t, "a", "one"));
	/* Nobody else sees it before it is committed. */
	store_begin(s, &reader, false);
	assert_false(has(&reader, "a", "one"));
	assert_int_equal(store_commit(&t), 0);
	assert_false(has(&reader, "a", "one"));
	store_abort(&reader);
	store_close(s);

	s = open_store(MAP);
	store_begin(s, &t, false);
	assert_true(has(&t, "a", "one"));
	assert_true(has(&t, "b", ""));
	assert_false(has(&t, "c", ""));
	assert_int_equal(t.err, 0);
	store_abort(&t);
	store_abort(&t);
	store_close(s);
	store_close(NULL);
}

static void test_abort(void **state)
{
	struct store *s = open_store(MAP);
	struct store_txn t;

	(void)state;
	store_begin(s, &t, true);
	put(&t, "a", "one");
	store_abort(&t);
	store_begin(s, &t, true);
	assert_false(has(&t, "a", "one"));
	put(&t, "a", "two");
	assert_int_equal(store_commit(&t), 0);
	store_begin(s, &t, true);
	put(&t, "a", "three");
	store_delete(&t, STORE_ENVELOPE, bytes_str("a"));
	store_delete(&t, STORE_ENVELOPE, bytes_str("nothing"));
	assert_false(has(&t, "a", "three"));
	store_abort(&t);
	store_begin(s, &t, false);
	assert_true(has(&t, "a", "two"));
	store_abort(&t);
	store_close(s);
}

/* Once something failed nothing more happens, and the commit tells what it was. */
static void test_sticky_error(void **state)
{
	struct store *s = open_store(MAP);
	struct store_cursor c;
	struct store_txn t;
	struct bytes v = { 0 };

	(void)state;
	store_begin(s, &t, true);
	put(&t, "a", "one");
	assert_int_equal(store_commit(&t), 0);
	store_begin(s, &t, true);
	put(&t, "b", "two");
	t.err = ERR_CORRUPT;
	put(&t, "c", "three");
	store_delete(&t, STORE_ENVELOPE, bytes_str("a"));
	assert_false(store_get(&t, STORE_ENVELOPE, bytes_str("a"), &v));
	assert_false(store_last(&t, STORE_ENVELOPE, bytes_str("a"), &v));
	assert_int_equal(store_count(&t, STORE_ENVELOPE), 0);
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str(""))
		fail();
	assert_int_equal(t.err, ERR_CORRUPT);
	assert_int_equal(store_commit(&t), ERR_CORRUPT);

	store_begin(s, &t, true);
	assert_int_equal(t.err, 0);
	assert_true(has(&t, "a", "one"));
	assert_false(has(&t, "b", "two"));
	store_abort(&t);
	store_close(s);
}

/* Writing in a transaction that only reads is such an error. */
static void test_read_only(void **state)
{
	struct store *s = open_store(MAP);
	struct store_txn t;

	(void)state;
	store_begin(s, &t, false);
	put(&t, "a", "one");
	assert_int_equal(t.err, ERR_STORE);
	assert_int_equal(store_commit(&t), ERR_STORE);
	store_close(s);
}

static void test_tables_are_apart(void **state)
{
	struct store *s = open_store(MAP);
	struct store_txn t;
	struct bytes v;

	(void)state;
	store_begin(s, &t, true);
	for (unsigned i = 0; i < STORE__COUNT; i++)
		store_put(&t, i, bytes_str("key"), bytes_of(&i, sizeof(i)));
	for (unsigned i = 0; i < STORE__COUNT; i++) {
		assert_true(store_get(&t, i, bytes_str("key"), &v));
		assert_true(bytes_eq(v, bytes_of(&i, sizeof(i))));
		/* The numbers of the format and of the last commit are in the first. */
		assert_int_equal(store_count(&t, i), i == STORE_META ? 3 : 1);
	}
	assert_int_equal(store_commit(&t), 0);
	store_close(s);
}

static const char *const keys[] = { "a", "ab", "ab/1", "ab/2", "ab0", "abc", "b", "b/1" };

static void fill(struct store *s)
{
	struct store_txn t;

	store_begin(s, &t, true);
	for (size_t i = COUNT(keys); i-- > 0;)
		put(&t, keys[i], keys[i]);
	/* The highest bytes there are. */
	store_put(&t, STORE_ENVELOPE, bytes_of("\xff", 1), bytes_str("x"));
	store_put(&t, STORE_ENVELOPE, bytes_of("\xff\xff\x01", 3), bytes_str("y"));
	assert_int_equal(store_commit(&t), 0);
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *prefix, *from; /* from NULL: the prefix */
		const char *want;
	} row[] = {
		{ "", NULL, "a ab ab/1 ab/2 ab0 abc b b/1 \xff \xff\xff\x01 " },
		{ "a", NULL, "a ab ab/1 ab/2 ab0 abc " },
		{ "ab", NULL, "ab ab/1 ab/2 ab0 abc " },
		{ "ab/", NULL, "ab/1 ab/2 " },
		{ "ab/2", NULL, "ab/2 " },
		{ "ab/3", NULL, "" },
		{ "b", NULL, "b b/1 " },
		{ "c", NULL, "" },
		{ "\xff", NULL, "\xff \xff\xff\x01 " },
		{ "\xff\xff", NULL, "\xff\xff\x01 " },
		{ "\xff\xff\xff", NULL, "" },
		{ "ab", "ab/2", "ab/2 ab0 abc " },
		{ "ab", "ab/15", "ab/2 ab0 abc " },
		{ "ab", "abd", "" },
		{ "", "b", "b b/1 \xff \xff\xff\x01 " },
	};
	struct store *s = open_store(MAP);

	(void)state;
	fill(s);
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *from = row[i].from != NULL ? row[i].from : row[i].prefix;
		struct store_cursor c;
		struct store_txn t;
		char have[128] = "";
		store_begin(s, &t, false);
		store_seek_from(&c, &t, STORE_ENVELOPE, bytes_str(row[i].prefix), bytes_str(from));
		while (store_next(&c)) {
			(void)strncat(have, (const char *)c.key.p, c.key.n);
			(void)strcat(have, " ");
		}
		assert_null(c.mdb);
		assert_int_equal(t.err, 0);
		store_abort(&t);
		assert_string_equal(have, row[i].want);
	}
	store_close(s);
}

static void test_last(void **state)
{
	static const struct {
		const char *prefix, *want;
	} row[] = {
		{ "", "\xff\xff\x01" },
		{ "a", "abc" },
		{ "ab/", "ab/2" },
		{ "ab/1", "ab/1" },
		{ "abc", "abc" },
		{ "abcd", NULL },
		{ "0", NULL },
		{ "b", "b/1" },
		{ "c", NULL },
		{ "\xff", "\xff\xff\x01" },
		{ "\xff\xff\xff", NULL },
	};
	struct store *s = open_store(MAP);
	struct store_txn t;
	struct bytes key;

	(void)state;
	store_begin(s, &t, false);
	assert_false(store_last(&t, STORE_ENVELOPE, bytes_str(""), &key));
	assert_int_equal(t.err, 0);
	store_abort(&t);
	fill(s);
	store_begin(s, &t, false);
	for (size_t i = 0; i < COUNT(row); i++) {
		bool found = store_last(&t, STORE_ENVELOPE, bytes_str(row[i].prefix), &key);
		if (found != (row[i].want != NULL) ||
			(found && !bytes_eq(key, bytes_str(row[i].want))))
			fail_msg("'%s': %.*s", row[i].prefix, found ? (int)key.n : 4,
				found ? (const char *)key.p : "none");
	}
	assert_int_equal(t.err, 0);
	store_abort(&t);
	store_close(s);
}

/* Left in the middle, as the header asks: nothing stays behind (with a leak checker).
 */
static void test_leaving_a_cursor(void **state)
{
	struct store *s = open_store(MAP);
	struct store_cursor c;
	struct store_txn t;

	(void)state;
	fill(s);
	store_begin(s, &t, false);
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str("a")) {
		store_cursor_close(&c);
		break;
	}
	assert_true(bytes_eq(c.value, bytes_str("a")));
	assert_false(store_next(&c));
	store_cursor_close(&c);
	store_abort(&t);
	store_close(s);
}

/* A record that cannot be read ends the loop, and closes the cursor. */
static void test_error_in_a_loop(void **state)
{
	struct store *s = open_store(MAP);
	struct store_cursor c;
	struct store_txn t;
	unsigned n = 0;

	(void)state;
	fill(s);
	store_begin(s, &t, false);
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str("a")) {
		t.err = ERR_CORRUPT;
		n++;
	}
	assert_int_equal(n, 1);
	assert_null(c.mdb);
	assert_int_equal(store_commit(&t), ERR_CORRUPT);
	store_close(s);
}

/* Against a model: as many keys as a hundred random transactions leave. */
static void test_random(void **state)
{
	struct store *s = open_store(MAP);
	uint8_t model[200] = { 0 }, next[200];
	struct rng r = { 20 };

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct store_txn t;
		store_begin(s, &t, true);
		memcpy(next, model, sizeof(next));
		for (unsigned i = 0; i < 30; i++) {
			uint8_t k = (uint8_t)rng_below(&r, sizeof(model));
			next[k] = (uint8_t)rng_below(&r, 4);
			if (next[k] == 0)
				store_delete(&t, STORE_KEY, bytes_of(&k, 1));
			else
				store_put(&t, STORE_KEY, bytes_of(&k, 1), bytes_of(&next[k], 1));
		}
		if (rng_below(&r, 3) == 0) {
			store_abort(&t);
			continue;
		}
		assert_int_equal(store_commit(&t), 0);
		memcpy(model, next, sizeof(model));
	}
	struct store_txn t;
	struct bytes v;
	uint64_t n = 0;
	store_begin(s, &t, false);
	for (uint8_t k = 0; k < sizeof(model); k++) {
		bool found = store_get(&t, STORE_KEY, bytes_of(&k, 1), &v);
		assert_int_equal(found, model[k] != 0);
		assert_true(!found || v.p[0] == model[k]);
		n += found;
	}
	assert_int_equal(store_count(&t, STORE_KEY), n);
	store_abort(&t);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_commit),
		IN_TMPDIR(test_abort),
		IN_TMPDIR(test_sticky_error),
		IN_TMPDIR(test_read_only),
		IN_TMPDIR(test_tables_are_apart),
		IN_TMPDIR(test_prefixes),
		IN_TMPDIR(test_last),
		IN_TMPDIR(test_leaving_a_cursor),
		IN_TMPDIR(test_error_in_a_loop),
		IN_TMPDIR(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
