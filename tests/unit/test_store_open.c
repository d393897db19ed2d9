/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that are not ours, or too small. */
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_world.h"

#define DAMAGED ": its format number is damaged; huiductl store restore puts a backup in its place"

static void test_other_format(void **state)
{
	static const struct {
		const char *why;
		uint8_t bytes[5];
		size_t n;
		const char *want;
	} row[] = {
		{ "the next one", { 0, 0, 0, 5 }, 4,
			" was written by a newer huidu (format 5, this one knows 4): start that "
			"one" },
		{ "the last there is", { 255, 255, 255, 254 }, 4,
			" was written by a newer huidu (format 4294967294, this one knows 4): "
			"start that one" },
		{ "none", { 0, 0, 0, 0 }, 4, DAMAGED },
		{ "too long", { 0, 0, 0, 2, 0 }, 5, DAMAGED },
		{ "that which had no checksums", { 0, 0, 0, 1 }, 4, DAMAGED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct store *s = open_store(MAP);
		struct store_txn t;
		char error[256] = "", want[256];
		store_begin(s, &t, true);
		store_put(&t, STORE_META, bytes_str("format"), bytes_of(row[i].bytes, row[i].n));
		assert_int_equal(store_commit(&t), 0);
		store_close(s);
		(void)snprintf(
			want, sizeof(want), "store: %s%s", tmpdir_path("store"), row[i].want);
		assert_int_equal(store_open(tmpdir_path("store"), MAP, &s, error), ERR_STORE);
		assert_string_equal(error, want);
		assert_int_equal(store_open_read(tmpdir_path("store"), &s, error), ERR_STORE);
		assert_string_equal(error, want);
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

static void put_big(struct store_txn *t, unsigned from, unsigned n)
{
	static uint8_t big[100000];
	uint8_t key[4];

	for (unsigned i = from; i < from + n; i++) {
		put_be32(key, i);
		memset(big, (int)i, sizeof(big));
		store_put(t, STORE_ENVELOPE, bytes_of(key, 4), bytes_of(big, sizeof(big)));
	}
}

/* What was deleted makes room, in the same store and without opening it anew. */
static void test_room_from_deletes(void **state)
{
	struct store *s = open_store(2 << 20);
	struct store_txn t;
	uint8_t key[4];
	unsigned n = 0;

	(void)state;
	do {
		store_begin(s, &t, true);
		put_big(&t, n++, 1);
	} while (store_commit(&t) == 0);
	assert_int_equal(t.err, -ENOSPC);
	assert_true(n > 10);
	store_begin(s, &t, true);
	for (unsigned i = 0; i < n / 2; i++) {
		put_be32(key, i);
		store_delete(&t, STORE_ENVELOPE, bytes_of(key, 4));
	}
	assert_int_equal(store_commit(&t), 0);
	/* Pages freed by a commit are used again from the next but one on. */
	for (unsigned i = 0; i < 3; i++) {
		store_begin(s, &t, true);
		put(&t, "a", "one");
		assert_int_equal(store_commit(&t), 0);
	}
	store_begin(s, &t, true);
	put_big(&t, n, n / 4);
	assert_int_equal(store_commit(&t), 0);
	store_close(s);
}

/* A store made by who gave it little grows past that, while a reader looks on. */
static void test_growth(void **state)
{
	struct store *s = open_store(1 << 20), *reader;
	struct store_txn t;
	struct bytes v;
	uint8_t key[4];
	char error[256] = "";

	(void)state;
	store_close(s);
	s = open_store(STORE_ROOM);
	store_begin(s, &t, true);
	put(&t, "a", "one");
	assert_int_equal(store_commit(&t), 0);
	assert_int_equal(store_open_read(tmpdir_path("store"), &reader, error), 0);
	for (unsigned i = 0; i < 4; i++) {
		store_begin(s, &t, true);
		put_big(&t, 50 * i, 50);
		assert_int_equal(store_commit(&t), 0);
		store_begin(reader, &t, false);
		assert_int_equal(store_count(&t, STORE_ENVELOPE), 50 * i + 51);
		put_be32(key, 50 * i + 49);
		assert_true(store_get(&t, STORE_ENVELOPE, bytes_of(key, 4), &v));
		assert_int_equal(v.n, 100000);
		assert_int_equal(v.p[99999], (uint8_t)(50 * i + 49));
		store_abort(&t);
	}
	store_close(reader);
	store_close(s);
}

static uint64_t address_space(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &pages), 1);
	assert_int_equal(fclose(f), 0);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own: with `room` bytes of address space left. */
static bool opens_within(uint64_t room)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = { .rlim_cur = address_space() + room,
			.rlim_max = RLIM_INFINITY };
		struct store *s;
		struct store_txn t;
		char error[256];
		bool ok = setrlimit(RLIMIT_AS, &limit) == 0 &&
			store_open(tmpdir_path("store"), STORE_ROOM, &s, error) == 0;
		if (ok) {
			store_begin(s, &t, true);
			put(&t, "a", "one");
			ok = store_commit(&t) == 0;
			store_close(s);
		}
		_exit(ok ? 0 : 1);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void test_little_address_space(void **state)
{
	struct store *s;
	struct store_txn t;

	(void)state;
	assert_true(opens_within((uint64_t)8 << 30));
	assert_true(opens_within((uint64_t)3 << 29));
	assert_false(opens_within((uint64_t)1 << 29));
	s = open_store(MAP);
	store_begin(s, &t, false);
	assert_true(has(&t, "a", "one"));
	store_abort(&t);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_other_format),
		IN_TMPDIR(test_open_errors),
		IN_TMPDIR(test_map_full),
		IN_TMPDIR(test_room_from_deletes),
		IN_TMPDIR(test_growth),
		IN_TMPDIR(test_little_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
