/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "proto/crypto.h"
#include "rng.h"
#include "server/artifact/artifact.h"
#include "server/base/file.h"
#include "tmpdir.h"

#define FILE_LEN 20000u

static uint8_t data[FILE_LEN], sha[SHA256_LEN];

static int fill(void **state)
{
	struct rng r = { 19 };
	struct bytes all = bytes_of(data, FILE_LEN);

	rng_fill(&r, data, sizeof(data));
	return crypto_sha256(&all, 1, sha) != 0 || tmpdir_make(state) != 0;
}

static struct artifacts *open_all(void)
{
	struct artifacts *a;

	assert_int_equal(artifacts_open(tmpdir_path("artifacts"), &a), 0);
	return a;
}

static int put(struct artifacts *a, uint64_t offset, size_t n)
{
	return artifact_upload(a, sha, FILE_LEN, offset, bytes_of(data + offset, n));
}

/* Everything in the store, folders aside. */
static unsigned count_files(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		char full[512];
		struct stat st;
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(full, sizeof(full), "%s/%s", path, e->d_name);
		assert_int_equal(lstat(full, &st), 0);
		n += S_ISDIR(st.st_mode) ? count_files(full) : 1;
	}
	(void)closedir(dir);
	return n;
}

static void check_there(struct artifacts *a)
{
	uint8_t have[FILE_LEN + 1];
	char hex[2 * SHA256_LEN + 1], path[256];
	uint64_t length = 0;
	struct stat st;
	int fd = -1;

	assert_true(artifact_exists(a, sha));
	assert_int_equal(artifact_open(a, sha, &fd, &length), 0);
	assert_int_equal(length, FILE_LEN);
	assert_int_equal(read(fd, have, sizeof(have)), FILE_LEN);
	assert_memory_equal(have, data, FILE_LEN);
	assert_int_equal(close(fd), 0);
	/* Named by what is in it, and nothing beside it. */
	(void)snprintf(path, sizeof(path), "%s/%02x/%s", tmpdir_path("artifacts"), sha[0],
		hex_encode(hex, sha, SHA256_LEN));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count_files(tmpdir_path("artifacts")), 1);
}

static void check_gone(struct artifacts *a)
{
	uint64_t length;
	int fd;

	assert_false(artifact_exists(a, sha));
	assert_int_equal(artifact_open(a, sha, &fd, &length), ERR_NOT_FOUND);
}

static void test_pieces(void **state)
{
	static const size_t pieces[] = { FILE_LEN, FILE_LEN - 1, 7000, 999 };
	struct artifacts *a;

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		a = open_all();
		for (uint64_t at = 0; at < FILE_LEN; at += pieces[i]) {
			size_t left = FILE_LEN - at;
			assert_int_equal(artifact_received(a, sha), at);
			assert_int_equal(put(a, at, left < pieces[i] ? left : pieces[i]), 0);
		}
		check_there(a);
		assert_int_equal(artifact_received(a, sha), 0);
		artifacts_close(a);
	}
	/* And after a restart. */
	a = open_all();
	check_there(a);
	artifacts_close(a);
	artifacts_close(NULL);
}

static void test_empty_file(void **state)
{
	struct artifacts *a = open_all();
	uint8_t empty[SHA256_LEN];
	uint64_t length = 1;
	int fd;

	(void)state;
	assert_int_equal(crypto_sha256(NULL, 0, empty), 0);
	assert_int_equal(artifact_upload(a, empty, 0, 0, bytes_of(NULL, 0)), 0);
	assert_int_equal(artifact_open(a, empty, &fd, &length), 0);
	assert_int_equal(length, 0);
	assert_int_equal(close(fd), 0);
	artifacts_close(a);
}

static void test_wrong_hash(void **state)
{
	struct artifacts *a = open_all();
	uint8_t wrong[FILE_LEN];

	(void)state;
	memcpy(wrong, data, sizeof(wrong));
	wrong[FILE_LEN - 1] ^= 1;
	assert_int_equal(
		artifact_upload(a, sha, FILE_LEN, 0, bytes_of(wrong, FILE_LEN)), ERR_BAD_HASH);
	check_gone(a);
	assert_int_equal(count_files(tmpdir_path("artifacts")), 0);
	/* Shorter than it says it is. */
	assert_int_equal(artifact_upload(a, sha, FILE_LEN - 1, 0, bytes_of(data, FILE_LEN - 1)),
		ERR_BAD_HASH);
	check_gone(a);
	/* The next honest one succeeds, and a bad one does not take it away. */
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	assert_int_equal(
		artifact_upload(a, sha, FILE_LEN, 0, bytes_of(wrong, FILE_LEN)), ERR_BAD_HASH);
	check_there(a);
	artifacts_close(a);
}

static void test_out_of_order(void **state)
{
	static const struct {
		const char *why;
		uint64_t offset;
		size_t n;
		int want;
	} row[] = {
		{ "a gap", 5001, 10, ERR_CONFLICT },
		{ "again", 4999, 10, ERR_CONFLICT },
		{ "beyond the end", 5000, FILE_LEN - 5000 + 1, ERR_BAD_RANGE },
		{ "from beyond the end", FILE_LEN + 1, 0, ERR_BAD_RANGE },
		{ "far beyond", UINT64_MAX, 5, ERR_BAD_RANGE },
		{ "at the end, out of nothing", FILE_LEN, 0, ERR_CONFLICT },
	};
	struct artifacts *a = open_all();

	(void)state;
	assert_int_equal(put(a, 5000, 10), ERR_CONFLICT); /* nothing was begun */
	assert_int_equal(put(a, 0, 5000), 0);
	for (size_t i = 0; i < COUNT(row); i++) {
		int err =
			artifact_upload(a, sha, FILE_LEN, row[i].offset, bytes_of(data, row[i].n));
		if (err != row[i].want)
			fail_msg("%s: %s", row[i].why, err_name(err));
		/* It can go on all the same. */
		assert_int_equal(artifact_received(a, sha), 5000);
	}
	assert_int_equal(put(a, 5000, FILE_LEN - 5000), 0);
	check_there(a);
	artifacts_close(a);
}

/* Several are under way, each at its own place. */
static void test_interleaved(void **state)
{
	struct artifacts *a = open_all();
	uint8_t other[SHA256_LEN], half[FILE_LEN / 2];
	struct bytes all = bytes_of(half, sizeof(half));

	(void)state;
	memcpy(half, data, sizeof(half));
	assert_int_equal(crypto_sha256(&all, 1, other), 0);
	assert_int_equal(put(a, 0, 5000), 0);
	/* Of another file: not in the middle of this one. */
	assert_int_equal(
		artifact_upload(a, other, sizeof(half), 5000, bytes_of(half, 1)), ERR_CONFLICT);
	assert_int_equal(artifact_received(a, other), 0);
	assert_int_equal(artifact_upload(a, other, sizeof(half), 0, bytes_of(half, 1)), 0);
	assert_int_equal(put(a, 5000, 1), 0);
	assert_int_equal(artifact_received(a, other), 1);
	assert_int_equal(artifact_received(a, sha), 5001);
	/* The first piece again begins anew, that file alone. */
	assert_int_equal(put(a, 0, 100), 0);
	assert_int_equal(
		artifact_upload(a, other, sizeof(half), 1, bytes_of(half + 1, sizeof(half) - 1)),
		0);
	assert_true(artifact_exists(a, other));
	assert_int_equal(artifact_received(a, sha), 100);
	assert_int_equal(put(a, 100, FILE_LEN - 100), 0);
	assert_true(artifact_exists(a, sha));
	artifacts_close(a);
}

/* Eight may be open; one that the others have passed by makes room, and goes on later. */
static void test_many(void **state)
{
	struct artifacts *a = open_all();
	uint8_t id[SHA256_LEN] = { 0 };
	int err = ERR_BUSY;
	unsigned tries = 0;

	(void)state;
	assert_int_equal(put(a, 0, 5000), 0);
	for (id[0] = 1; id[0] < 8; id[0]++)
		assert_int_equal(artifact_upload(a, id, FILE_LEN, 0, bytes_of(data, 10)), 0);
	for (; err == ERR_BUSY && tries < 100; tries++) {
		err = artifact_upload(a, id, FILE_LEN, 0, bytes_of(data, 10));
		if (err == ERR_BUSY)
			assert_non_null(strstr(artifact_why(a), "8 other files"));
	}
	assert_int_equal(err, 0);
	assert_in_range(tries, 20, 80);
	assert_int_equal(artifact_checked(a, sha), 0); /* it was the one */
	assert_int_equal(artifact_received(a, sha), 5000);
	/* The others are no busier now: the oldest of them makes room for it. */
	assert_int_equal(put(a, 5000, 0), 0);
	assert_int_equal(put(a, 5000, FILE_LEN - 5000), 0);
	assert_true(artifact_exists(a, sha));
	artifacts_close(a);
}

/* Half an upload, then a restart: it goes on once what is there was read again. */
static void test_restart(void **state)
{
	struct artifacts *a = open_all();

	(void)state;
	assert_int_equal(put(a, 0, 5000), 0);
	artifacts_close(a);
	a = open_all();
	check_gone(a);
	assert_int_equal(artifact_received(a, sha), 5000);
	assert_int_equal(artifact_checked(a, sha), 0);
	assert_int_equal(put(a, 4000, 10), ERR_CONFLICT);
	assert_int_equal(put(a, 5000, 0), 0);
	assert_int_equal(artifact_checked(a, sha), 5000);
	assert_int_equal(put(a, 5000, FILE_LEN - 5000), 0);
	check_there(a);
	assert_int_equal(artifact_received(a, sha), 0);
	artifacts_close(a);
}

/* A large one is read in steps; killed before its last step it is whole at once. */
static void test_steps(void **state)
{
	const size_t n = 21u << 20;
	uint8_t *large = calloc(1, n), id[SHA256_LEN];
	struct bytes all = bytes_of(large, n);
	struct artifacts *a = open_all();
	char hex[2 * SHA256_LEN + 1], path[256];
	uint64_t last = 0;
	unsigned calls = 0;

	(void)state;
	assert_non_null(large);
	memcpy(large + n - FILE_LEN, data, FILE_LEN);
	assert_int_equal(crypto_sha256(&all, 1, id), 0);
	(void)snprintf(path, sizeof(path), "%s/upload/%s", tmpdir_path("artifacts"),
		hex_encode(hex, id, SHA256_LEN));
	assert_int_equal(file_create(path, all, 0600), 0);
	assert_int_equal(artifact_received(a, id), n);
	for (; !artifact_exists(a, id); calls++) {
		assert_int_equal(artifact_upload(a, id, n, n, bytes_of(NULL, 0)), 0);
		if (artifact_exists(a, id))
			break;
		assert_in_range(artifact_checked(a, id), last + 1, last + (4u << 20));
		last = artifact_checked(a, id);
	}
	assert_int_equal(calls, 5);
	free(large);
	artifacts_close(a);
}

/* What a power failure left of it is found out at the end, and thrown away. */
static void test_damaged(void **state)
{
	struct artifacts *a = open_all();
	char hex[2 * SHA256_LEN + 1], path[256];
	int fd;

	(void)state;
	assert_int_equal(put(a, 0, 5000), 0);
	artifacts_close(a);
	(void)snprintf(path, sizeof(path), "%s/upload/%s", tmpdir_path("artifacts"),
		hex_encode(hex, sha, SHA256_LEN));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 4000), 4);
	assert_int_equal(close(fd), 0);
	a = open_all();
	assert_int_equal(put(a, 5000, 0), 0);
	assert_int_equal(put(a, 5000, FILE_LEN - 5000), ERR_BAD_HASH);
	assert_int_equal(artifact_received(a, sha), 0);
	assert_int_equal(count_files(tmpdir_path("artifacts")), 0);
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	check_there(a);
	artifacts_close(a);
}

/* The one upload of earlier versions was a file where now is a folder. */
static void test_earlier_version(void **state)
{
	struct artifacts *a = open_all();
	const char *path = tmpdir_path("artifacts/upload");

	(void)state;
	artifacts_close(a);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(file_create(path, bytes_of(data, 10), 0600), 0);
	a = open_all();
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	check_there(a);
	artifacts_close(a);
}

/* Before the first byte. */
static void test_too_large(void **state)
{
	struct artifacts *a = open_all();

	(void)state;
	assert_int_equal(artifact_upload(a, sha, 1ull << 60, 0, bytes_of(data, 10)), -ENOSPC);
	assert_non_null(strstr(artifact_why(a), "the file needs "));
	assert_non_null(strstr(artifact_why(a), "stay free for the store"));
	assert_int_equal(count_files(tmpdir_path("artifacts")), 0);
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	assert_string_equal(artifact_why(a), "");
	artifacts_close(a);
}

static void test_list(void **state)
{
	struct artifacts *a = open_all();
	uint8_t other[SHA256_LEN] = { 1 };
	struct artifact_file *file;
	size_t n;

	(void)state;
	assert_int_equal(artifact_list(a, &file, &n), 0);
	assert_int_equal(n, 0);
	free(file);
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	assert_int_equal(artifact_upload(a, other, FILE_LEN, 0, bytes_of(data, 10)), 0);
	assert_int_equal(file_create(tmpdir_path("artifacts/01"), bytes_of(data, 1), 0600), 0);
	assert_true(artifact_list(a, &file, &n) < 0); /* not a folder: say so, delete nothing */
	free(file);
	assert_int_equal(unlink(tmpdir_path("artifacts/01")), 0);
	assert_int_equal(artifact_list(a, &file, &n), 0);
	assert_int_equal(n, 2);
	assert_true(file[0].unfinished && !file[1].unfinished);
	assert_memory_equal(file[0].sha256, other, SHA256_LEN);
	assert_memory_equal(file[1].sha256, sha, SHA256_LEN);
	assert_int_equal(file[0].length, 10);
	assert_int_equal(file[1].length, FILE_LEN);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(artifact_remove(a, &file[i]), 0);
	assert_int_equal(artifact_received(a, other), 0);
	assert_int_equal(artifact_remove(a, &file[0]), 0); /* again is fine */
	check_gone(a);
	free(file);
	artifacts_close(a);
}

/* Who asks for a file before publishing has a day for it. */
static void test_touch(void **state)
{
	struct artifacts *a = open_all();
	char hex[2 * SHA256_LEN + 1], path[256];
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct artifact_file *file;
	size_t n;

	(void)state;
	assert_false(artifact_touch(a, sha));
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	(void)snprintf(path, sizeof(path), "%s/%02x/%s", tmpdir_path("artifacts"), sha[0],
		hex_encode(hex, sha, SHA256_LEN));
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(artifact_list(a, &file, &n), 0);
	assert_int_equal(file[0].since_ms, 1000000);
	free(file);
	assert_true(artifact_touch(a, sha));
	assert_int_equal(artifact_list(a, &file, &n), 0);
	assert_true(file[0].since_ms > 1700000000000ull);
	free(file);
	artifacts_close(a);
}

static void test_no_room(void **state)
{
	struct artifacts *a = open_all();
	struct rlimit old, small;
	int err;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 4096, old.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	err = put(a, 0, FILE_LEN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(err < 0);
	check_gone(a);
	assert_int_equal(artifact_received(a, sha), 0);
	assert_int_equal(count_files(tmpdir_path("artifacts")), 0);
	assert_int_equal(put(a, 0, FILE_LEN), 0);
	check_there(a);
	artifacts_close(a);
}

static void test_no_folder(void **state)
{
	struct artifacts *a;

	(void)state;
	assert_true(artifacts_open(tmpdir_path("none/artifacts"), &a) < 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fill, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_empty_file),
		TEST(test_wrong_hash),
		TEST(test_out_of_order),
		TEST(test_interleaved),
		TEST(test_many),
		TEST(test_restart),
		TEST(test_steps),
		TEST(test_damaged),
		TEST(test_earlier_version),
		TEST(test_too_large),
		TEST(test_list),
		TEST(test_touch),
		TEST(test_no_room),
		TEST(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
