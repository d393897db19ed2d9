/* SPDX-License-Identifier: Apache-2.0 */
/* Records that the disk changed. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store_world.h"

#define KEY "key-of-the-record"
/* Long enough to stand twice in no file, in a page of its own or not. */
#define SHORT "the value of the record, as it was written"

static char *data_path(void)
{
	return tmpdir_path("store/data.mdb");
}

/* Turns one bit of the file at `at`. */
static void flip(off_t at, unsigned bit)
{
	int fd = open(data_path(), O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= (uint8_t)(1u << bit);
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

/* Where these bytes stand in the file, from `from` on; -1: nowhere. */
static off_t find(const void *what, size_t n, off_t from)
{
	int fd = open(data_path(), O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *all, *hit;
	off_t at;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	all = malloc((size_t)st.st_size);
	assert_non_null(all);
	assert_int_equal(read(fd, all, (size_t)st.st_size), st.st_size);
	hit = memmem(all + from, (size_t)(st.st_size - from), what, n);
	at = hit == NULL ? -1 : hit - all;
	free(all);
	assert_int_equal(close(fd), 0);
	return at;
}

static void write_one(const void *value, size_t n)
{
	struct store *s = open_store(MAP);
	struct store_txn t;

	store_begin(s, &t, true);
	put(&t, "a neighbour", "one");
	store_put(&t, STORE_ENVELOPE, bytes_str(KEY), bytes_of(value, n));
	put(&t, "z neighbour", "two");
	assert_int_equal(store_commit(&t), 0);
	store_close(s);
}

/* What get, a loop and a tolerant loop make of it. */
static void check_is_found(const char *why, size_t at)
{
	struct store *s = open_store(MAP);
	struct store_cursor c;
	struct store_txn t;
	struct bytes v;
	unsigned n = 0, bad = 0;

	store_begin(s, &t, false);
	if (store_get(&t, STORE_ENVELOPE, bytes_str(KEY), &v) || t.err != ERR_CORRUPT)
		fail_msg("%s, byte %zu: read, %s", why, at, err_str(t.err));
	/* And nothing more in this transaction. */
	assert_false(has(&t, "a neighbour", "one"));
	store_abort(&t);

	store_begin(s, &t, false);
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str(""))
		n++;
	assert_null(c.mdb);
	assert_int_equal(n, 1);
	assert_int_equal(store_commit(&t), ERR_CORRUPT);

	store_begin(s, &t, false);
	t.tolerant = true;
	n = 0;
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str("")) {
		n++;
		bad += c.damaged;
		assert_int_equal(c.damaged, bytes_eq(c.key, bytes_str(KEY)));
	}
	assert_int_equal(n, 3);
	assert_int_equal(bad, 1);
	assert_int_equal(t.err, 0);
	assert_true(has(&t, "z neighbour", "two"));
	store_abort(&t);
	store_close(s);
}

/* Every byte of the value, and of the four behind it; in a page with others and in pages of its own. */
static void test_value(void **state)
{
	static uint8_t large[9000];
	const struct {
		const char *why;
		const void *value;
		size_t n, step;
	} row[] = {
		{ "short", SHORT, sizeof(SHORT) - 1, 1 },
		{ "large", large, sizeof(large), 97 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t i = 0; i < COUNT(row); i++) {
		write_one(row[i].value, row[i].n);
		off_t at = find(row[i].value, row[i].n, 0);
		assert_true(at > 0 && find(row[i].value, row[i].n, at + 1) < 0);
		for (size_t k = 0; k < row[i].n + 4; k += k + 5 < row[i].n ? row[i].step : 1) {
			flip(at + (off_t)k, k % 8);
			check_is_found(row[i].why, k);
			flip(at + (off_t)k, k % 8);
		}
		struct store *s = open_store(MAP);
		struct store_txn t;
		struct bytes v;
		store_begin(s, &t, false);
		assert_true(store_get(&t, STORE_ENVELOPE, bytes_str(KEY), &v));
		assert_true(bytes_eq(v, bytes_of(row[i].value, row[i].n)));
		store_abort(&t);
		store_close(s);
		assert_int_equal(tmpdir_drop(NULL), 0);
		assert_int_equal(tmpdir_make(NULL), 0);
	}
}

/* A value under another key is no value. */
static void test_elsewhere(void **state)
{
	struct store *s;
	struct store_cursor c;
	struct store_txn t;
	struct bytes v;
	off_t at;

	(void)state;
	write_one(SHORT, sizeof(SHORT) - 1);
	at = find(KEY, sizeof(KEY) - 1, 0);
	assert_true(at > 0 && find(KEY, sizeof(KEY) - 1, at + 1) < 0);
	flip(at + 3, 0);
	s = open_store(MAP);
	store_begin(s, &t, false);
	assert_false(store_get(&t, STORE_ENVELOPE, bytes_str(KEY), &v));
	assert_int_equal(t.err, 0);
	store_foreach(&c, &t, STORE_ENVELOPE, bytes_str(""))
		assert_true(bytes_eq(c.key, bytes_str("a neighbour")));
	assert_int_equal(t.err, ERR_CORRUPT);
	store_abort(&t);
	store_close(s);
	flip(at + 3, 0);
}

/* The empty value, and the one that is as long as a checksum. */
static void test_shortest(void **state)
{
	static const char *const values[] = { "", "1234" };

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct store *s = open_store(MAP);
		struct store_txn t;
		store_begin(s, &t, true);
		put(&t, "a", values[i]);
		assert_true(has(&t, "a", values[i]));
		assert_int_equal(store_commit(&t), 0);
		store_begin(s, &t, false);
		assert_true(has(&t, "a", values[i]));
		assert_false(has(&t, "a", "other"));
		store_abort(&t);
		store_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_value),
		IN_TMPDIR(test_elsewhere),
		IN_TMPDIR(test_shortest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
