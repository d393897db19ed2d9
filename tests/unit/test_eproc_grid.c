/* SPDX-License-Identifier: Apache-2.0 */
/* The constants of the core, worked out again. */
#include "unit.h"

#include <math.h>

#include "server/core/eproc.h"
#include "server/core/eproc_grid.inc"

#define NEAR 1e-13

static void check_near(const char *why, size_t i, double have, double want)
{
	if (!(fabs(have - want) <= NEAR * fabs(want)))
		fail_msg("%s %zu: %.17g, not %.17g", why, i, have, want);
}

static void check_points(const struct point *point, size_t n, const double *g, const double *p)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		check_near("ratio", i, point[i].g, g[i]);
		check_near("its logarithm", i, point[i].log_g, log(g[i]));
		check_near("its weight", i, point[i].log_p, log(p[i]));
		sum += p[i];
	}
	check_near("weights", n, sum, 1);
}

static void test_points(void **state)
{
	static const double g[] = { 1.2, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 20, 50, 200 };
	static const double p[] = { .12, .15, .22, .10, .09, .08, .07, .06, .05, .03, .02, .01 };
	static const double signature_g[] = { 5, 20, 100, 1000 };
	static const double signature_p[] = { .2, .3, .3, .2 };

	(void)state;
	assert_int_equal(COUNT(halt_point), COUNT(g));
	check_points(halt_point, COUNT(g), g, p);
	assert_int_equal(COUNT(signature_point), COUNT(signature_g));
	check_points(signature_point, COUNT(signature_g), signature_g, signature_p);
}

static void test_grid(void **state)
{
	double prior[EPROC_CS_POINTS], sum = 0;

	(void)state;
	assert_int_equal(COUNT(grid), EPROC_CS_POINTS);
	for (int i = 0; i < EPROC_CS_POINTS; i++) {
		double x = (i - 64) * log(2) / 8, theta = .02 * sinh(x);
		prior[i] = cosh(x) / (1 + theta / .2 * (theta / .2));
		sum += prior[i];
		check_near("theta", (size_t)i, grid[i].theta, theta);
		check_near("ratio", (size_t)i, grid[i].ratio, exp(theta));
	}
	for (size_t i = 0; i < EPROC_CS_POINTS; i++)
		check_near("prior", i, grid[i].log_prior, log(prior[i] / sum));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
