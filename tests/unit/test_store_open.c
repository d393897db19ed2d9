/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that are not ours, or too small. */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

#include "store_world.h"

static void test_other_format(void **state)
{
	static const struct {
		const char *why;
		uint8_t bytes[5];
		size_t n;
		const char *want;
	} row[] = {
		{ "the next one", { 0, 0, 0, 2 }, 4,
			"store: written by another version (format 2, this is 1)" },
		{ "none", { 0, 0, 0, 0 }, 4,
			"store: written by another version (format 0, this is 1)" },
		{ "too long", { 0, 0, 0, 1, 0 }, 5,
			"store: written by another version (format 0, this is 1)" },
		{ "empty", { 0 }, 0, "store: written by another version (format 0, this is 1)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct store *s = open_store(MAP);
		struct store_txn t;
		char error[256] = "";
		store_begin(s, &t, true);
		store_put(&t, STORE_META, bytes_str("format"), bytes_of(row[i].bytes, row[i].n));
		assert_int_equal(store_commit(&t), 0);
		store_close(s);
		assert_int_equal(store_open(tmpdir_path("store"), MAP, &s, error), ERR_STORE);
		assert_string_equal(error, row[i].want);
		assert_int_equal(tmpdir_drop(NULL), 0);
		assert_int_equal(tmpdir_make(NULL), 0);
	}
}

static void test_open_errors(void **state)
{
	struct store *s;
	char error[256] = "";
	FILE *f;

	(void)state;
	assert_int_equal(store_open(tmpdir_path("none/store"), MAP, &s, error), ERR_STORE);
	assert_non_null(strstr(error, "No such file or directory"));
	/* Something else stands in its place. */
	f = fopen(tmpdir_path("store"), "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(store_open(tmpdir_path("store"), MAP, &s, error), ERR_STORE);
	/* No LMDB. */
	assert_int_equal(mkdir(tmpdir_path("other"), 0700), 0);
	f = fopen(tmpdir_path("other/data.mdb"), "we");
	assert_non_null(f);
	for (unsigned i = 0; i < 20000; i++)
		assert_true(fputc('x', f) == 'x');
	assert_int_equal(fclose(f), 0);
	assert_int_equal(store_open(tmpdir_path("other"), MAP, &s, error), ERR_STORE);
	assert_non_null(strstr(error, tmpdir_path("other")));
}

/* Full: the transaction fails as a whole, the store serves on, and takes what fits. */
static void test_map_full(void **state)
{
	static uint8_t big[100000];
	struct store *s = open_store(1 << 20);
	struct store_txn t;
	char key[16];

	(void)state;
	store_begin(s, &t, true);
	put(&t, "a", "one");
	assert_int_equal(store_commit(&t), 0);
	for (unsigned round = 0; round < 3; round++) {
		store_begin(s, &t, true);
		put(&t, "b", "two");
		for (unsigned i = 0; i < 20; i++) {
			(void)snprintf(key, sizeof(key), "big%u", i);
			store_put(&t, STORE_ENVELOPE, bytes_str(key), bytes_of(big, sizeof(big)));
		}
		assert_int_equal(store_commit(&t), -ENOSPC);
		store_begin(s, &t, false);
		assert_true(has(&t, "a", "one"));
		assert_false(has(&t, "b", "two"));
		store_abort(&t);
	}
	store_begin(s, &t, true);
	put(&t, "c", "three");
	assert_int_equal(store_commit(&t), 0);
	store_close(s);
	/* More room, and all goes on. */
	s = open_store(MAP);
	store_begin(s, &t, true);
	assert_true(has(&t, "c", "three"));
	store_put(&t, STORE_ENVELOPE, bytes_str("big"), bytes_of(big, sizeof(big)));
	assert_int_equal(store_commit(&t), 0);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_other_format),
		IN_TMPDIR(test_open_errors),
		IN_TMPDIR(test_map_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
