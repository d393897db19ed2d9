/* SPDX-License-Identifier: Apache-2.0 */
/* Who is judged when, and silent or not; before and after a restart. */
#include "unit.h"

#include "stage_world.h"

static const struct silence_rules rules = {
	.milestone_ms = 5 * HOUR, .window_ms = 3 * HOUR, .s1_ms = 6 * HOUR
};

static void judge_at(uint64_t now_ms)
{
	silence_judge(stage, &txn, fleet, now_ms);
}

/* A device that entered at the start and was last heard of at `heard`. */
static void test_milestones(void **state)
{
	static const struct {
		const char *why;
		uint64_t heard, looked;
		bool judged, silent;
	} row[] = {
		{ "before the milestone", 0, 5 * HOUR - 1, false, false },
		{ "never again", 0, 5 * HOUR, true, true },
		{ "just within the window", 2 * HOUR, 5 * HOUR, true, false },
		{ "as exactly as it is kept", 2 * HOUR - 16000, 5 * HOUR, true, false },
		{ "just outside", 2 * HOUR - 32000, 5 * HOUR, true, true },
		{ "just now", 5 * HOUR, 5 * HOUR, true, false },
		{ "looked at late", 5 * HOUR, 9 * HOUR, true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct evidence_device d;
		open_stage(state, &rules);
		enter((uint32_t)i, i % 4 ? ARM_CANARY : ARM_CONTROL, 0, START);
		hear((uint32_t)i, START + row[i].heard);
		judge_at(START + row[i].looked);
		d = arm_of((uint32_t)i);
		if (has((uint32_t)i, STREAM_JUDGED) != row[i].judged ||
			has((uint32_t)i, STREAM_SILENT) != row[i].silent)
			fail_msg("%s", row[i].why);
		assert_int_equal(evidence_of((uint32_t)i)->judged[d.arm], row[i].judged);
		close_stage();
		store_abort(&txn);
		store_begin(store, &txn, true);
	}
}

/* An hour back: who was heard of by the old clock was heard of just now. */
static void test_clock_set_back(void **state)
{
	static const struct {
		uint64_t heard, now, window;
		bool want;
	} row[] = {
		{ 2 * HOUR, HOUR, 3 * HOUR, true },
		{ 2 * HOUR, 2 * HOUR - 20000, 3 * HOUR, true },
		{ HOUR, HOUR + 12 * DAY, 12 * DAY, true },
		{ HOUR, HOUR + 12 * DAY, 11 * DAY, false },
		{ HOUR, 5 * HOUR, 3 * HOUR, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		fleet_word w = 0;
		fleet_hear(&w, START + row[i].heard);
		assert_int_equal(fleet_heard(w, row[i].window, START + row[i].now), row[i].want);
	}
}

/* At each look of `at`, how many were judged; one device that goes on polling. */
static void check_looks(const struct silence_rules *r, const uint64_t *at, const unsigned *want)
{
	uint64_t now = 0;

	for (size_t k = 0; at[k] != 0; k++) {
		for (; now < at[k]; now += HOUR)
			hear(0, START + now);
		judge_at(START + at[k] - 1);
		assert_int_equal(evidence_of(0)->judged[ARM_CANARY], 0);
		judge_at(START + at[k]);
		if (evidence_of(0)->judged[ARM_CANARY] != want[k])
			fail_msg("milestone %u h: look %zu", (unsigned)(r->milestone_ms / HOUR), k);
		judge_at(START + at[k] + 1); /* once */
		assert_int_equal(evidence_of(0)->judged[ARM_CANARY], want[k]);
		stages_close_batch(stage, &txn, START + at[k] + 1);
	}
	assert_int_equal(evidence_of(0)->total[ARM_CANARY][STREAM_JUDGED], 1);
	assert_int_equal(evidence_of(0)->total[ARM_CANARY][STREAM_SILENT], 0);
}

static void test_later_milestones(void **state)
{
	static const struct {
		uint64_t first, at[6];
		unsigned want[6];
	} row[] = {
		{ 5 * HOUR, { 5 * HOUR, DAY, 3 * DAY, 7 * DAY, 20 * DAY }, { 1, 1, 1, 1, 0 } },
		{ DAY, { DAY, 3 * DAY, 7 * DAY }, { 1, 1, 1 } },
		{ 36 * HOUR, { 36 * HOUR, 3 * DAY, 7 * DAY }, { 1, 1, 1 } },
		{ 4 * DAY, { 4 * DAY, 7 * DAY, 20 * DAY }, { 1, 1, 0 } },
		{ 10 * DAY, { 10 * DAY, 20 * DAY }, { 1, 0 } },
	};

	for (size_t i = 0; i < COUNT(row); i++) {
		struct silence_rules r = rules;
		r.milestone_ms = row[i].first;
		open_stage(state, &r);
		enter(0, ARM_CANARY, 0, START);
		check_looks(&r, row[i].at, row[i].want);
		close_stage();
		store_abort(&txn);
		store_begin(store, &txn, true);
	}
}

/* Bricks that show late: silent at a later milestone, once. */
static void test_silent_late(void **state)
{
	open_stage(state, &rules);
	enter(0, ARM_CANARY, 0, START);
	enter(1, ARM_CONTROL, 4, START);
	hear(0, START + 5 * HOUR);
	hear(1, START + 5 * HOUR);
	judge_at(START + 5 * HOUR);
	assert_false(has(0, STREAM_SILENT) || has(1, STREAM_SILENT));
	hear(1, START + DAY);
	stages_close_batch(stage, &txn, START + DAY);
	judge_at(START + DAY);
	assert_true(has(0, STREAM_SILENT));
	assert_false(has(1, STREAM_SILENT));
	hear(0, START + 3 * DAY); /* it comes back, too late to count */
	stages_close_batch(stage, &txn, START + 3 * DAY);
	judge_at(START + 3 * DAY);
	assert_int_equal(evidence_of(0)->total[ARM_CANARY][STREAM_SILENT], 1);
	assert_int_equal(evidence_of(0)->judged[ARM_CANARY], 0);
	assert_int_equal(evidence_of(1)->judged[ARM_CONTROL], 1);
	assert_true(has(1, STREAM_SILENT));
	stages_show(&stages);
	assert_int_equal(live.judged, 1);
	assert_int_equal(live.heard, 0);
	close_stage();
}

static void test_s1(void **state)
{
	open_stage(state, &rules);
	for (uint32_t i = 0; i < 3; i++) {
		enter(i, ARM_CANARY, 0, START);
		tell(i, STREAM_INSTALLING, START + i * HOUR);
	}
	tell(0, STREAM_BOOT_OK, START + HOUR);
	judge_at(START + 7 * HOUR);
	assert_true(has(0, STREAM_S1_DUE) && !has(0, STREAM_S1));
	assert_true(has(1, STREAM_S1_DUE) && has(1, STREAM_S1) && has(1, STREAM_RESOLVED));
	assert_false(has(2, STREAM_S1_DUE));
	restart(&rules, 3, START + 7 * HOUR);
	assert_int_equal(stage->silence.installing.n, 1);
	/* Nobody listened for long enough to know. */
	judge_at(START + 10 * HOUR - 1);
	assert_false(has(2, STREAM_S1_DUE));
	judge_at(START + 10 * HOUR);
	assert_true(has(2, STREAM_S1));
	assert_int_equal(evidence_of(0)->total[ARM_CANARY][STREAM_S1], 1);
	assert_int_equal(evidence_of(1)->total[ARM_CANARY][STREAM_S1], 1);
	close_stage();
}

/* An hour in which connections were turned away, and another in which phones were told to come later. */
static void test_lost(void **state)
{
	static const struct {
		const char *why;
		bool deaf;
		unsigned stretch;
		uint64_t heard, looked;
		bool judged, silent, s1;
	} row[] = {
		{ "nothing was lost", false, 0, HOUR, 5 * HOUR, true, true, false },
		{ "deaf for an hour: later", true, 0, HOUR, 5 * HOUR, false, false, false },
		{ "deaf for an hour: heard before it", true, 0, 2 * HOUR, 6 * HOUR, true, false,
			false },
		{ "deaf for an hour: not heard", true, 0, HOUR, 6 * HOUR, true, true, false },
		{ "told to come later: half is lost", false, 1, HOUR, 5 * HOUR, false, false,
			false },
		{ "nothing was lost: no boot", false, 0, 6 * HOUR, 6 * HOUR, true, false, true },
		{ "deaf for an hour: it may have booted", true, 0, 6 * HOUR, 6 * HOUR, true, false,
			false },
		{ "deaf for an hour: it has not", true, 0, 7 * HOUR, 7 * HOUR, true, false, true },
	};

	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t now = START;
		open_stage(state, &rules);
		enter(0, ARM_CANARY, 0, START);
		tell(0, STREAM_INSTALLING, START);
		for (; now <= START + row[i].looked; now += 10000) {
			bool then = now >= START + 3 * HOUR && now < START + 4 * HOUR;
			struct hearing_tick t = { now, then ? row[i].stretch : 0, HOUR,
				then && row[i].deaf };
			if (now == START + row[i].heard)
				hear(0, now);
			hearing_tick(&stages.hearing, &t);
		}
		stages_close_batch(stage, &txn, START + row[i].looked);
		stages_close_due(&stages, &txn, START + row[i].looked);
		if (has(0, STREAM_JUDGED) != row[i].judged ||
			has(0, STREAM_SILENT) != row[i].silent || has(0, STREAM_S1) != row[i].s1)
			fail_msg("%s", row[i].why);
		close_stage();
		store_abort(&txn);
		store_begin(store, &txn, true);
	}
}

/* The first milestone is never lost, and is judged once; later ones that passed meanwhile are. */
static void test_restart(void **state)
{
	open_stage(state, &rules);
	enter(0, ARM_CANARY, 0, START + 2 * HOUR);
	enter(1, ARM_CONTROL, 1, START + HOUR); /* the store is not in this order */
	enter(2, ARM_CANARY, 0, START + 22 * HOUR);
	enter(3, ARM_CANARY, 0, START + 22 * HOUR);
	hear(0, START + 7 * HOUR);
	judge_at(START + 7 * HOUR);
	assert_true(has(0, STREAM_JUDGED) && has(1, STREAM_JUDGED) && !has(2, STREAM_JUDGED));
	assert_true(has(1, STREAM_SILENT)); /* was last heard of when it entered */
	struct evidence_device gone = arm_of(3);
	uint8_t id[ID_LEN];
	evidence_leave(evidence_of(3), &gone);
	device_id(3, id);
	arm_put(&txn, KEY, id, &gone);
	restart(&rules, 4, START + 30 * HOUR);
	assert_int_equal(stage->silence.entered.n, 3);
	assert_true(stage->silence.entered.list[0].at_ms == START + HOUR);
	assert_true(stage->silence.entered.list[1].at_ms == START + 2 * HOUR);
	judge_at(START + 33 * HOUR - 1);
	assert_false(has(2, STREAM_JUDGED));
	hear(0, START + 32 * HOUR);
	evidence_of(0)->judged[ARM_CANARY] = 0;
	judge_at(START + 33 * HOUR);
	assert_true(has(2, STREAM_JUDGED) && has(2, STREAM_SILENT));
	assert_false(has(0, STREAM_SILENT) || has(3, STREAM_JUDGED));
	assert_int_equal(evidence_of(0)->judged[ARM_CANARY], 1);
	/* Three days after each entered. */
	judge_at(START + 74 * HOUR);
	assert_true(has(0, STREAM_SILENT));
	assert_int_equal(evidence_of(0)->judged[ARM_CANARY], 2);
	close_stage();
}

/* So many at once: the rest the next time, and nobody is forgotten. */
static void test_many(void **state)
{
	const uint32_t n = 20500;

	open_stage(state, &rules);
	for (uint32_t i = 0; i < n; i++)
		enter(i, ARM_CANARY, 0, START);
	judge_at(START + 5 * HOUR);
	stages_show(&stages);
	assert_int_equal(live.judged, 20000);
	judge_at(START + 5 * HOUR);
	stages_show(&stages);
	assert_int_equal(live.judged, n);
	assert_int_equal(live.heard, 0);
	close_stage();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_milestones),
		cmocka_unit_test(test_clock_set_back),
		IN_STORE(test_later_milestones),
		IN_STORE(test_silent_late),
		IN_STORE(test_s1),
		IN_STORE(test_lost),
		IN_STORE(test_restart),
		IN_STORE(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
