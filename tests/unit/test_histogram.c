/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's histogram: are its shares of times what they are called? */
#include "unit.h"

#include <string.h>

#include "bench/front/histogram.h"

static struct histogram h;

static void test_empty(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	assert_float_equal(histogram_us(&h, 0.99), 0, 0);
}

/* Alone, each time is found again, at most one bucket above. */
static void test_one(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 63; bit++)
		for (unsigned k = 0; k < 3; k++) {
			uint64_t ns = (1ull << bit) + (1ull << bit) * k / 3;
			double us = (double)ns / 1e3;
			memset(&h, 0, sizeof(h));
			histogram_add(&h, ns);
			assert_int_equal(h.max_ns, ns);
			assert_true(histogram_us(&h, 0.5) > us * (1 - 1e-12));
			assert_true(histogram_us(&h, 0.5) <= us * 1.032 + 0.001);
		}
}

static void test_shares(void **state)
{
	static const struct {
		const char *why;
		double share, want_us;
	} cases[] = {
		{ "half of them", 0.5, 500 },
		{ "all but a hundredth", 0.99, 990 },
		{ "all but a thousandth", 0.999, 999 },
		{ "all", 1, 1000 },
		{ "the first", 0.001, 1 },
	};

	(void)state;
	memset(&h, 0, sizeof(h));
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_add(&h, us * 1000);
	assert_int_equal(h.n, 1000);
	for (size_t i = 0; i < COUNT(cases); i++) {
		double us = histogram_us(&h, cases[i].share);
		if (us < cases[i].want_us || us > cases[i].want_us * 1.032)
			fail_msg("%s: %g", cases[i].why, us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
