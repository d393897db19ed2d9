/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/bucket.h"
#include "rng.h"
#include "server/core/admit.h"

static const struct {
	const char *why;
	struct admit_facts in;
	struct admit want;
} cases[] = {
	{ "the start: a window of twenty, asked twice as many", { .expected = 1000 },
		{ 20, 40000 } },
	{ "a small share: all are asked", { .expected = 30 }, { 20, PPM } },
	{ "one device", { .expected = 1 }, { 20, PPM } },
	{ "nothing came back yet", { .granted = 20, .expected = 1000, .admit_ppm = 40000 },
		{ 20, 40000 } },
	{ "one came back", { .granted = 20, .boot_ok = 1, .expected = 1000 }, { 21, 42000 } },
	{ "all came back well: the window stays until they are more than it",
		{ .granted = 20, .boot_ok = 20, .expected = 1000 }, { 40, 80000 } },
	{ "fifty good ones: it doubles", { .granted = 50, .boot_ok = 50, .expected = 1000 },
		{ 100, 200000 } },
	{ "twenty bricks: nothing beyond them", { .granted = 20, .expected = 1000 },
		{ 20, 40000 } },
	{ "failures make no room", { .granted = 40, .boot_ok = 5, .expected = 1000 },
		{ 40, 80000 } },
	{ "and while there is room they take it", { .granted = 20, .boot_ok = 5, .expected = 1000 },
		{ 25, 50000 } },
	{ "the plan's cap", { .boot_ok = 50, .expected = 1000, .cap = 70 }, { 70, 140000 } },
	{ "a cap below the window", { .expected = 1000, .cap = 5 }, { 5, 10000 } },
	{ "what was handed out stays handed out", { .granted = 90, .expected = 1000, .cap = 70 },
		{ 90, 180000 } },
	{ "the share never shrinks", { .expected = 1000, .admit_ppm = 500000 }, { 20, 500000 } },
	{ "sleepers: tokens were left, twice as many are asked",
		{ .granted = 10, .expected = 1000, .admit_ppm = 40000, .idle = true },
		{ 20, 80000 } },
	{ "sleepers: again", { .granted = 10, .expected = 1000, .admit_ppm = 80000, .idle = true },
		{ 20, 160000 } },
	{ "sleepers: not beyond all",
		{ .granted = 10, .expected = 1000, .admit_ppm = 900000, .idle = true },
		{ 20, PPM } },
	{ "idle, but no token is left",
		{ .granted = 20, .expected = 1000, .admit_ppm = 40000, .idle = true },
		{ 20, 40000 } },
	{ "170 million devices", { .boot_ok = 80000000, .heard = 80000000, .expected = 170000000 },
		{ 160000000, PPM } },
	{ "a thousandth of them", { .boot_ok = 40000, .heard = 40000, .expected = 170000000 },
		{ 80000, 941 } },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct admit a = admit_next(&cases[i].in);
		if (a.allowed != cases[i].want.allowed || a.admit_ppm != cases[i].want.admit_ppm)
			fail_msg("%s: %u, %u ppm", cases[i].why, a.allowed, a.admit_ppm);
	}
}

/* A stage from its start to its end: nothing ever shrinks, and everybody gets in. */
static void test_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct rng r = { seed };
		uint32_t size = 1 + (uint32_t)rng_below(&r, 20000);
		struct admit_facts f = { .expected = size };
		for (unsigned round = 0; f.granted < size && round < 200; round++) {
			struct admit a;
			f.idle = rng_below(&r, 2) != 0;
			a = admit_next(&f);
			assert_true(a.allowed >= f.granted);
			assert_true(a.admit_ppm >= f.admit_ppm && a.admit_ppm <= PPM);
			/* Never more in the dark than came back well, or the window. */
			assert_true(a.allowed - f.boot_ok <= (f.boot_ok > 20 ? f.boot_ok : 20));
			f.admit_ppm = a.admit_ppm;
			f.granted = a.allowed < size ? a.allowed : size;
			f.boot_ok = f.judged = f.heard = f.granted;
		}
		assert_int_equal(f.granted, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
