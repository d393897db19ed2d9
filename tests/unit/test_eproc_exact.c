/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the 1 % rests on, by exact enumeration: under its null hypothesis the
 * expectation of an e-value is at most 1, and the chance that the process ever reaches
 * 1/a at most a.
 */
#include "unit.h"

#include <math.h>

#include "server/core/eproc.h"

#define SLACK 1e-9

static double binomial(unsigned n, unsigned x, double p)
{
	return exp(lgamma(n + 1.0) - lgamma(x + 1.0) - lgamma(n - x + 1.0) + x * log(p) +
		(n - x) * log1p(-p));
}

/*
 * Poisson arms: given n events, the canary's are Binomial(n, r w / (1 + r w)).  Two
 * batches with different numbers at risk; the ratio may change between them.
 */
static const struct {
	double w1, w2;   /* canary / control at risk */
	double r1, r2;   /* true ratio over r0 */
	unsigned n1, n2; /* events */
	bool exact;      /* at the edge of the null the expectation is 1 */
} worlds[] = {
	{ 1.0 / 9, 1.0 / 9, 1, 1, 5, 7, true },
	{ 1.0 / 9, 1.0 / 5, 1, 1, 12, 3, true },
	{ 1, 1, 1, 1, 10, 10, true },
	{ .0101, .0099, 1, 1, 20, 25, true },
	{ 9, 4, 1, 1, 6, 9, true },
	{ 1.0 / 9, 1.0 / 9, .5, .5, 8, 8, false },
	{ 1.0 / 9, 1.0 / 5, .9, 1, 8, 8, false },
	{ 1.0 / 3, 1.0 / 2, 0.01, .99, 10, 12, false },
};

static double expected_halt(size_t i, double r0)
{
	double p1 = worlds[i].r1 * r0 * worlds[i].w1 / (1 + worlds[i].r1 * r0 * worlds[i].w1);
	double p2 = worlds[i].r2 * r0 * worlds[i].w2 / (1 + worlds[i].r2 * r0 * worlds[i].w2);
	double sum = 0;

	for (unsigned x = 0; x <= worlds[i].n1; x++) {
		for (unsigned y = 0; y <= worlds[i].n2; y++) {
			struct batch a = { x, worlds[i].n1 - x, worlds[i].w1, 1 };
			struct batch b = { y, worlds[i].n2 - y, 1000 * worlds[i].w2, 1000 };
			struct eproc_halt h = { 0 };
			eproc_halt_add(&h, &a, r0);
			eproc_halt_add(&h, &b, r0);
			sum += binomial(worlds[i].n1, x, p1) * binomial(worlds[i].n2, y, p2) *
				exp(eproc_halt_log(&h));
		}
	}
	return sum;
}

static void test_halt(void **state)
{
	static const double r0[] = { 1, 1.25, 3 };

	(void)state;
	for (size_t i = 0; i < COUNT(worlds); i++) {
		for (size_t k = 0; k < COUNT(r0); k++) {
			double e = expected_halt(i, r0[k]);
			if (e > 1 + SLACK || (worlds[i].exact && e < 1 - SLACK))
				fail_msg("world %zu, r0 %g: E[e] = %.12f", i, r0[k], e);
		}
	}
}

/* The side that lets a build pass: true ratio at the tolerance. */
static void test_ratio(void **state)
{
	static const double tolerances[] = { 1.25, 1.5, 2, 5 };

	(void)state;
	for (size_t k = 0; k < COUNT(tolerances); k++) {
		for (unsigned n = 1; n <= 60; n += 7) {
			double w = 1.0 / 9, r = tolerances[k], p = r * w / (1 + r * w), sum = 0;
			for (unsigned x = 0; x <= n; x++) {
				struct batch b = { x, n - x, 100, 900 };
				struct eproc_cs cs = { 0 };
				eproc_cs_add(&cs, &b, r);
				sum += binomial(n, x, p) * exp(eproc_cs_log(&cs));
			}
			if (fabs(sum - 1) > SLACK)
				fail_msg("tolerance %g, n %u: E[e] = %.12f", r, n, sum);
		}
	}
}

static void test_limits(void **state)
{
	static const double limits[] = { .001, .01, .06, .3, .5, .94, .951, .97 };
	static const double below[] = { 1, .99, .5, .01 };

	(void)state;
	for (size_t k = 0; k < COUNT(limits); k++) {
		for (size_t j = 0; j < COUNT(below); j++) {
			double q0 = limits[k], sum = 0;
			unsigned n = 40;
			for (unsigned x = 0; x <= n; x++)
				sum += binomial(n, x, q0 * below[j]) *
					exp(eproc_limit_log(x, n, q0));
			if (sum > 1 + SLACK)
				fail_msg("limit %g, rate %g: E[e] = %.12f", q0, q0 * below[j], sum);
			if (j == 0 && sum < 1 - SLACK)
				fail_msg("limit %g: E[e] = %.12f", q0, sum);
		}
	}
}

/* Evidence that the rate is below: the null is at or above it. */
static void test_safe(void **state)
{
	static const double above[] = { 1, 1.01, 2, 5 };

	(void)state;
	for (size_t j = 0; j < COUNT(above); j++) {
		double q0 = .06, sum = 0;
		unsigned n = 40;
		for (unsigned x = 0; x <= n; x++)
			sum += binomial(n, x, q0 * above[j]) * exp(eproc_safe_log(x, n, q0));
		if (sum > 1 + SLACK || (j == 0 && sum < 1 - SLACK))
			fail_msg("rate %g: E[e] = %.12f", q0 * above[j], sum);
	}
}

static void test_signatures(void **state)
{
	double w = 1.0 / 9, p = w / (1 + w), sum = 0;
	unsigned n1 = 6, n2 = 9;

	(void)state;
	for (unsigned x = 0; x <= n1; x++) {
		for (unsigned y = 0; y <= n2; y++) {
			struct batch a = { x, n1 - x, 100, 900 }, b = { y, n2 - y, 100, 900 };
			double log_e[] = { eproc_signature_log(&a), eproc_signature_log(&b) };
			sum += binomial(n1, x, p) * binomial(n2, y, p) *
				exp(eproc_signatures_log(log_e, 2));
		}
	}
	if (fabs(sum - 1) > SLACK)
		fail_msg("E[e] = %.12f", sum);
}

/*
 * Bernoulli arms: a whole risk set of devices of which each fails with the same chance.
 * The canary's events given all are hypergeometric, less spread than binomial: the
 * formula stays safe.
 */
static void test_whole_fleet_at_once(void **state)
{
	unsigned canary = 20, control = 60;
	double worst = 0;

	(void)state;
	for (unsigned n = 1; n <= canary + control; n++) {
		double sum = 0;
		for (unsigned x = 0; x <= canary && x <= n; x++) {
			struct batch b = { x, n - x, canary, control };
			struct eproc_halt h = { 0 };
			if (n - x > control)
				continue;
			eproc_halt_add(&h, &b, 1);
			sum += exp(eproc_halt_log(&h) + lgamma(canary + 1.0) - lgamma(x + 1.0) -
				lgamma(canary - x + 1.0) + lgamma(control + 1.0) -
				lgamma(n - x + 1.0) - lgamma(control - n + x + 1.0) -
				(lgamma(canary + control + 1.0) - lgamma(n + 1.0) -
					lgamma(canary + control - n + 1.0)));
		}
		worst = fmax(worst, sum);
	}
	if (worst > 1 + SLACK)
		fail_msg("E[e] = %.12f", worst);
}

#define HORIZON 120

/*
 * Ville, for the guardrail: devices resolve one by one, failing at the limit, and it is
 * looked at after each.  The chance to have ever reached 20 within the horizon, by
 * dynamic programming.
 */
static void test_looking_all_the_time(void **state)
{
	double alive[HORIZON + 1] = { 1 }, q0 = .05, halted = 0;

	(void)state;
	for (unsigned n = 1; n <= HORIZON; n++) {
		for (unsigned x = n + 1; x-- > 0;) {
			alive[x] =
				(x < n ? alive[x] * (1 - q0) : 0) + (x > 0 ? alive[x - 1] * q0 : 0);
		}
		for (unsigned x = 0; x <= n; x++) {
			if (eproc_limit_log(x, n, q0) >= log(20)) {
				halted += alive[x];
				alive[x] = 0;
			}
		}
	}
	assert_true(halted > 0);
	if (halted > .05)
		fail_msg("halted with chance %.6f", halted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halt),
		cmocka_unit_test(test_ratio),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_whole_fleet_at_once),
		cmocka_unit_test(test_looking_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
