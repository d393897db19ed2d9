/* SPDX-License-Identifier: Apache-2.0 */
/* Young and steady devices: who is which, and when. */
#include "unit.h"

#include <string.h>

#include "server/core/evidence.h"

#define START  1000000ull
#define SETTLE 8000ull
#define SLOT   1000ull

static struct evidence e;
static struct evidence_row rows[EVIDENCE_ROWS];
static size_t n_rows;

static void close_at(uint64_t now_ms)
{
	n_rows = evidence_close(&e, now_ms, 0, rows);
}

static struct evidence_row row_of(enum stream stream, enum age age)
{
	for (size_t i = 0; i < n_rows; i++)
		if (rows[i].stream == stream && rows[i].age == age)
			return rows[i];
	return (struct evidence_row){ 0 };
}

static void check_row(const char *why, enum age age, struct evidence_row want)
{
	struct evidence_row r = row_of(want.stream, age);

	if (r.xc != want.xc || r.xk != want.xk || r.ec != want.ec || r.ek != want.ek)
		fail_msg("%s: %u %u of %u %u", why, r.xc, r.xk, r.ec, r.ek);
}

static void test_until_when(void **state)
{
	static const struct {
		const char *why;
		uint64_t entered; /* when the batch in which it came opened, after the start */
		uint64_t looked;
		uint32_t young;
	} row[] = {
		{ "at once", 0, 0, 1 },
		{ "settle is not over", 0, SETTLE - 1, 1 },
		{ "nor the slot in which it is", 0, SETTLE + SLOT - 1, 1 },
		{ "at the latest", 0, SETTLE + SLOT, 0 },
		{ "long after", 0, 1000 * SETTLE, 0 },
		{ "late in a slot: settle is not over", SLOT - 1, SLOT - 1 + SETTLE, 1 },
		{ "late in a slot: it is", SLOT - 1, SLOT + SETTLE, 0 },
		{ "in a later slot", 5 * SLOT, 13 * SLOT + 999, 1 },
		{ "and over", 5 * SLOT, 14 * SLOT, 0 },
		{ "round the ring more than once", 100 * SLOT, 108 * SLOT, 1 },
		{ "and over again", 100 * SLOT, 109 * SLOT, 0 },
	};
	struct evidence_device canary, control;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		evidence_start(&e, SETTLE, START);
		close_at(START + row[i].entered);
		evidence_enter(&e, &canary, ARM_CANARY, 0, 0, START + row[i].entered);
		evidence_enter(&e, &control, ARM_CONTROL, 3, 0, START + row[i].entered);
		close_at(START + row[i].looked);
		for (unsigned s = 0; s < STREAM_COMPARED; s++)
			if (e.frozen_young[ARM_CANARY][s] != row[i].young ||
				e.frozen_young[ARM_CONTROL][s] != row[i].young)
				fail_msg("%s", row[i].why);
		assert_true(evidence_event(&e, &canary, STREAM_CRASH, 1));
		close_at(START + row[i].looked + 1);
		check_row(row[i].why, row[i].young ? AGE_YOUNG : AGE_STEADY,
			(struct evidence_row){ .stream = STREAM_CRASH, .xc = 1, .ec = 1, .ek = 1 });
		check_row("the other age", row[i].young ? AGE_STEADY : AGE_YOUNG,
			(struct evidence_row){ .stream = STREAM_CRASH });
	}
}

/* Ages stay as they were when the batch opened, however long it lasts. */
static void test_age_of_an_event(void **state)
{
	struct evidence_device d[3];

	(void)state;
	evidence_start(&e, SETTLE, START);
	evidence_enter(&e, &d[0], ARM_CANARY, 0, 0, START);
	close_at(START + 7 * SLOT);
	evidence_enter(&e, &d[1], ARM_CONTROL, 0, 0, START + 7 * SLOT);
	close_at(START + 8 * SLOT);
	evidence_enter(&e, &d[2], ARM_CANARY, 0, 0, START + 8 * SLOT);
	assert_true(evidence_event(&e, &d[0], STREAM_CRASH, 1));
	assert_true(evidence_event(&e, &d[1], STREAM_CRASH, 1));
	assert_true(evidence_event(&e, &d[2], STREAM_CRASH, 1)); /* not compared */
	assert_true(evidence_event(&e, &d[2], STREAM_BOOT_OK, 1));
	close_at(START + 100 * SLOT);
	check_row("young", AGE_YOUNG,
		(struct evidence_row){
			.stream = STREAM_CRASH, .xc = 1, .xk = 1, .ec = 1, .ek = 1 });
	check_row("steady", AGE_STEADY, (struct evidence_row){ .stream = STREAM_CRASH });
	check_row("what is not compared has no age", AGE_STEADY,
		(struct evidence_row){ .stream = STREAM_BOOT_OK, .xc = 1, .ec = 1, .ek = 1 });
	/* All of them grew up meanwhile, and two crashed. */
	assert_int_equal(e.frozen[ARM_CANARY][STREAM_CRASH_LOOP], 2);
	assert_int_equal(e.frozen[ARM_CANARY][STREAM_CRASH], 0);
	assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH_LOOP], 0);
	assert_true(evidence_event(&e, &d[1], STREAM_SYMPTOM + 7, 2));
	assert_true(evidence_event(&e, &d[2], STREAM_SYMPTOM + 7, 2));
	close_at(START + 101 * SLOT);
	check_row("all grown up", AGE_STEADY,
		(struct evidence_row){
			.stream = STREAM_SYMPTOM + 7, .xc = 1, .xk = 1, .ec = 2, .ek = 1 });
}

static void test_without_settle(void **state)
{
	struct evidence_device d;

	(void)state;
	evidence_start(&e, 0, START);
	evidence_enter(&e, &d, ARM_CANARY, 0, 0, START);
	for (uint64_t t = 0; t < 20; t++) {
		close_at(START + t);
		for (unsigned s = 0; s < STREAM_COMPARED; s++)
			assert_int_equal(e.frozen_young[ARM_CANARY][s], 0);
	}
	assert_true(evidence_event(&e, &d, STREAM_CRASH, 1));
	close_at(START + 20);
	check_row("steady", AGE_STEADY,
		(struct evidence_row){ .stream = STREAM_CRASH, .xc = 1, .ec = 1 });
	assert_int_equal(n_rows, 2);
}

/* A settle time too short for its slots ends all the same. */
static void test_short_settle(void **state)
{
	struct evidence_device d;

	(void)state;
	for (uint64_t settle = 1; settle < 16; settle++) {
		evidence_start(&e, settle, START);
		evidence_enter(&e, &d, ARM_CANARY, 0, 0, START);
		close_at(START);
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH], 1);
		close_at(START + 9);
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH], 0);
	}
}

static void test_young_who_leave(void **state)
{
	struct evidence_device d[4];

	(void)state;
	evidence_start(&e, SETTLE, START);
	evidence_enter(&e, &d[0], ARM_CANARY, 0, 0, START);
	evidence_enter(&e, &d[1], ARM_CONTROL, 0, 0, START);
	evidence_enter(&e, &d[2], ARM_CONTROL, 7, 0, START);
	evidence_enter(&e, &d[3], ARM_CONTROL, 7, 0, START);
	close_at(START + 1);
	assert_int_equal(e.frozen_young[ARM_CONTROL][STREAM_CRASH], 3);
	assert_true(evidence_event(&e, &d[3], STREAM_CRASH, 1));
	evidence_close_group(&e, 7);
	close_at(START + 2);
	/* Who is left of it is out of the open batch; what one did before stays. */
	check_row("group", AGE_YOUNG,
		(struct evidence_row){ .stream = STREAM_CRASH, .xk = 1, .ec = 1, .ek = 2 });
	assert_int_equal(e.frozen_young[ARM_CONTROL][STREAM_CRASH], 1);
	assert_int_equal(e.frozen[ARM_CONTROL][STREAM_CRASH], 1);
	evidence_leave(&e, &d[0]);
	evidence_leave(&e, &d[2]); /* its group left before */
	evidence_leave(&e, &d[1]);
	close_at(START + 3);
	for (enum arm a = ARM_CANARY; a < ARM__COUNT; a++)
		for (unsigned s = 0; s < STREAM_COMPARED; s++)
			assert_int_equal(e.frozen_young[a][s], 0);
}

/* A clock that is set back: nobody is young twice, and nobody is counted who is not there. */
static void test_clock_set_back(void **state)
{
	static const uint64_t back_to[] = { 19 * SLOT, 12 * SLOT, 11 * SLOT, 2 * SLOT, 0 };

	(void)state;
	for (size_t i = 0; i <= COUNT(back_to); i++) {
		uint64_t now = i < COUNT(back_to) ? START + back_to[i] : 5; /* before the start */
		struct evidence_device d[2];
		evidence_start(&e, SETTLE, START);
		close_at(START + 20 * SLOT);
		evidence_enter(&e, &d[0], ARM_CANARY, 0, 0, START + 20 * SLOT);
		for (unsigned k = 0; k < 4; k++) {
			close_at(now + k * SLOT);
			assert_int_equal(e.opened_ms, now + k * SLOT);
			assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH], 1);
		}
		evidence_enter(&e, &d[1], ARM_CANARY, 0, 0, now + 4 * SLOT);
		close_at(now + 5 * SLOT);
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH], 2);
		assert_true(evidence_event(&e, &d[0], STREAM_CRASH, 1));
		close_at(START + 28 * SLOT);
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH], 1);
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH_LOOP], 2);
		close_at(START + 34 * SLOT); /* and forward again */
		assert_int_equal(e.frozen_young[ARM_CANARY][STREAM_CRASH_LOOP], 0);
		assert_int_equal(e.frozen[ARM_CANARY][STREAM_CRASH_LOOP], 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_when),
		cmocka_unit_test(test_age_of_an_event),
		cmocka_unit_test(test_without_settle),
		cmocka_unit_test(test_short_settle),
		cmocka_unit_test(test_young_who_leave),
		cmocka_unit_test(test_clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
