/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "server/core/evidence.h"

#define NOW 1000000ull

/* Two canaries and two controls that entered before batch 1 was opened. */
struct fixture {
	struct evidence e;
	struct evidence_device canary[2], control[2];
	struct evidence_row rows[EVIDENCE_ROWS];
	size_t n;
};

static void close_batch(struct fixture *f)
{
	f->n = evidence_close(&f->e, NOW, 0, f->rows);
}

static void open_fixture(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	evidence_start(&f->e, 0, NOW);
	for (unsigned i = 0; i < 2; i++) {
		evidence_enter(&f->e, &f->canary[i], ARM_CANARY, 0, 10, NOW);
		evidence_enter(&f->e, &f->control[i], ARM_CONTROL, i, 10, NOW);
	}
	close_batch(f);
}

/* The row of a stream in the batch just closed, all zero when it has none. */
static struct evidence_row row_of(const struct fixture *f, enum stream stream)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->rows[i].stream == stream)
			return f->rows[i];
	return (struct evidence_row){ 0 };
}

static void check_row(
	struct fixture *f, enum stream stream, uint32_t xc, uint32_t xk, uint32_t ec, uint32_t ek)
{
	struct evidence_row r;

	close_batch(f);
	r = row_of(f, stream);
	assert_int_equal(r.xc, xc);
	assert_int_equal(r.xk, xk);
	assert_int_equal(r.ec, ec);
	assert_int_equal(r.ek, ek);
}

static void test_start(void **state)
{
	struct evidence e;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	evidence_start(&e, 0, NOW);
	assert_int_equal(e.batch, 0);
	assert_int_equal(e.opened_ms, NOW);
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		assert_int_equal(evidence_at_risk(&e, ARM_CANARY, s), 0);
		assert_int_equal(evidence_at_risk(&e, ARM_CONTROL, s), 0);
	}
}

static void test_first_event_counts(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f);
	assert_true(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 11));
	assert_false(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 12));
	assert_false(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 13));
	/* Another stream is another vote. */
	assert_true(evidence_event(&f.e, &f.canary[0], STREAM_CRASH_LOOP, 14));
	assert_true(evidence_event(&f.e, &f.control[1], STREAM_CRASH, 11));
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_CRASH), 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CONTROL, STREAM_CRASH), 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_SILENT), 2);
	check_row(&f, STREAM_CRASH, 1, 1, 2, 2);
	/* Nor does it count in the next batch, where it is not at risk any more. */
	assert_false(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 15));
	assert_true(evidence_event(&f.e, &f.canary[1], STREAM_CRASH, 11));
	check_row(&f, STREAM_CRASH, 1, 0, 1, 1);
	assert_int_equal(f.e.total[ARM_CANARY][STREAM_CRASH], 2);
	assert_int_equal(f.e.total[ARM_CONTROL][STREAM_CRASH], 1);
}

static void test_events_before_entering(void **state)
{
	static const struct {
		const char *why;
		uint32_t seq;
		bool want;
	} row[] = {
		{ "long before", 1, false },
		{ "0", 0, false },
		{ "the last one before", 10, false },
		{ "the first one after", 11, true },
		{ "the last there is", UINT32_MAX, true },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		open_fixture(&f);
		if (evidence_event(&f.e, &f.canary[0], STREAM_CRASH, row[i].seq) != row[i].want)
			fail_msg("%s", row[i].why);
		assert_int_equal(f.e.total[ARM_CANARY][STREAM_CRASH], row[i].want ? 1 : 0);
	}
}

/* An event of a device that was not in the frozen numbers would have nothing to be
 * compared with. */
static void test_event_in_the_batch_of_entering(void **state)
{
	static const struct {
		enum stream stream;
		bool compared;
	} row[] = {
		{ STREAM_CRASH, true },
		{ STREAM_CRASH_LOOP, true },
		{ STREAM_SILENT, false },
		{ STREAM_SYMPTOM, true },
		{ STREAM_SYMPTOM + 7, true },
		{ STREAM_BOOT, false },
		{ STREAM_INSTALL, false },
		{ STREAM_ROLLBACK, false },
		{ STREAM_S1, false },
		{ STREAM_DOWNLOADED, false },
		{ STREAM_INSTALLING, false },
		{ STREAM_INSTALLED, false },
		{ STREAM_BOOT_OK, false },
	};
	struct evidence_device d;
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		enum stream s = row[i].stream;
		open_fixture(&f);
		evidence_enter(&f.e, &d, ARM_CANARY, 0, 0, NOW);
		assert_true(evidence_event(&f.e, &d, s, 1));
		assert_int_equal(f.e.total[ARM_CANARY][s], 1);
		assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, s), 2);
		close_batch(&f);
		assert_int_equal(row_of(&f, s).xc, row[i].compared ? 0 : 1);
		/* It has voted: it is not at risk in the batches to come. */
		assert_false(evidence_event(&f.e, &d, s, 2));
		assert_int_equal(f.e.frozen[ARM_CANARY][s], 2);
	}
}

static void test_one_outcome(void **state)
{
	static const enum stream outcomes[] = { STREAM_BOOT_OK, STREAM_BOOT, STREAM_INSTALL,
		STREAM_ROLLBACK, STREAM_S1 };
	static const enum stream others[] = { STREAM_CRASH, STREAM_CRASH_LOOP, STREAM_SILENT,
		STREAM_SYMPTOM, STREAM_DOWNLOADED, STREAM_INSTALLING, STREAM_INSTALLED };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		for (size_t j = 0; j < COUNT(outcomes); j++) {
			open_fixture(&f);
			assert_true(evidence_event(&f.e, &f.canary[0], outcomes[i], 11));
			assert_int_equal(
				evidence_event(&f.e, &f.canary[0], outcomes[j], 12), i != j);
			close_batch(&f);
			assert_int_equal(row_of(&f, STREAM_RESOLVED).xc, 1);
			assert_int_equal(row_of(&f, outcomes[j]).xc, 1);
			assert_int_equal(f.e.total[ARM_CANARY][STREAM_RESOLVED], 1);
		}
	}
	open_fixture(&f);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_true(evidence_event(&f.e, &f.canary[0], others[i], 11));
	assert_int_equal(f.e.total[ARM_CANARY][STREAM_RESOLVED], 0);
}

static void test_leave(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f);
	assert_true(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 11));
	evidence_leave(&f.e, &f.canary[0]);
	evidence_leave(&f.e, &f.canary[0]);
	assert_false(evidence_event(&f.e, &f.canary[0], STREAM_BOOT, 12));
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_CRASH), 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_BOOT), 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CONTROL, STREAM_BOOT), 2);
	/* What it told before it left stays told. */
	check_row(&f, STREAM_CRASH, 1, 0, 2, 2);
	assert_true(evidence_event(&f.e, &f.canary[1], STREAM_CRASH, 11));
	check_row(&f, STREAM_CRASH, 1, 0, 1, 2);
}

static void test_group_leaves(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f);
	evidence_close_group(&f.e, 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CONTROL, STREAM_CRASH), 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_CRASH), 2);
	assert_false(evidence_event(&f.e, &f.control[1], STREAM_CRASH, 11));
	assert_true(evidence_event(&f.e, &f.control[0], STREAM_CRASH, 11));
	/* It is not compared any more in the open batch either. */
	check_row(&f, STREAM_CRASH, 0, 1, 2, 1);
	assert_true(evidence_event(&f.e, &f.canary[0], STREAM_BOOT, 11));
	check_row(&f, STREAM_BOOT, 1, 0, 2, 1);
	/* Leaving twice changes nothing more. */
	evidence_leave(&f.e, &f.control[1]);
	evidence_close_group(&f.e, 1);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CONTROL, STREAM_BOOT), 1);
	/* Canaries are in no group. */
	evidence_close_group(&f.e, 0);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CANARY, STREAM_CRASH_LOOP), 2);
	assert_int_equal(evidence_at_risk(&f.e, ARM_CONTROL, STREAM_CRASH_LOOP), 0);
	assert_true(evidence_event(&f.e, &f.canary[1], STREAM_CRASH_LOOP, 11));
}

static void test_rows(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f);
	/* The first batch: four entered, nobody was at risk when it opened. */
	assert_int_equal(f.n, 1);
	assert_int_equal(f.rows[0].batch, 0);
	assert_int_equal(f.rows[0].stream, STREAM_ENTERED);
	assert_int_equal(f.rows[0].closed_ms, NOW);
	assert_int_equal(f.rows[0].xc, 2);
	assert_int_equal(f.rows[0].xk, 2);
	assert_int_equal(f.rows[0].ec, 0);
	/* An empty one says that it was closed. */
	f.n = evidence_close(&f.e, NOW + 5, 0, f.rows);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.rows[0].batch, 1);
	assert_int_equal(f.rows[0].closed_ms, NOW + 5);
	assert_int_equal(f.rows[0].xc, 0);
	assert_int_equal(f.e.batch, 2);
	assert_int_equal(f.e.opened_ms, NOW + 5);
	/* Polls made to wait are a row of their own, once. */
	f.n = evidence_close(&f.e, NOW + 6, 7, f.rows);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.rows[1].stream, STREAM_HELD);
	assert_int_equal(f.rows[1].xc, 7);
	f.n = evidence_close(&f.e, NOW + 7, 0, f.rows);
	assert_int_equal(f.n, 1);
}

static void test_due_by_time(void **state)
{
	struct evidence e;

	(void)state;
	evidence_start(&e, 0, NOW);
	assert_false(evidence_due(&e, NOW, 600000));
	assert_false(evidence_due(&e, NOW + 599999, 600000));
	assert_true(evidence_due(&e, NOW + 600000, 600000));
	/* A clock that was set back is not due. */
	assert_false(evidence_due(&e, 0, 600000));
}

static void test_due_by_events(void **state)
{
	static struct evidence_device d[EVIDENCE_MAX_EVENTS];
	struct evidence_row rows[EVIDENCE_ROWS];
	struct evidence e;

	(void)state;
	evidence_start(&e, 0, NOW);
	for (size_t i = 0; i < EVIDENCE_MAX_EVENTS; i++)
		evidence_enter(&e, &d[i], ARM_CANARY, 0, 0, NOW);
	/* Entering is no event, nor is one that is not compared. */
	assert_true(evidence_event(&e, &d[0], STREAM_CRASH, 1));
	assert_false(evidence_due(&e, NOW, 600000));
	for (size_t i = 0; i + 1 < EVIDENCE_MAX_EVENTS; i++)
		assert_true(evidence_event(&e, &d[i], STREAM_DOWNLOADED, 1));
	assert_false(evidence_due(&e, NOW, 600000));
	assert_true(evidence_event(&e, &d[EVIDENCE_MAX_EVENTS - 1], STREAM_DOWNLOADED, 1));
	assert_true(evidence_due(&e, NOW, 600000));
	(void)evidence_close(&e, NOW, 0, rows);
	assert_false(evidence_due(&e, NOW, 600000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_first_event_counts),
		cmocka_unit_test(test_events_before_entering),
		cmocka_unit_test(test_event_in_the_batch_of_entering),
		cmocka_unit_test(test_one_outcome),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_group_leaves),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_due_by_time),
		cmocka_unit_test(test_due_by_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
