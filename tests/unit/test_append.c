/* SPDX-License-Identifier: Apache-2.0 */
/* The journal beside a server that lives: it has the log whenever its disk lets it. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "deployment.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/store/entry.h"
#include "server/store/journal.h"

static const char *const products[] = { "phone-a" };
static struct deployment d;

/* Of the journal: LMDB has its own. */
static bool disk_fails;
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	if (!disk_fails)
		return __real_fdatasync(fd);
	errno = EIO;
	return -1;
}

static int open_deployment(void **state)
{
	struct deployment_options o = { .profile = "solo" };

	(void)state;
	disk_fails = false;
	deployment_open(&d, &o);
	return 0;
}

static int close_deployment(void **state)
{
	(void)state;
	deployment_close(&d);
	return 0;
}

static char *journal_path(void)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/journal", d.config.data);
	return path;
}

static void roll_out(const char *build, uint64_t counter)
{
	static const struct plan_stage ladder[] = { { RING_CORE, 1000000, 0 } };
	struct test_plan plan;

	assert_int_equal(deployment_publish(&d, "phone-a", build, counter, build), 0);
	assert_int_equal(
		deployment_roll_out(&d, build, products, 1, plan_of(&plan, ladder, 1, 3600000, 0)),
		0);
}

static int is_stored(void *ctx, uint64_t index, struct bytes kept)
{
	struct bytes entry;

	assert_true(entry_get(ctx, index, &entry));
	assert_true(bytes_eq(entry, kept));
	return 0;
}

static uint64_t kept(void)
{
	struct store_txn t;
	struct journal *j;
	uint64_t n;
	char error[256];

	assert_int_equal(journal_open_read(journal_path(), &j, error), 0);
	n = journal_count(j);
	assert_int_equal(journal_rest(j), 0);
	store_begin(d.server.store, &t, false);
	assert_int_equal(journal_each(j, 0, is_stored, &t), 0);
	store_abort(&t);
	journal_close(j);
	return n;
}

static uint64_t logged(void)
{
	return control_state(&d.server)->log.size;
}

static void test_has_all(void **state)
{
	(void)state;
	assert_int_equal(kept(), logged());
	roll_out("1.0", 1);
	assert_true(logged() > 4);
	assert_int_equal(kept(), logged());
	assert_int_equal(deployment_act(&d, "1.0", PB__ACT__ACT_HALT), 0);
	assert_int_equal(kept(), logged());
	deployment_restart(&d);
	assert_int_equal(kept(), logged());
}

/* What a crash, or a person, took from it comes back from the store. */
static void test_written_again(void **state)
{
	struct buf all = { 0 };

	(void)state;
	roll_out("1.0", 1);
	assert_int_equal(file_read(journal_path(), 1 << 20, &all), 0);
	for (unsigned i = 0; i < 4; i++) {
		size_t n = i == 0 ? 0 : all.len * i / 4 + i;
		assert_int_equal(file_replace(journal_path(), bytes_of(all.data, n), 0600), 0);
		deployment_restart(&d);
		assert_int_equal(kept(), logged());
	}
	assert_int_equal(unlink(journal_path()), 0);
	deployment_restart(&d);
	assert_int_equal(kept(), logged());
	/* Damage in the middle: the damaged one is kept, too. */
	all.data[all.len / 2] ^= 1;
	assert_int_equal(file_replace(journal_path(), buf_bytes(&all), 0600), 0);
	deployment_restart(&d);
	assert_int_equal(kept(), logged());
	char *aside = mem_printf("%s.damaged", journal_path());
	struct buf damaged = { 0 };
	assert_int_equal(file_read(aside, 1 << 20, &damaged), 0);
	assert_true(bytes_eq(buf_bytes(&damaged), buf_bytes(&all)));
	free(aside);
	buf_release(&damaged);
	buf_release(&all);
}

/* The command is durable in the store: it succeeds, and the journal follows when it can. */
static void test_disk_fails(void **state)
{
	uint64_t failed = metric_get(METRIC_JOURNAL_FAILED), had;

	(void)state;
	roll_out("1.0", 1);
	had = logged();
	disk_fails = true;
	assert_int_equal(deployment_act(&d, "1.0", PB__ACT__ACT_HALT), 0);
	assert_int_equal(logged() > had, true);
	assert_true(metric_get(METRIC_JOURNAL_FAILED) > failed);
	deployment_tick(&d, 1000);
	assert_int_equal(deployment_rollout(&d, "1.0")->state, ROLLOUT_HALTED);
	disk_fails = false;
	deployment_tick(&d, 1000);
	assert_int_equal(kept(), logged());
	failed = metric_get(METRIC_JOURNAL_FAILED);
	deployment_tick(&d, 1000);
	assert_int_equal(metric_get(METRIC_JOURNAL_FAILED), failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_has_all, open_deployment, close_deployment),
		cmocka_unit_test_setup_teardown(
			test_written_again, open_deployment, close_deployment),
		cmocka_unit_test_setup_teardown(test_disk_fails, open_deployment, close_deployment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
