/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker refuses when it is late, in which order, and how it comes back. */
#include "unit.h"

#include "proto/bucket.h"
#include "server/core/shed.h"

#define HALF 500000u

static const struct {
	const char *why;
	uint32_t before, lag_ms, want;
} pressures[] = {
	{ "in time: nothing", 0, 0, 0 },
	{ "a little late: nothing yet", 0, SHED_LATE_MS - 1, 0 },
	{ "just late: an eighth", 0, SHED_LATE_MS, 125000 },
	{ "twice as late: a quarter", 0, 2 * SHED_LATE_MS, 250000 },
	{ "very late: all polls, no enrolment yet", 0, 100000, PPM },
	{ "late in the middle", 900000, SHED_LATE_MS, PPM },
	{ "all polls are refused, and it is still late", PPM, SHED_LATE_MS, 1125000 },
	{ "never beyond everything", PPM, 100000, 2 * PPM },
	{ "late for ever", 2 * PPM, UINT32_MAX, 2 * PPM },
	{ "no longer late: no more than before", 800000, SHED_LATE_MS - 1, 800000 },
	{ "half as late as that: less", 800000, SHED_LATE_MS / 2 - 1, 737500 },
	{ "the last bit", 10, 0, 0 },
};

static void test_pressure(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pressures); i++) {
		struct shed s = { .pressure_ppm = pressures[i].before, .was_late = true };
		struct shed_look look = { .now_ms = 100, .lag_ms = pressures[i].lag_ms };
		shed_look(&s, &look);
		if (s.pressure_ppm != pressures[i].want)
			fail_msg("%s: %u", pressures[i].why, s.pressure_ppm);
	}
}

/* Less than a second, once: a machine that was elsewhere.  Nobody is refused for that. */
static void test_late_once(void **state)
{
	struct shed s = { 0 };
	uint64_t now_ms = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		shed_look(&s,
			&(struct shed_look){ now_ms += 1000, 1000, SHED_STALL_MS - 1, 0, false });
		assert_int_equal(s.pressure_ppm, 0);
		shed_look(
			&s, &(struct shed_look){ now_ms += 100, 100, SHED_LATE_MS - 1, 0, false });
		assert_int_equal(s.pressure_ppm, 0);
	}
	shed_look(&s, &(struct shed_look){ now_ms += 350, 350, SHED_LATE_MS, 0, false });
	assert_int_equal(s.pressure_ppm, 0);
	shed_look(&s, &(struct shed_look){ now_ms += 350, 350, SHED_LATE_MS, 0, false });
	assert_int_equal(s.pressure_ppm, 125000);
	shed_look(&s, &(struct shed_look){ now_ms += 350, 350, SHED_LATE_MS, 0, false });
	assert_int_equal(s.pressure_ppm, 250000);
	s = (struct shed){ 0 };
	shed_look(&s, &(struct shed_look){ now_ms, 1100, SHED_STALL_MS, 0, false });
	assert_int_equal(s.pressure_ppm, 500000);
}

static const struct {
	const char *why;
	uint32_t pressure, dice;
	enum shed_class what;
	bool want;
} refusals[] = {
	{ "no pressure", 0, 0, SHED_BACKGROUND, false },
	{ "half: these", HALF, HALF - 1, SHED_BACKGROUND, true },
	{ "half: not those", HALF, HALF, SHED_BACKGROUND, false },
	{ "half: no enrolment", HALF, 0, SHED_ENROL, false },
	{ "all polls", PPM, PPM - 1, SHED_BACKGROUND, true },
	{ "all polls: still no enrolment", PPM, 0, SHED_ENROL, false },
	{ "half of the enrolments", PPM + HALF, HALF - 1, SHED_ENROL, true },
	{ "not the other half", PPM + HALF, HALF, SHED_ENROL, false },
	{ "and all polls", PPM + HALF, PPM - 1, SHED_BACKGROUND, true },
	{ "everything", 2 * PPM, PPM - 1, SHED_ENROL, true },
};

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct shed s = { .pressure_ppm = refusals[i].pressure };
		if (shed_refuses(&s, refusals[i].what, refusals[i].dice) != refusals[i].want)
			fail_msg("%s", refusals[i].why);
	}
}

/* Looks ten times a second for `for_s` seconds. */
static void look_for(struct shed *s, uint64_t *now_ms, unsigned for_s, struct shed_look look)
{
	for (unsigned i = 0; i < for_s * 10; i++) {
		look.now_ms = *now_ms += 100;
		look.seen_ms = 100;
		shed_look(s, &look);
	}
}

/* A loop that is just at its limit: as much is refused as it takes, without swinging. */
static void test_settles(void **state)
{
	struct shed s = { 0 };
	uint32_t low = 2 * PPM, high = 0;

	(void)state;
	for (unsigned i = 1; i <= 600; i++) {
		/* 1.5 times what it can do is offered; what is refused costs nothing. */
		uint64_t taken = 1500000ull * (PPM - s.pressure_ppm) / PPM;
		struct shed_look look = { .now_ms = 100 * i, .lag_ms = taken > PPM ? 300 : 50 };
		shed_look(&s, &look);
		if (i > 100 && s.pressure_ppm < low)
			low = s.pressure_ppm;
		if (i > 100 && s.pressure_ppm > high)
			high = s.pressure_ppm;
	}
	assert_in_range(low, 200000, 400000);
	assert_in_range(high, 300000, 500000);
}

static const struct {
	const char *why;
	struct shed_look look;
	unsigned for_s, want;
} stretches[] = {
	{ "idle", { 0 }, 600, 0 },
	{ "half busy", { .busy_ppm = 600000 }, 600, 0 },
	{ "busy for a moment", { .busy_ppm = PPM }, 10, 0 },
	{ "busy for a while", { .busy_ppm = PPM }, 20, 1 },
	{ "busy for long", { .busy_ppm = 850000 }, 600, 2 },
	{ "late, though others have the processor", { .lag_ms = 300 }, 20, 1 },
	{ "connections are turned away", { .turned_away = true }, 600, 2 },
};

static void test_stretch(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(stretches); i++) {
		struct shed s = { 0 };
		uint64_t now_ms = 0;
		look_for(&s, &now_ms, stretches[i].for_s, stretches[i].look);
		if (s.stretch != stretches[i].want)
			fail_msg("%s: %u", stretches[i].why, s.stretch);
		assert_true(shed_is_calm(&s) == (i == 0));
		/* At most one step down a minute, and then it is over. */
		look_for(&s, &now_ms, 50, (struct shed_look){ .busy_ppm = 100000 });
		assert_true(s.stretch + 1 >= stretches[i].want);
		look_for(&s, &now_ms, 120, (struct shed_look){ .busy_ppm = 100000 });
		assert_int_equal(s.stretch, 0);
		assert_true(shed_is_calm(&s));
	}
}

/* Between the two thresholds it stays as it is: no swinging at the one or the other. */
static void test_stretch_stays(void **state)
{
	struct shed s = { 0 };
	uint64_t now_ms = 0;

	(void)state;
	look_for(&s, &now_ms, 30, (struct shed_look){ .busy_ppm = 900000 });
	assert_int_equal(s.stretch, 1);
	look_for(&s, &now_ms, 3600, (struct shed_look){ .busy_ppm = 650000 });
	assert_int_equal(s.stretch, 1);
}

/* A second in which the machine stood still is over when it is; phones need not come later for it. */
static void test_stall(void **state)
{
	struct shed s = { 0 };
	uint64_t now_ms = 3600000;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		look_for(&s, &now_ms, 20, (struct shed_look){ 0 });
		now_ms += 1000;
		shed_look(&s, &(struct shed_look){ now_ms, 1100, 1000, 0, false });
		assert_in_range(s.pressure_ppm, 1, PPM);
		look_for(&s, &now_ms, 2, (struct shed_look){ 0 });
		assert_int_equal(s.pressure_ppm, 0);
		assert_int_equal(s.stretch, 0);
	}
	look_for(&s, &now_ms, 4, (struct shed_look){ .lag_ms = 300 });
	assert_int_equal(s.stretch, 0);
	look_for(&s, &now_ms, 2, (struct shed_look){ .lag_ms = 300 });
	assert_int_equal(s.stretch, 1);
}

/* Nobody was connected for an hour, so nobody looked; then a tenth of a second is full. */
static void test_burst_after_nothing(void **state)
{
	struct shed s = { 0 };
	struct shed_look full = { .seen_ms = 100, .busy_ppm = PPM };

	(void)state;
	for (unsigned i = 1; i <= 10; i++) {
		full.now_ms = i * 3600000;
		shed_look(&s, &full);
		assert_in_range(s.busy_ppm, 9000, 11000);
		assert_int_equal(s.stretch, 0);
	}
}

static void test_longest(void **state)
{
	static const struct {
		uint64_t interval_ms;
		unsigned want;
	} row[] = {
		{ 1000, 2 },
		{ 4 * 3600000, 2 },
		{ 4 * 3600000 + 1, 1 },
		{ 8 * 3600000, 1 },
		{ 8 * 3600000 + 1, 0 },
		{ 24 * 3600000, 0 },
	};
	struct shed s = { .stretch = 2 };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		assert_int_equal(shed_stretch(&s, row[i].interval_ms), row[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_late_once),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_settles),
		cmocka_unit_test(test_stretch),
		cmocka_unit_test(test_stretch_stays),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_burst_after_nothing),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
