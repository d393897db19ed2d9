/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict: each numbered rule, alone and before those after it. */
#include "unit.h"

#include "gate_world.h"

static void set_halt(struct fixture *f)
{
	f->facts.log_k = log(GATE_HALT);
}

static void set_pause(struct fixture *f)
{
	f->facts.log_k = log(GATE_PAUSE);
}

static void set_paused(struct fixture *f)
{
	f->facts.paused = true;
}

/* Everybody in the canary: no split there was. */
static void set_split(struct fixture *f)
{
	f->rules.canary = .999;
	f->rules.control = .001;
}

static void set_young(struct fixture *f)
{
	f->facts.opened_ms += 1;
}

static void set_nobody(struct fixture *f)
{
	f->stage.offered = f->stage.resolved = 0;
	f->stage.control = 30; /* too few for a word on the split */
	f->facts.expected = GATE_MANY;
}

static void set_held(struct fixture *f)
{
	add(f, STREAM_HELD, 1, 1, 0);
}

static void set_unresolved(struct fixture *f)
{
	f->stage.resolved -= 1;
}

static void set_over(struct fixture *f)
{
	add(f, STREAM_BOOT, 1, 1, 0);
}

static void set_unshown(struct fixture *f)
{
	f->facts.expected = 10000;
}

static void set_no_crashes(struct fixture *f)
{
	f->facts.crash_reports = false;
}

static void set_early(struct fixture *f)
{
	f->facts.not_before_ms += 1;
}

/*
 * In the order in which the gate looks.  `late`: at the longest soak; `waived`: people let it go on,
 * whether it is late or not.
 */
static const struct {
	void (*broken)(struct fixture *f);
	enum gate_reason reason;
	enum gate_verdict verdict, late;
	bool waived;
} order[] = {
	{ set_halt, GATE_EVIDENCE, GATE_DO_HALT, GATE_DO_HALT, false },
	{ set_paused, GATE_PAUSED, GATE_HOLD, GATE_HOLD, false },
	{ set_split, GATE_SPLIT_BAD, GATE_DO_PAUSE, GATE_DO_PAUSE, true },
	{ set_young, GATE_SOAK, GATE_HOLD, GATE_HOLD, false },
	{ set_nobody, GATE_NOBODY, GATE_HOLD, GATE_DO_PAUSE, false },
	{ set_held, GATE_ADMITTING, GATE_HOLD, GATE_DO_PAUSE, false },
	{ set_unresolved, GATE_RESOLVING, GATE_HOLD, GATE_DO_PAUSE, true },
	{ set_over, GATE_OVER_LIMIT, GATE_HOLD, GATE_DO_PAUSE, true },
	{ set_unshown, GATE_UNSHOWN, GATE_HOLD, GATE_DO_PAUSE, true },
	{ set_worse, GATE_TOLERANCE, GATE_HOLD, GATE_DO_PAUSE, true },
	{ set_no_crashes, GATE_NO_CRASHES, GATE_DO_PAUSE, GATE_DO_PAUSE, true },
	{ set_early, GATE_NOT_BEFORE, GATE_HOLD, GATE_HOLD, false },
};

/* Each alone is enough to stop; and of several the first is told. */
static void test_order(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	check("nothing broken", 0, &f, GATE_PROMOTE, GATE_PASSED);
	for (size_t i = 0; i < COUNT(order); i++) {
		make(&f);
		order[i].broken(&f);
		check("alone", i, &f, order[i].verdict, order[i].reason);
		for (size_t j = i + 1; j < COUNT(order); j++)
			order[j].broken(&f);
		check("and all after it", i, &f, order[i].verdict, order[i].reason);
	}
}

/* The longest soak is over: what is missing is for people.  One ms before it is not. */
static void test_late(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(order); i++) {
		bool is_time = order[i].reason == GATE_SOAK;
		make(&f);
		order[i].broken(&f);
		f.rules.max_soak_ms = is_time ? 72 * HOUR : 24 * HOUR;
		check("late", i, &f, order[i].late, order[i].reason);
		f.rules.max_soak_ms++;
		check("nearly", i, &f, order[i].verdict, order[i].reason);
	}
	/* Nothing is missing: it passes, late or not. */
	make(&f);
	f.rules.max_soak_ms = 24 * HOUR;
	check("late, and fine", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

/* People let it go on: what they saw holds it no longer; time, people and evidence do. */
static void test_waived(void **state)
{
	struct fixture f;
	bool asks;

	(void)state;
	for (size_t i = 0; i < COUNT(order); i++)
		for (unsigned late = 0; late < 2; late++) {
			make(&f);
			order[i].broken(&f);
			f.facts.resumed_ms = f.facts.opened_ms;
			if (late)
				f.rules.max_soak_ms = 24 * HOUR;
			/* Those who have not been asked may still come, until it is late. */
			asks = order[i].reason == GATE_NOBODY || order[i].reason == GATE_ADMITTING;
			if (order[i].waived || (asks && late))
				check("waived", i, &f, GATE_PROMOTE, GATE_PASSED);
			else
				check("never waived", i, &f, order[i].verdict, order[i].reason);
		}
	make(&f);
	for (size_t i = 0; i < COUNT(order); i++)
		if (order[i].waived)
			order[i].broken(&f);
	f.facts.resumed_ms = f.facts.opened_ms;
	check("all at once", 0, &f, GATE_PROMOTE, GATE_PASSED);
	/* What they saw is forgotten, so there must be time to see it again. */
	f.facts.resumed_ms = f.facts.now_ms - f.rules.soak_ms + 1;
	check("a soak of its own", 0, &f, GATE_HOLD, GATE_SOAK);
	f.facts.resumed_ms--;
	check("and it is over", 0, &f, GATE_PROMOTE, GATE_PASSED);
	set_pause(&f);
	check("new evidence", 0, &f, GATE_DO_PAUSE, GATE_EVIDENCE);
}

static void test_evidence(void **state)
{
	static const struct {
		const char *why;
		double k;
		bool paused;
		enum gate_verdict want;
		enum gate_reason reason;
	} row[] = {
		{ "below both lines", 19.9, false, GATE_PROMOTE, GATE_PASSED },
		{ "pause", 20.001, false, GATE_DO_PAUSE, GATE_EVIDENCE },
		{ "just below halt", 99.9, false, GATE_DO_PAUSE, GATE_EVIDENCE },
		{ "halt", 100.001, false, GATE_DO_HALT, GATE_EVIDENCE },
		{ "far beyond", 1e300, false, GATE_DO_HALT, GATE_EVIDENCE },
		{ "paused already", 20.001, true, GATE_HOLD, GATE_PAUSED },
		{ "paused, and it gets worse", 100.001, true, GATE_DO_HALT, GATE_EVIDENCE },
		{ "paused, and it looks good again", .01, true, GATE_HOLD, GATE_PAUSED },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		make(&f);
		f.facts.log_k = log(row[i].k);
		f.facts.paused = row[i].paused;
		check(row[i].why, i, &f, row[i].want, row[i].reason);
	}
	make(&f);
	set_pause(&f);
	check("exactly", 0, &f, GATE_DO_PAUSE, GATE_EVIDENCE);
}

static void test_what_is_told(void **state)
{
	struct fixture f;
	struct gate_judgement j;

	(void)state;
	make(&f);
	set_young(&f);
	j = gate_judge(&f.stage, &f.rules, &f.facts);
	assert_true(j.have == 24.0 * HOUR - 1 && j.need == 24.0 * HOUR);
	make(&f);
	set_unresolved(&f);
	j = gate_judge(&f.stage, &f.rules, &f.facts);
	assert_true(j.have == 949 && j.need == 950);
	make(&f);
	set_over(&f);
	j = gate_judge(&f.stage, &f.rules, &f.facts);
	assert_true(fabs(j.have - 11.0 / 950) < 1e-12 && j.need == .01);
	make(&f);
	set_early(&f);
	j = gate_judge(&f.stage, &f.rules, &f.facts);
	assert_true(j.have == 100.0 * HOUR && j.need == 100.0 * HOUR + 1);
	make(&f);
	set_worse(&f);
	j = gate_judge(&f.stage, &f.rules, &f.facts);
	assert_true(j.have < j.need && fabs(j.need - log(20)) < 1e-12);
}

static void test_soak(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.facts.now_ms = f.facts.opened_ms - 1; /* the clock was set back */
	check("clock", 0, &f, GATE_HOLD, GATE_SOAK);
	make(&f);
	f.rules.soak_ms = 0;
	f.facts.opened_ms = f.facts.now_ms;
	check("no soak", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

static void test_limits(void **state)
{
	static const enum stream streams[] = { STREAM_BOOT, STREAM_INSTALL, STREAM_ROLLBACK };
	struct fixture f;

	(void)state;
	/* Each has its own limit, and 10, 19 and 29 of 950 are just within. */
	for (size_t i = 0; i < COUNT(streams); i++) {
		make(&f);
		add(&f, streams[i], 1, 1, 0);
		check("limit", i, &f, GATE_HOLD, GATE_OVER_LIMIT);
	}
	/* A failure after the first outcome is an attempt too: 10 of 10, not of 0. */
	make(&f);
	f.stage.attempts = 0;
	check("no attempts", 0, &f, GATE_HOLD, GATE_OVER_LIMIT);
	make(&f);
	f.rules.limit[GATE_BOOT] = f.rules.limit[GATE_INSTALL] = f.rules.limit[GATE_ROLLBACK] = 1;
	add(&f, STREAM_BOOT, 1, 900, 0);
	check("no limit", 0, &f, GATE_PROMOTE, GATE_PASSED);
	/* Boots that did not come in time are a share of those whose time is over. */
	make(&f);
	add(&f, STREAM_S1_DUE, 1, 100, 0);
	add(&f, STREAM_S1, 1, 4, 0);
	check("s1: at its limit", 0, &f, GATE_PROMOTE, GATE_PASSED);
	add(&f, STREAM_S1, 1, 1, 0);
	check("s1: above", 0, &f, GATE_HOLD, GATE_OVER_LIMIT);
	add(&f, STREAM_S1_DUE, 1, 25, 0);
	check("s1: more were due", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

/* In a share so large that a tenth of it would show it, a limit must be shown to hold. */
static void test_shown(void **state)
{
	static const struct {
		const char *why;
		uint64_t expected;
		double q0;
		uint32_t failed, attempts;
		bool want;
	} row[] = {
		{ "a small share", 9999, .01, 0, 10, true },
		{ "just large enough", 10000, .01, 0, 10, false },
		{ "a low limit needs a larger one", 99999, .001, 0, 10, true },
		{ "which it is", 100000, .001, 0, 10, false },
		{ "nobody has tried", 10000, .01, 0, 0, false },
		{ "no failures in many", 10000, .01, 0, 2000, true },
		{ "few in many", 10000, .01, 4, 2000, true },
		{ "close to the limit", 10000, .01, 18, 2000, false },
		{ "no limit", 1000000000, 1, 0, 0, true },
		{ "nearly none", 1000000000, .999999, 0, 10, true },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++) {
			bool s1 = l == GATE_S1;
			struct gate_judgement j;
			make(&f);
			f.stage.attempts = s1 ? 0 : row[i].attempts;
			f.stage.s1_due = s1 ? row[i].attempts : 0;
			for (unsigned k = 0; k < GATE_LIMIT__COUNT; k++) {
				f.stage.failed[k] = 0;
				f.rules.limit[k] = 1;
			}
			f.stage.failed[l] = row[i].failed;
			f.rules.limit[l] = row[i].q0;
			f.facts.expected = row[i].expected;
			check(row[i].why, l, &f, row[i].want ? GATE_PROMOTE : GATE_HOLD,
				row[i].want ? GATE_PASSED : GATE_UNSHOWN);
			j = gate_judge(&f.stage, &f.rules, &f.facts);
			assert_true(row[i].want || (j.have < j.need && j.need == -log(GATE_BETA)));
		}
}

static void test_no_crashes(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		bool want = bits != 0;
		make(&f);
		f.facts.crash_reports = bits & 1;
		f.rules.no_crash_reports = bits & 2; /* the approvers signed that there are none */
		f.facts.resumed_ms = bits & 4 ? f.facts.opened_ms : 0;
		check("no crashes", bits, &f, want ? GATE_PROMOTE : GATE_DO_PAUSE,
			want ? GATE_PASSED : GATE_NO_CRASHES);
	}
}

static void test_tolerance(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.stage.ratio = (struct eproc_cs){ .tol_ll = 0 };
	check("no crash at all is no proof", 0, &f, GATE_HOLD, GATE_TOLERANCE);
	f.facts.opened_ms = f.facts.now_ms - 72 * HOUR + 1;
	check("still time", 0, &f, GATE_HOLD, GATE_TOLERANCE);
	f.facts.opened_ms = f.facts.now_ms - 72 * HOUR;
	check("a person must decide", 0, &f, GATE_DO_PAUSE, GATE_TOLERANCE);
	f.rules.tolerance = 0;
	check("tolerance: none", 0, &f, GATE_PROMOTE, GATE_PASSED);
	/* Ten times as many crashes: far from the tolerance too, on the wrong side. */
	make(&f);
	f.stage.ratio = (struct eproc_cs){ .tol_ll = 0 };
	add(&f, STREAM_CRASH, 1, 500, 450);
	assert_true(eproc_cs_log(&f.stage.ratio) > log(20));
	check("above", 0, &f, GATE_HOLD, GATE_TOLERANCE);
}

static void test_nobody(void **state)
{
	struct fixture f = { .rules = rules };

	(void)state;
	f.rules.tolerance = 0;
	f.facts = (struct gate_facts){
		.now_ms = 100 * HOUR, .opened_ms = 76 * HOUR, .crash_reports = true
	};
	/* Before the first batch closed nobody can know. */
	check("no batch", 0, &f, GATE_HOLD, GATE_ADMITTING);
	add(&f, STREAM_ENTERED, 0, 0, 0);
	check("an empty share", 0, &f, GATE_PROMOTE, GATE_PASSED);
	/* A few devices may all be asleep; silence of many is no pass, until the first
	 * comes. */
	f.facts.expected = GATE_MANY - 1;
	check("a few", 0, &f, GATE_PROMOTE, GATE_PASSED);
	f.facts.expected = GATE_MANY;
	check("many", 0, &f, GATE_HOLD, GATE_NOBODY);
	add(&f, STREAM_ENTERED, 0, 1, 0);
	check("one came", 0, &f, GATE_HOLD, GATE_RESOLVING);
	add(&f, STREAM_RESOLVED, 0, 1, 0);
	check("and has told", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_waived),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_soak),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_no_crashes),
		cmocka_unit_test(test_tolerance),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
