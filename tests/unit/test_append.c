/* SPDX-License-Identifier: Apache-2.0 */
/* The journal beside a server that lives: it has the log whenever its disk lets it. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <lmdb.h>

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

/* Commits that still succeed before the disk is full; -1: all of them. */
static int commits_left = -1;
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	if (commits_left < 0)
		return __real_mdb_txn_commit(txn);
	if (commits_left > 0) {
		commits_left--;
		return __real_mdb_txn_commit(txn);
	}
	mdb_txn_abort(txn);
	return ENOSPC;
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

#define DEVICES 6u

static void live(struct test_device *devices, unsigned hours)
{
	for (unsigned h = 0; h < hours; h++) {
		for (unsigned i = 0; i < DEVICES; i++) {
			assert_int_equal(device_poll(&d, &devices[i]), 0);
			if (devices[i].answer == ANSWER_OFFER)
				assert_int_equal(device_install(&d, &devices[i], "1.0", 1), 0);
		}
		deployment_run(&d, 3600000, 60000);
	}
}

/*
 * The disk is full from the n-th commit of a start on, and again while the stage is closed: whatever
 * was refused is done, or done by itself, once there is space.
 */
static void test_full_from_the_nth(void **state)
{
	static const struct plan_stage ladder[] = { { RING_STABLE, 1000000, 0 } };
	static struct test_device devices[DEVICES];
	struct deployment_options o = { .profile = "solo" };
	struct test_plan plan;
	int err = -1;

	(void)state;
	for (int n = 0; n < 12; n++) {
		deployment_open(&d, &o);
		for (unsigned i = 0; i < DEVICES; i++)
			assert_int_equal(device_enrol(&d, &devices[i], "phone-a", RING_STABLE), 0);
		assert_int_equal(deployment_publish(&d, "phone-a", "1.0", 1, "1.0"), 0);
		assert_int_equal(deployment_propose(&d, "1.0", products, 1,
					 plan_of(&plan, ladder, 1, 3600000, 0)),
			0);
		assert_int_equal(deployment_approve(&d, "1.0", 0), 0);
		uint64_t had = logged();
		commits_left = n;
		err = deployment_act(&d, "1.0", PB__ACT__ACT_START);
		assert_true(err == 0 || err == -ENOSPC);
		if (err != 0) {
			assert_string_equal(d.text,
				"the store's disk is full: nothing was changed; "
				"free some space and repeat");
			assert_int_equal(logged(), had);
		}
		assert_int_equal(device_poll(&d, &devices[0]), 0);
		deployment_run(&d, 180000, 60000);
		commits_left = -1;
		deployment_run(&d, 120000, 60000);
		if (err != 0)
			assert_int_equal(deployment_act(&d, "1.0", PB__ACT__ACT_START), 0);
		live(devices, 2);
		commits_left = n;
		for (unsigned i = 0; i < DEVICES; i++)
			assert_int_equal(device_poll(&d, &devices[i]), 0);
		deployment_run(&d, 3600000, 60000);
		commits_left = -1;
		live(devices, 30);
		assert_int_equal(deployment_rollout(&d, "1.0")->state, ROLLOUT_COMPLETE);
		for (unsigned i = 0; i < DEVICES; i++) {
			assert_string_equal(devices[i].build_id, "1.0");
			device_forget(&devices[i]);
		}
		assert_int_equal(kept(), logged());
		deployment_restart(&d);
		assert_int_equal(deployment_rollout(&d, "1.0")->state, ROLLOUT_COMPLETE);
		deployment_close(&d);
	}
	assert_int_equal(err, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_has_all, open_deployment, close_deployment),
		cmocka_unit_test_setup_teardown(
			test_written_again, open_deployment, close_deployment),
		cmocka_unit_test_setup_teardown(test_disk_fails, open_deployment, close_deployment),
		cmocka_unit_test(test_full_from_the_nth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
