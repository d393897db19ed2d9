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

static void set_young(struct fixture *f)
{
	f->facts.opened_ms += 1;
}

static void set_nobody(struct fixture *f)
{
	f->stage.offered = f->stage.resolved = f->stage.control = 0;
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

static void set_early(struct fixture *f)
{
	f->facts.not_before_ms += 1;
}

/* In the order in which the gate looks. */
static const struct {
	void (*broken)(struct fixture *f);
	enum gate_verdict verdict;
	enum gate_reason reason;
} order[] = {
	{ set_halt, GATE_DO_HALT, GATE_EVIDENCE },
	{ set_paused, GATE_HOLD, GATE_PAUSED },
	{ set_young, GATE_HOLD, GATE_SOAK },
	{ set_nobody, GATE_HOLD, GATE_NOBODY },
	{ set_held, GATE_HOLD, GATE_ADMITTING },
	{ set_unresolved, GATE_HOLD, GATE_RESOLVING },
	{ set_over, GATE_HOLD, GATE_OVER_LIMIT },
	{ set_worse, GATE_HOLD, GATE_TOLERANCE },
	{ set_early, GATE_HOLD, GATE_NOT_BEFORE },
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
	f.facts = (struct gate_facts){ .now_ms = 30 * HOUR, .crash_reports = true };
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
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_soak),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_tolerance),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
