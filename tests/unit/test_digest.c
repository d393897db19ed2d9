/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 of files, computed beside. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "server/base/clock.h"
#include "server/service/digest.h"
#include "store_world.h"

#define WAIT_MS 20000u

static struct place {
	struct store *store;
	struct artifacts *files;
	struct writer writer;
	struct fleet *fleet;
	struct registry registry;
	struct digests *digests;
} p;

static void start(void)
{
	p.store = open_store(MAP);
	assert_int_equal(artifacts_open(tmpdir_path("artifacts"), &p.files), 0);
	assert_int_equal(writer_open(&p.writer, p.store, NULL, &p.registry), 0);
	p.digests = digests_new(p.files, p.store, &p.writer);
	assert_non_null(p.digests);
}

static void stop(void)
{
	digests_stop(p.digests);
	while (writer_drain(&p.writer))
		;
	writer_close(&p.writer);
	digests_free(p.digests);
	artifacts_close(p.files);
	store_close(p.store);
}

/* A file with this content, by its SHA-256. */
static void bring(const char *content, uint8_t sha256[SHA256_LEN])
{
	struct bytes all = bytes_str(content);

	assert_int_equal(crypto_sha256(&all, 1, sha256), 0);
	assert_int_equal(artifact_upload(p.files, sha256, all.n, 0, all), 0);
}

static bool wait_for(const uint8_t sha256[SHA256_LEN], uint8_t sha1[SHA1_LEN], uint32_t ms)
{
	uint64_t end_ms = clock_mono_ms() + ms;

	while (!digests_sha1(p.digests, sha256, sha1)) {
		if (clock_mono_ms() > end_ms)
			return false;
		(void)usleep(2000);
	}
	return true;
}

static char *file_of(const uint8_t sha256[SHA256_LEN], char *folder)
{
	static char path[320];
	char hex[2 * SHA256_LEN + 1];

	(void)hex_encode(hex, sha256, SHA256_LEN);
	(void)snprintf(folder, 256, "%.200s/artifacts/%.2s", tmpdir, hex);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, hex);
	return path;
}

static void expect(const uint8_t sha1[SHA1_LEN], const char *want)
{
	char hex[2 * SHA1_LEN + 1];

	assert_string_equal(hex_encode(hex, sha1, SHA1_LEN), want);
}

static const struct {
	const char *content, *sha1;
} known[] = {
	{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
};

static void test_known(void **state)
{
	uint8_t sha256[SHA256_LEN], sha1[SHA1_LEN];

	(void)state;
	start();
	for (size_t i = 0; i < COUNT(known); i++) {
		bring(known[i].content, sha256);
		assert_true(wait_for(sha256, sha1, WAIT_MS));
		expect(sha1, known[i].sha1);
	}
	stop();
}

/* Nobody waits for it, and it is looked for once a minute, not at each poll. */
static void test_no_file(void **state)
{
	uint8_t late[SHA256_LEN], sha256[SHA256_LEN], sha1[SHA1_LEN];
	struct bytes content = bytes_str("late");

	(void)state;
	start();
	assert_int_equal(crypto_sha256(&content, 1, late), 0);
	assert_false(digests_sha1(p.digests, late, sha1));
	bring("abc", sha256);
	assert_true(wait_for(sha256, sha1, WAIT_MS)); /* the one thread is done with both */
	bring("late", late);
	assert_false(wait_for(late, sha1, 50));
	stop();
	start();
	assert_true(wait_for(late, sha1, WAIT_MS));
	stop();
}

/* After a restart it is known at once: the file is not even there any more. */
static void test_kept(void **state)
{
	uint8_t sha256[SHA256_LEN], sha1[SHA1_LEN];
	char folder[256];

	(void)state;
	start();
	bring("abc", sha256);
	assert_true(wait_for(sha256, sha1, WAIT_MS));
	stop();
	assert_int_equal(unlink(file_of(sha256, folder)), 0);
	start();
	assert_true(digests_sha1(p.digests, sha256, sha1));
	expect(sha1, known[0].sha1);
	stop();
}

/* A file of 64 GiB, which is a minute's work at least: stopping does not wait for it. */
static void test_stop_in_the_middle(void **state)
{
	uint8_t sha256[SHA256_LEN] = { 7 }, sha1[SHA1_LEN];
	uint64_t began_ms;
	char folder[256], *path = file_of(sha256, folder);
	int file;

	(void)state;
	start();
	assert_int_equal(mkdir(folder, 0700), 0);
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, (off_t)64 << 30), 0);
	assert_int_equal(close(file), 0);
	assert_false(wait_for(sha256, sha1, 100));
	began_ms = clock_mono_ms();
	digests_stop(p.digests);
	assert_in_range(clock_mono_ms() - began_ms, 0, 10000);
	assert_false(digests_sha1(p.digests, sha256, sha1));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_known),
		IN_TMPDIR(test_no_file),
		IN_TMPDIR(test_kept),
		IN_TMPDIR(test_stop_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
