/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "server/metrics/metrics.h"
#include "server/service/writer.h"
#include "tmpdir.h"

static struct store *store;
static struct fleet *fleet;
static struct registry registry;
static struct writer writer;

static int open_with(void **state, uint64_t map_bytes)
{
	static char name[] = "default", product[] = "phone-a";
	static char *products[] = { product };
	static struct config_line line = { .name = name, .products = products, .n_products = 1 };
	static const struct config config = { .lines = &line, .n_lines = 1 };
	char error[256];

	if (tmpdir_make(state) != 0 ||
		store_open(tmpdir_path("store"), map_bytes, &store, error) != 0 ||
		registry_open(store, &config, &registry) != 0)
		return -1;
	fleet = fleet_new(0);
	return writer_open(&writer, store, fleet, &registry);
}

static int open_all(void **state)
{
	return open_with(state, 256 << 20);
}

static int open_small(void **state)
{
	return open_with(state, 1 << 20);
}

static int close_all(void **state)
{
	writer_close(&writer);
	registry_release(&registry);
	fleet_free(fleet);
	store_close(store);
	return tmpdir_drop(state);
}

/* A job that writes its number, and notes when it was run and done. */
struct note {
	struct job job;
	uint32_t number;
	size_t size; /* of what it writes */
	int fails;   /* what run() sets */
	unsigned ran, done;
};

static unsigned ran, done;
static uint8_t big[1 << 20];

static void note_run(struct job *job, struct writer *w)
{
	struct note *n = (struct note *)job;

	n->ran = ++ran;
	job->err = n->fails;
	if (n->fails == 0)
		store_put(&w->txn, STORE_KEY, bytes_of(&n->number, 4), bytes_of(big, n->size));
}

static void note_done(struct job *job)
{
	((struct note *)job)->done = ++done;
}

static void make_notes(struct note *notes, size_t n)
{
	ran = done = 0;
	for (size_t i = 0; i < n; i++)
		notes[i] = (struct note){ .job = { .run = note_run, .done = note_done },
			.number = (uint32_t)i + 1,
			.size = 4 };
}

static bool is_stored(uint32_t number)
{
	struct store_txn t;
	struct bytes v;
	bool found;

	store_begin(store, &t, false);
	found = store_get(&t, STORE_KEY, bytes_of(&number, 4), &v);
	store_abort(&t);
	return found;
}

/* However many wait: one commit, in the order in which they came. */
static void test_group_commit(void **state)
{
	static struct note n[500];
	uint64_t commits = metric_get(METRIC_COMMITS);

	(void)state;
	assert_false(writer_drain(&writer));
	make_notes(n, COUNT(n));
	for (size_t i = 0; i < COUNT(n); i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	assert_int_equal(ran, 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(metric_get(METRIC_COMMITS), commits + 1);
	for (size_t i = 0; i < COUNT(n); i++) {
		assert_int_equal(n[i].ran, i + 1);
		assert_int_equal(n[i].done, i + 1);
		assert_int_equal(n[i].job.err, 0);
		assert_true(is_stored(n[i].number));
	}
	assert_false(writer_drain(&writer));
	assert_int_equal(atomic_load(&writer.queued), 0);
}

/* A job that was refused by itself is none of the others' business. */
static void test_one_is_refused(void **state)
{
	struct note n[3];

	(void)state;
	make_notes(n, 3);
	n[1].fails = ERR_BAD_MAC;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(n[0].job.err, 0);
	assert_int_equal(n[1].job.err, ERR_BAD_MAC);
	assert_int_equal(n[2].job.err, 0);
	assert_true(is_stored(1) && !is_stored(2) && is_stored(3));
}

/* No room: nothing of the group has happened, everybody is told, and it goes on. */
static void test_failed_commit(void **state)
{
	uint64_t failed = metric_get(METRIC_COMMITS_FAILED);
	struct note n[5];

	(void)state;
	make_notes(n, 5);
	n[1].fails = ERR_BAD_MAC;
	n[2].size = sizeof(big);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(metric_get(METRIC_COMMITS_FAILED), failed + 1);
	assert_true(atomic_load(&writer.failing));
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(n[i].job.err, -ENOSPC);
		assert_int_equal(n[i].done, i + 1);
		assert_false(is_stored(n[i].number));
	}
	assert_int_equal(writer_call(&writer, &n[2].job), -ENOSPC);
	assert_int_equal(writer_submit(&writer, &n[4].job), 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(n[4].job.err, 0);
	assert_true(is_stored(5));
	assert_false(atomic_load(&writer.failing));
}

static void corrupt_run(struct job *job, struct writer *w)
{
	(void)job;
	w->txn.err = ERR_CORRUPT;
}

/* A damaged record fails who asked for it, and control; the other devices' jobs are run again. */
static void test_damaged_record(void **state)
{
	struct note n[4];
	uint64_t failed = metric_get(METRIC_COMMITS_FAILED);

	(void)state;
	make_notes(n, 4);
	n[1].job.run = corrupt_run;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	assert_int_equal(writer_call(&writer, &n[3].job), ERR_CORRUPT);
	assert_int_equal(n[0].job.err, 0);
	assert_int_equal(n[1].job.err, ERR_CORRUPT);
	assert_int_equal(n[2].job.err, 0);
	assert_int_equal(metric_get(METRIC_COMMITS_FAILED), failed + 2);
	assert_int_equal(done, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(n[i].done, i + 1);
	assert_true(is_stored(1) && is_stored(3));
	assert_false(is_stored(2) || is_stored(4));
	assert_false(atomic_load(&writer.failing));
	make_notes(n, 1);
	assert_int_equal(writer_call(&writer, &n[0].job), 0);
	assert_true(is_stored(1));
}

static void nothing_run(struct job *job, struct writer *w)
{
	(void)job;
	(void)w;
}

static void test_busy(void **state)
{
	static struct note n[WRITER_QUEUE_MAX + 1];
	uint64_t refused = metric_get(METRIC_WRITER_REFUSED);
	struct note call;

	(void)state;
	make_notes(&call, 1);
	make_notes(n, COUNT(n));
	for (size_t i = 0; i < COUNT(n); i++)
		n[i].job.run = nothing_run;
	for (size_t i = 0; i < WRITER_QUEUE_MAX; i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	assert_int_equal(writer_submit(&writer, &n[WRITER_QUEUE_MAX].job), ERR_BUSY);
	assert_int_equal(metric_get(METRIC_WRITER_REFUSED), refused + 1);
	/* A person's halt is no device's report. */
	assert_int_equal(writer_call(&writer, &call.job), 0);
	assert_int_equal(done, WRITER_QUEUE_MAX + 1);
	assert_int_equal(call.done, WRITER_QUEUE_MAX + 1);
	assert_int_equal(atomic_load(&writer.queued), 0);
	done = WRITER_QUEUE_MAX;
	assert_int_equal(n[WRITER_QUEUE_MAX].done, 0);
	assert_int_equal(writer_submit(&writer, &n[WRITER_QUEUE_MAX].job), 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(done, WRITER_QUEUE_MAX + 1);
}

/* Without a thread the caller does the work; what waited before goes first. */
static void test_call(void **state)
{
	struct note n[3];

	(void)state;
	make_notes(n, 3);
	n[1].job.done = NULL;
	assert_int_equal(writer_submit(&writer, &n[0].job), 0);
	assert_int_equal(writer_call(&writer, &n[1].job), 0);
	assert_int_equal(n[0].ran, 1);
	assert_int_equal(n[1].ran, 2);
	assert_true(is_stored(1) && is_stored(2));
	n[2].fails = ERR_CONFLICT;
	assert_int_equal(writer_call(&writer, &n[2].job), ERR_CONFLICT);
	/* An error of an earlier call is not this one's. */
	n[2].fails = 0;
	assert_int_equal(writer_call(&writer, &n[2].job), 0);
}

static struct note second;

static void submit_second(struct job *job)
{
	note_done(job);
	if (writer_submit(&writer, &second.job) != 0)
		abort();
}

/* What a finished job asks for is the next group's. */
static void test_submit_when_done(void **state)
{
	struct note first;

	(void)state;
	make_notes(&second, 1);
	make_notes(&first, 1);
	second.number = 2;
	first.job.done = submit_second;
	assert_int_equal(writer_submit(&writer, &first.job), 0);
	assert_true(writer_drain(&writer));
	assert_int_equal(second.ran, 0);
	assert_true(writer_drain(&writer));
	assert_true(second.ran > 0 && second.done > 0 && is_stored(2));
	assert_false(writer_drain(&writer));
}

#define CALLERS 4
#define CALLS   400

struct caller {
	pthread_t thread;
	uint32_t first;
	unsigned failed, missing;
};

static void *call_many(void *arg)
{
	struct caller *me = arg;

	for (uint32_t i = 0; i < CALLS; i++) {
		struct note n = { .job = { .run = note_run }, .number = me->first + i, .size = 4 };
		me->failed += writer_call(&writer, &n.job) != 0;
		/* It is there when the call returns. */
		me->missing += !is_stored(n.number);
	}
	return NULL;
}

static void test_callers(void **state)
{
	uint64_t commits = metric_get(METRIC_COMMITS);
	struct caller caller[CALLERS] = { 0 };

	(void)state;
	ran = 0;
	assert_int_equal(writer_start(&writer), 0);
	for (uint32_t t = 0; t < CALLERS; t++) {
		caller[t].first = 1 + t * CALLS;
		assert_int_equal(pthread_create(&caller[t].thread, NULL, call_many, &caller[t]), 0);
	}
	for (unsigned t = 0; t < CALLERS; t++) {
		assert_int_equal(pthread_join(caller[t].thread, NULL), 0);
		assert_int_equal(caller[t].failed, 0);
		assert_int_equal(caller[t].missing, 0);
	}
	writer_stop(&writer);
	assert_int_equal(ran, CALLERS * CALLS);
	assert_in_range(metric_get(METRIC_COMMITS) - commits, 1, CALLERS * CALLS);
	/* Stopped is stopped, and twice is fine. */
	writer_stop(&writer);
}

/* What was taken is committed before the thread ends. */
static void test_stop_commits(void **state)
{
	static struct note n[2000];

	(void)state;
	make_notes(n, COUNT(n));
	assert_int_equal(writer_start(&writer), 0);
	for (size_t i = 0; i < COUNT(n); i++)
		assert_int_equal(writer_submit(&writer, &n[i].job), 0);
	writer_stop(&writer);
	assert_int_equal(done, COUNT(n));
	for (size_t i = 0; i < COUNT(n); i++)
		assert_true(n[i].job.err == 0 && n[i].ran == i + 1 && is_stored(n[i].number));
}

/* And what was taken when no thread ran, when it is closed. */
static void test_close_commits(void **state)
{
	static struct note n;

	(void)state;
	make_notes(&n, 1);
	assert_int_equal(writer_submit(&writer, &n.job), 0);
	writer_close(&writer);
	assert_int_equal(n.done, 1);
	assert_true(is_stored(1));
	assert_int_equal(writer_open(&writer, store, fleet, &registry), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_group_commit),
		TEST(test_one_is_refused),
		cmocka_unit_test_setup_teardown(test_failed_commit, open_small, close_all),
		TEST(test_damaged_record),
		TEST(test_busy),
		TEST(test_call),
		TEST(test_submit_when_done),
		TEST(test_callers),
		TEST(test_stop_commits),
		TEST(test_close_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
