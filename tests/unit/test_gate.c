/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "server/core/gate.h"

#define HOUR 3600000ull

static const struct gate_rules rules = {
	.tolerance = 2,
	.limit = { .01, .02, .03 },
	.budget = .2,
	.soak_ms = 24 * HOUR,
	.max_soak_ms = 72 * HOUR,
};

/* A stage that passes, and the facts around it; cases break one thing or several. */
struct fixture {
	struct gate_rules rules;
	struct gate_stage stage;
	struct gate_facts facts;
};

static void add(
	struct fixture *f, enum stream stream, uint32_t batch, uint32_t xc, uint32_t xk)
{
	struct evidence_row row = { .batch = batch,
		.stream = stream,
		.xc = xc,
		.xk = xk,
		.ec = 10000,
		.ek = 90000 };

	gate_add(&f->stage, &f->rules, &row);
}

static void make(struct fixture *f)
{
	*f = (struct fixture){ .rules = rules };
	add(f, STREAM_ENTERED, 0, 1000, 9000);
	add(f, STREAM_HELD, 0, 12, 0);
	add(f, STREAM_RESOLVED, 1, 950, 0);
	add(f, STREAM_CRASH, 1, 50, 500);
	add(f, STREAM_BOOT, 1, 9, 0);
	add(f, STREAM_INSTALL, 1, 19, 0);
	add(f, STREAM_ROLLBACK, 1, 28, 0);
	add(f, STREAM_ENTERED, 1, 0, 0);
	f->facts = (struct gate_facts){
		.now_ms = 100 * HOUR,
		.opened_ms = 76 * HOUR,
		.not_before_ms = 100 * HOUR,
		.log_k = 0,
	};
}

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
	f->stage.offered = f->stage.resolved = 0;
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

static void set_worse(struct fixture *f)
{
	f->stage.ratio = (struct eproc_cs){ .tol_ll = 0 };
	add(f, STREAM_CRASH, 1, 95, 500);
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

static void check(const char *why, size_t i, const struct fixture *f,
	enum gate_verdict verdict, enum gate_reason reason)
{
	struct gate_judgement j = gate_judge(&f->stage, &f->rules, &f->facts);

	if (j.verdict != verdict || j.reason != reason)
		fail_msg("%s %zu: verdict %d, reason %d", why, i, j.verdict, j.reason);
}

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
		{ "paused, and it gets worse", 100.001, true, GATE_DO_HALT,
			GATE_EVIDENCE },
		{ "paused, and it looks good again", .01, true, GATE_HOLD,
			GATE_PAUSED },
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
	assert_true(fabs(j.have - 10.0 / 950) < 1e-12 && j.need == .01);
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
	static const enum stream streams[] = { STREAM_BOOT, STREAM_INSTALL,
		STREAM_ROLLBACK };
	struct fixture f;

	(void)state;
	/* Each has its own limit, and 9, 19 and 28 of 950 are just within. */
	for (size_t i = 0; i < COUNT(streams); i++) {
		make(&f);
		add(&f, streams[i], 1, 1, 0);
		check("limit", i, &f, GATE_HOLD, GATE_OVER_LIMIT);
	}
	/* A failure after the first outcome is an attempt too: 9 of 9, not of 0. */
	make(&f);
	f.stage.attempts = 0;
	check("no attempts", 0, &f, GATE_HOLD, GATE_OVER_LIMIT);
	make(&f);
	f.rules.limit[GATE_BOOT] = f.rules.limit[GATE_INSTALL] =
		f.rules.limit[GATE_ROLLBACK] = 1;
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
	check("a person must decide", 0, &f, GATE_HOLD, GATE_UNDECIDED);
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
	f.facts = (struct gate_facts){ .now_ms = 100 * HOUR };
	/* Before the first batch closed nobody can know. */
	check("no batch", 0, &f, GATE_HOLD, GATE_ADMITTING);
	add(&f, STREAM_ENTERED, 0, 0, 0);
	check("an empty share", 0, &f, GATE_PROMOTE, GATE_PASSED);
	/* A few devices may all be asleep; silence of many is no pass, until the first comes. */
	f.facts.expected = GATE_MANY - 1;
	check("a few", 0, &f, GATE_PROMOTE, GATE_PASSED);
	f.facts.expected = GATE_MANY;
	check("many", 0, &f, GATE_HOLD, GATE_NOBODY);
	add(&f, STREAM_ENTERED, 0, 1, 0);
	check("one came", 0, &f, GATE_HOLD, GATE_RESOLVING);
	add(&f, STREAM_RESOLVED, 0, 1, 0);
	check("and has told", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

static void test_admitting(void **state)
{
	static const struct {
		const char *why;
		uint32_t batches,
			held; /* last batch closed, last in which some were held */
		bool want;
	} row[] = {
		{ "held in the last", 3, 3, true },
		{ "held in the one before", 3, 2, false },
		{ "held in the first", 3, 0, false },
		{ "held in the only one", 0, 0, true },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		f = (struct fixture){ .rules = rules };
		for (uint32_t b = 0; b <= row[i].batches; b++) {
			add(&f, STREAM_ENTERED, b, 1, 1);
			if (b == row[i].held)
				add(&f, STREAM_HELD, b, 1, 0);
		}
		if (gate_admitting(&f.stage) != row[i].want)
			fail_msg("%s", row[i].why);
	}
	f = (struct fixture){ .rules = rules };
	assert_true(gate_admitting(&f.stage));
	for (uint32_t b = 0; b < 3; b++)
		add(&f, STREAM_ENTERED, b, 1, 1);
	assert_false(gate_admitting(&f.stage));
}

static void test_add(void **state)
{
	struct fixture f = { .rules = rules };
	struct gate_stage none;

	(void)state;
	/* Streams that are only shown move nothing. */
	none = f.stage;
	add(&f, STREAM_CRASH_LOOP, 0, 3, 4);
	add(&f, STREAM_S1, 0, 3, 4);
	add(&f, STREAM_SILENT, 0, 3, 4);
	for (unsigned s = STREAM_SYMPTOM; s < STREAM_RESOLVED; s++)
		add(&f, (enum stream)s, 0, 3, 4);
	assert_memory_equal(&f.stage, &none, sizeof(none));
	make(&f);
	assert_int_equal(f.stage.offered, 1000);
	assert_int_equal(f.stage.control, 9000);
	assert_int_equal(f.stage.resolved, 950);
	assert_int_equal(f.stage.batches, 2);
	assert_int_equal(f.stage.held_batch, 1);
	assert_true(f.stage.attempts == 950);
	assert_true(f.stage.failed[GATE_BOOT] == 9);
	assert_true(f.stage.failed[GATE_INSTALL] == 19);
	assert_true(f.stage.failed[GATE_ROLLBACK] == 28);
	/* Control devices are offered nothing: what they report is no outcome. */
	add(&f, STREAM_RESOLVED, 1, 0, 7);
	add(&f, STREAM_BOOT, 1, 0, 7);
	assert_true(f.stage.attempts == 950 && f.stage.failed[GATE_BOOT] == 9);
}

static void test_forget(void **state)
{
	double stream[GATE_STREAM__COUNT];
	struct fixture f;

	(void)state;
	make(&f);
	set_worse(&f);
	add(&f, STREAM_BOOT, 1, 500, 0);
	assert_true(gate_stage_log(&f.stage, &f.rules, stream) > log(GATE_HALT));
	gate_forget(&f.stage);
	assert_true(fabs(gate_stage_log(&f.stage, &f.rules, stream)) < 1e-12);
	for (unsigned s = 0; s < GATE_STREAM__COUNT; s++)
		assert_true(fabs(stream[s]) < 1e-12);
	/* Who was offered the build, and what was shown of the ratio, stays. */
	assert_int_equal(f.stage.offered, 1000);
	assert_int_equal(f.stage.resolved, 950);
	assert_int_equal(f.stage.batches, 2);
	check("ratio is kept", 0, &f, GATE_HOLD, GATE_TOLERANCE);
	make(&f);
	gate_forget(&f.stage);
	check("still shown", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

static void test_stage_log(void **state)
{
	double stream[GATE_STREAM__COUNT], sum = 0;
	struct gate_stage s = { .failed = { 1 }, .attempts = 1 };
	struct gate_rules r = rules;

	(void)state;
	for (unsigned i = 0; i < GATE_STREAM__COUNT; i++)
		sum += gate_weight[i];
	assert_true(sum <= 1 && gate_weight[GATE_STREAM_CRASH] == .4);
	/* The first device does not boot, limit 0.1 %: 177.5 in a fifteenth of the
	 * capital. */
	r.limit[GATE_BOOT] = .001;
	sum = gate_stage_log(&s, &r, stream);
	assert_true(fabs(stream[GATE_STREAM_BOOT] - log(177.5)) < 1e-12);
	assert_true(stream[GATE_STREAM_CRASH] < 1e-12);
	assert_true(fabs(exp(sum) -
			    (177.5 * .2 / 3 + .4 +
				    exp(stream[GATE_STREAM_INSTALL]) * .2 / 3 +
				    exp(stream[GATE_STREAM_ROLLBACK]) * .2 / 3 + .4)) <
		1e-9);
	r.limit[GATE_BOOT] = r.limit[GATE_INSTALL] = r.limit[GATE_ROLLBACK] = 1;
	assert_true(fabs(gate_stage_log(&s, &r, stream)) < 1e-12);
}

/* More failures, never a kinder verdict. */
static void check_monotone(enum stream stream, uint32_t most)
{
	static const int severity[] = { [GATE_PROMOTE] = 0,
		[GATE_HOLD] = 1,
		[GATE_DO_PAUSE] = 2,
		[GATE_DO_HALT] = 3 };
	double streams[GATE_STREAM__COUNT], last_log = -INFINITY;
	int last = 0;

	for (uint32_t x = 0; x <= most; x++) {
		struct fixture f;
		struct gate_judgement j;
		make(&f);
		add(&f, stream, 1, x, 0);
		f.facts.log_k = gate_stage_log(&f.stage, &f.rules, streams);
		assert_true(f.facts.log_k >= last_log);
		j = gate_judge(&f.stage, &f.rules, &f.facts);
		assert_true(severity[j.verdict] >= last);
		last = severity[j.verdict];
		last_log = f.facts.log_k;
	}
	assert_int_equal(last, 3);
}

static void test_monotone(void **state)
{
	(void)state;
	check_monotone(STREAM_BOOT, 300);
	check_monotone(STREAM_INSTALL, 300);
	check_monotone(STREAM_ROLLBACK, 300);
	check_monotone(STREAM_CRASH, 300);
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
		cmocka_unit_test(test_admitting),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_stage_log),
		cmocka_unit_test(test_monotone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
