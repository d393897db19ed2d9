/* SPDX-License-Identifier: Apache-2.0 */
/* What rows add up to, and what that weighs. */
#include "unit.h"

#include "gate_world.h"

static void test_admitting(void **state)
{
	static const struct {
		const char *why;
		uint32_t batches, held; /* last batch closed, last in which some were held */
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
	static const enum stream shown[] = { STREAM_DOWNLOADED, STREAM_INSTALLING, STREAM_INSTALLED,
		STREAM_BOOT_OK, STREAM_JUDGED };

	(void)state;
	/* Streams that are only shown move nothing. */
	none = f.stage;
	for (size_t i = 0; i < COUNT(shown); i++)
		add(&f, shown[i], 0, 3, 4);
	assert_memory_equal(&f.stage, &none, sizeof(none));
	make(&f);
	assert_int_equal(f.stage.offered, 1000);
	assert_int_equal(f.stage.control, 9000);
	assert_int_equal(f.stage.resolved, 950);
	assert_int_equal(f.stage.batches, 2);
	assert_int_equal(f.stage.held_batch, 1);
	assert_true(f.stage.attempts == 950);
	assert_true(f.stage.failed[GATE_BOOT] == 10);
	assert_true(f.stage.failed[GATE_INSTALL] == 19);
	assert_true(f.stage.failed[GATE_ROLLBACK] == 29);
	/* Control devices are offered nothing: what they report is no outcome. */
	add(&f, STREAM_RESOLVED, 1, 0, 7);
	add(&f, STREAM_BOOT, 1, 0, 7);
	assert_true(f.stage.attempts == 950 && f.stage.failed[GATE_BOOT] == 10);
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
	/* Nobody was asked meanwhile: one batch more is needed to know that all have been. */
	check("not asked again", 0, &f, GATE_HOLD, GATE_ADMITTING);
	add(&f, STREAM_ENTERED, 2, 0, 0);
	check("ratio is kept", 0, &f, GATE_HOLD, GATE_TOLERANCE);
	make(&f);
	gate_forget(&f.stage);
	add(&f, STREAM_ENTERED, 2, 0, 0);
	check("still shown", 0, &f, GATE_PROMOTE, GATE_PASSED);
}

static void test_weights(void **state)
{
	double sum = 0;

	(void)state;
	for (unsigned i = 0; i < GATE_STREAM__COUNT; i++) {
		assert_true(gate_weight(i) > 0);
		assert_true(gate_stream_str(i)[0] != '\0');
		sum += gate_weight(i);
	}
	assert_true(fabs(sum - 1) < 1e-12);
	assert_true(gate_weight(GATE_STREAM_CRASH) == .38);
	assert_true(gate_weight(GATE_STREAM_SILENT) == .20);
	assert_true(gate_weight(GATE_STREAM_SYMPTOM + 7) == .0025);
}

/* The first device does not boot, limit 0.1 %: 177.5 in a twentieth of the capital. */
static void test_stage_log(void **state)
{
	double stream[GATE_STREAM__COUNT], sum;
	struct gate_stage s = { .failed = { 1 }, .attempts = 1 };
	struct gate_rules r = rules;

	(void)state;
	r.limit[GATE_BOOT] = .001;
	sum = gate_stage_log(&s, &r, stream);
	assert_true(fabs(stream[GATE_STREAM_BOOT] - log(177.5)) < 1e-12);
	assert_true(stream[GATE_STREAM_CRASH] < 1e-12);
	assert_true(fabs(exp(sum) -
			    (177.5 * .05 + exp(stream[GATE_STREAM_INSTALL]) * .05 +
				    exp(stream[GATE_STREAM_ROLLBACK]) * .05 + .85)) < 1e-9);
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++)
		r.limit[l] = 1;
	assert_true(fabs(gate_stage_log(&s, &r, stream)) < 1e-12);
}

/* More failures, never a kinder verdict. */
static void check_monotone(enum stream stream, uint32_t most)
{
	static const int severity[] = {
		[GATE_PROMOTE] = 0, [GATE_HOLD] = 1, [GATE_DO_PAUSE] = 2, [GATE_DO_HALT] = 3
	};
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
	check_monotone(STREAM_CRASH_LOOP, 300);
	check_monotone(STREAM_S1, 300);
	check_monotone(STREAM_SILENT, 300);
	check_monotone(STREAM_SIGNATURE, 300);
	check_monotone(STREAM_SYMPTOM + 3, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admitting),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_stage_log),
		cmocka_unit_test(test_monotone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
