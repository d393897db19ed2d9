/* SPDX-License-Identifier: Apache-2.0 */
/* The simulations' numbers: are they what they are called? */
#include "unit.h"

#include <math.h>

#include "bench/gate/random.h"

#define DRAWS 200000

/* The reference implementation's first numbers from the state 1, 2, 3, 4. */
static void test_reference(void **state)
{
	static const uint64_t want[] = { 11520, 0, 1509978240, 1215971899390074240 };
	struct random r = { { { 1, 2, 3, 4 } } };

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++)
		assert_int_equal(random_u64(&r), want[i]);
}

static double exponential(struct random *r, double a, double b)
{
	(void)b;
	return random_exponential(r) * a;
}

static double uniform(struct random *r, double a, double b)
{
	return a + (b - a) * random_uniform(r);
}

static double gamma_draw(struct random *r, double a, double b)
{
	return random_gamma(r, a) * b;
}

static double poisson(struct random *r, double a, double b)
{
	(void)b;
	return (double)random_poisson(r, a);
}

static double binomial(struct random *r, double a, double b)
{
	return (double)random_binomial(r, (uint64_t)a, b);
}

static double below(struct random *r, double a, double b)
{
	(void)b;
	return random_below(r, (uint32_t)a);
}

static double chance(struct random *r, double a, double b)
{
	(void)b;
	return random_chance(r, a);
}

static double pareto(struct random *r, double a, double b)
{
	return random_pareto(r, a, b);
}

static const struct {
	const char *why;
	double (*draw)(struct random *r, double a, double b);
	double a, b, mean, variance;
} row[] = {
	{ "uniform", uniform, 0, 1, .5, 1.0 / 12 },
	{ "below 6", below, 6, 0, 2.5, 35.0 / 12 },
	{ "chance", chance, .3, 0, .3, .21 },
	{ "exponential", exponential, 3, 0, 3, 9 },
	{ "gamma, small shape", gamma_draw, .3, 2, .6, 1.2 },
	{ "gamma, large shape", gamma_draw, 40, 1, 40, 40 },
	{ "poisson, small", poisson, .7, 0, .7, .7 },
	{ "poisson, just small", poisson, 15.9, 0, 15.9, 15.9 },
	{ "poisson, just large", poisson, 16.1, 0, 16.1, 16.1 },
	{ "poisson, large", poisson, 1234.5, 0, 1234.5, 1234.5 },
	{ "poisson, none", poisson, 0, 0, 0, 0 },
	{ "binomial, rare", binomial, 1e6, 2e-6, 2, 2 },
	{ "binomial, nearly all", binomial, 1e6, 1 - 2e-6, 1e6 - 2, 2 },
	{ "binomial, half", binomial, 10, .5, 5, 2.5 },
	{ "binomial, many", binomial, 9000, .3, 2700, 1890 },
	{ "binomial, most of many", binomial, 9000, .7, 6300, 1890 },
	{ "binomial, of none", binomial, 0, .3, 0, 0 },
	{ "binomial, never", binomial, 50, 0, 0, 0 },
	{ "binomial, always", binomial, 50, 1, 50, 0 },
	{ "pareto", pareto, 6, 2, 2.4, .24 },
};

/* Within five standard errors, of the mean and (for tails no heavier than these) the variance. */
static void test_moments(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct random r;
		double sum = 0, squares = 0, mean, variance;
		random_seed(&r, i);
		for (unsigned k = 0; k < DRAWS; k++) {
			double x = row[i].draw(&r, row[i].a, row[i].b) - row[i].mean;
			sum += x;
			squares += x * x;
		}
		mean = sum / DRAWS;
		variance = squares / DRAWS - mean * mean;
		if (fabs(mean) > 5 * sqrt(row[i].variance / DRAWS))
			fail_msg("%s: mean is off by %g", row[i].why, mean);
		if (fabs(variance - row[i].variance) > .05 * row[i].variance)
			fail_msg("%s: variance is %g", row[i].why, variance);
	}
}

/* Not only the moments: the chance of each number, of draws that take the long way. */
static void test_binomial_shape(void **state)
{
	enum { N = 80, SHOWN = N + 1 };
	unsigned seen[SHOWN] = { 0 };
	double p = .4, chi = 0;
	struct random r;

	(void)state;
	random_seed(&r, 99);
	for (unsigned k = 0; k < DRAWS; k++)
		seen[random_binomial(&r, N, p)]++;
	for (unsigned x = 20; x <= 44; x++) {
		double want = DRAWS *
			exp(lgamma(N + 1.0) - lgamma(x + 1.0) - lgamma(N - x + 1.0) + x * log(p) +
				(N - x) * log1p(-p));
		chi += (seen[x] - want) * (seen[x] - want) / want;
	}
	/* 25 cells: mean 25, standard deviation 7. */
	if (chi > 60)
		fail_msg("chi square is %g", chi);
}

static void test_runs_differ(void **state)
{
	struct random a, b;

	(void)state;
	random_seed(&a, 1);
	random_seed(&b, 1);
	assert_int_equal(random_u64(&a), random_u64(&b));
	random_seed(&b, 2);
	assert_true(random_u64(&a) != random_u64(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_binomial_shape),
		cmocka_unit_test(test_runs_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
