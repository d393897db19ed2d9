/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <utime.h>

#include "server/base/file.h"
#include "server/trust/epochs.h"
#include "tmpdir.h"

static void put_secret(const char *name, uint8_t byte, size_t len)
{
	uint8_t secret[64];

	memset(secret, byte, sizeof(secret));
	assert_int_equal(file_replace(tmpdir_path(name), bytes_of(secret, len), 0600), 0);
}

/* Which are live; a file's secret is its number's last byte, all over. */
static const struct {
	const char *why;
	const char *files[6];
	uint32_t live[EPOCHS_LIVE];
	size_t n;
} sets[] = {
	{ "the first", { "device.key" }, { 1 }, 1 },
	{ "two", { "device.key", "device.2.key" }, { 2, 1 }, 2 },
	{ "three, whatever order they come in", { "device.3.key", "device.key", "device.2.key" },
		{ 3, 2 }, 2 },
	{ "as numbers, not as text", { "device.9.key", "device.10.key", "device.2.key" }, { 10, 9 },
		2 },
	{ "the first is gone", { "device.2.key" }, { 2 }, 1 },
	{ "one was skipped", { "device.key", "device.200.key" }, { 200, 1 }, 2 },
	{ "the largest", { "device.4294967295.key", "device.key" }, { 4294967295u, 1 }, 2 },
	{ "names that are none",
		{ "device.key", "device.1.key", "device.02.key", "device.4294967296.key",
			"device.3.key~", "device.2x.key" },
		{ 1 }, 1 },
	{ "more of them",
		{ "device.key", "device..key", "device.-2.key", "device.0.key", "director.pem",
			"device.99999999999.key" },
		{ 1 }, 1 },
};

static void test_which(void **state)
{
	for (size_t i = 0; i < COUNT(sets); i++) {
		struct epochs e;
		assert_int_equal(tmpdir_make(state), 0);
		for (size_t k = 0; k < COUNT(sets[i].files) && sets[i].files[k] != NULL; k++) {
			const char *dot = strchr(sets[i].files[k], '.') + 1;
			unsigned n = *dot == 'k' ? 1 : (unsigned)atoll(dot);
			put_secret(sets[i].files[k], (uint8_t)n, DEVICE_SECRET_LEN);
		}
		assert_int_equal(epochs_read(tmpdir, &e, NULL), 0);
		if (e.n != sets[i].n)
			fail_msg("%s: %zu live", sets[i].why, e.n);
		assert_ptr_equal(epochs_newest(&e), &e.live[0]);
		for (size_t k = 0; k < e.n; k++) {
			const struct epoch *found = epochs_find(&e, sets[i].live[k]);
			if (found != &e.live[k] || found->secret[31] != (uint8_t)sets[i].live[k])
				fail_msg("%s: %u", sets[i].why, sets[i].live[k]);
		}
		assert_null(epochs_find(&e, 0));
		assert_null(epochs_find(&e, 77));
		epochs_release(&e);
		assert_int_equal(e.n, 0);
		assert_int_equal(tmpdir_drop(state), 0);
	}
}

static void test_age(void **state)
{
	struct utimbuf then = { 1790000000, 1790000000 };
	struct epochs e;

	(void)state;
	put_secret("device.key", 1, DEVICE_SECRET_LEN);
	put_secret("device.2.key", 2, DEVICE_SECRET_LEN);
	assert_int_equal(utime(tmpdir_path("device.2.key"), &then), 0);
	assert_int_equal(epochs_read(tmpdir, &e, NULL), 0);
	assert_int_equal(epochs_newest(&e)->since_s, 1790000000);
	epochs_release(&e);
}

static void expect_failure(int want, const char *path)
{
	struct epochs e;
	char *failed = NULL;

	assert_int_equal(epochs_read(tmpdir, &e, &failed), want);
	assert_string_equal(failed, path);
	assert_int_equal(e.n, 0);
	free(failed);
}

static void test_failures(void **state)
{
	struct epochs e;

	(void)state;
	assert_int_equal(epochs_read(tmpdir_path("nowhere"), &e, NULL), -ENOENT);
	expect_failure(-ENOENT, tmpdir_path("device.key"));
	put_secret("device.key", 1, DEVICE_SECRET_LEN);
	put_secret("device.2.key", 2, DEVICE_SECRET_LEN - 1);
	expect_failure(ERR_BAD_KEY, tmpdir_path("device.2.key"));
	put_secret("device.2.key", 2, DEVICE_SECRET_LEN + 1);
	expect_failure(ERR_BAD_KEY, tmpdir_path("device.2.key"));
	put_secret("device.2.key", 2, DEVICE_SECRET_LEN);
	put_secret("device.key", 1, 0);
	expect_failure(ERR_BAD_KEY, tmpdir_path("device.key"));
	/* One that is not live any more may be anything. */
	put_secret("device.3.key", 3, DEVICE_SECRET_LEN);
	assert_int_equal(epochs_read(tmpdir, &e, NULL), 0);
	epochs_release(&e);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which),
		IN_TMPDIR(test_age),
		IN_TMPDIR(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
