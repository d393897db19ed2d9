/* SPDX-License-Identifier: Apache-2.0 */
/* Properties; the values themselves are checked against tests/vectors/gate.json. */
#include "unit.h"

#include <float.h>
#include <math.h>

#include "rng.h"
#include "server/core/eproc.h"

#define NEAR 1e-12

static void check_near(const char *why, double have, double want, double within)
{
	if (!(fabs(have - want) <= within * fmax(1, fabs(want))))
		fail_msg("%s: %.17g, not %.17g", why, have, want);
}

static struct batch random_batch(struct rng *r)
{
	double ec = 1 + (double)rng_below(r, 5000), ek = 1 + (double)rng_below(r, 50000);

	return (struct batch){ (double)rng_below(r, 8), (double)rng_below(r, 20), ec, ek };
}

/* Whatever its kind, an e-value is 1 before anything has happened. */
static void test_no_events(void **state)
{
	struct eproc_halt h = { 0 }, before[3] = { { { 0 } } };
	struct eproc_cs cs = { 0 };
	struct batch b = { 0, 0, 100, 900 };

	(void)state;
	eproc_halt_add(&h, &b, 1);
	eproc_cs_add(&cs, &b, 1.5);
	check_near("halt", eproc_halt_log(&h), 0, NEAR);
	check_near("ratio", eproc_cs_log(&cs), 0, NEAR);
	assert_false(eproc_cs_below(&cs));
	check_near("limit", eproc_limit_log(0, 0, .01), 0, NEAR);
	check_near("safe", eproc_safe_log(0, 0, .01), 0, NEAR);
	check_near("signature", eproc_signature_log(&b), 0, NEAR);
	check_near("no signatures", eproc_signatures_log(NULL, 0), 0, NEAR);
	for (size_t days = 1; days <= 3; days++)
		check_near("restart", eproc_restart_log(&h, before, days), 0, NEAR);
	check_near("average of nothing", eproc_average_log(NULL, NULL, 0), 0, NEAR);
}

/* A batch in which one arm was empty cannot be compared, whatever it holds. */
static void test_empty_arm_says_nothing(void **state)
{
	static const struct batch empty[] = { { 5, 3, 0, 900 }, { 5, 3, 100, 0 }, { 5, 0, 0, 0 },
		{ 5, 3, -1, 900 } };
	struct eproc_halt h = { 0 };
	struct eproc_cs cs = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(empty); i++) {
		eproc_halt_add(&h, &empty[i], 1);
		eproc_cs_add(&cs, &empty[i], 1.5);
		check_near("signature", eproc_signature_log(&empty[i]), 0, NEAR);
	}
	check_near("halt", eproc_halt_log(&h), 0, NEAR);
	check_near("ratio", eproc_cs_log(&cs), 0, NEAR);
	check_near("log likelihood", eproc_loglik(empty, COUNT(empty), 1), 0, NEAR);
}

static double halt_of(const struct batch *b, size_t n, double r0)
{
	struct eproc_halt h = { 0 };

	for (size_t i = 0; i < n; i++)
		eproc_halt_add(&h, &b[i], r0);
	return eproc_halt_log(&h);
}

/* One more event on the canary is never good news, one on the control never bad. */
static void test_monotone(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct batch b = random_batch(&r), canary = b, control = b;
		double now;
		canary.xc++;
		control.xk++;
		now = halt_of(&b, 1, 1);
		assert_true(halt_of(&canary, 1, 1) > now);
		assert_true(halt_of(&control, 1, 1) <= now + NEAR);
		assert_true(eproc_signature_log(&canary) > eproc_signature_log(&b));
		/* More patience, less evidence. */
		assert_true(halt_of(&canary, 1, 1.5) < halt_of(&canary, 1, 1));
	}
}

#define MANY 50

static void test_order_does_not_matter(void **state)
{
	struct batch b[MANY];
	struct rng r = { 4 };

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		double want, interval;
		for (size_t i = 0; i < MANY; i++)
			b[i] = random_batch(&r);
		want = halt_of(b, MANY, 1);
		interval = eproc_cs_interval(b, MANY, .05).log_mix;
		for (size_t i = MANY - 1; i > 0; i--) {
			size_t j = rng_below(&r, i + 1);
			struct batch t = b[i];
			b[i] = b[j];
			b[j] = t;
		}
		check_near("halt", halt_of(b, MANY, 1), want, NEAR);
		check_near("mixture", eproc_cs_interval(b, MANY, .05).log_mix, interval, NEAR);
	}
}

/* Two batches at the same numbers at risk say what their sum says. */
static void test_split(void **state)
{
	struct rng r = { 5 };

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct batch all = random_batch(&r), part[2] = { all, all };
		struct eproc_cs one = { 0 }, two = { 0 };
		part[0].xc = (double)rng_below(&r, (uint64_t)all.xc + 1);
		part[0].xk = (double)rng_below(&r, (uint64_t)all.xk + 1);
		part[1].xc = all.xc - part[0].xc;
		part[1].xk = all.xk - part[0].xk;
		check_near("halt", halt_of(part, 2, 1), halt_of(&all, 1, 1), NEAR);
		eproc_cs_add(&one, &all, 1.5);
		eproc_cs_add(&two, &part[0], 1.5);
		eproc_cs_add(&two, &part[1], 1.5);
		check_near("ratio", eproc_cs_log(&two), eproc_cs_log(&one), 1e-11);
	}
}

static const double signature_g[] = { 5, 20, 100, 1000 };
static const double signature_p[] = { .2, .3, .3, .2 };

/* The mixture over a signature's ratios, written down as it is defined. */
static double naive_signature(const struct batch *b, size_t n)
{
	double sum = 0;

	for (size_t j = 0; j < COUNT(signature_g); j++) {
		double l = 0;
		for (size_t i = 0; i < n; i++) {
			double w = b[i].ec / b[i].ek;
			l += b[i].xc * log(signature_g[j]) -
				(b[i].xc + b[i].xk) * log((1 + signature_g[j] * w) / (1 + w));
		}
		sum += signature_p[j] * exp(l);
	}
	return log(sum);
}

static void test_signature_over_batches(void **state)
{
	const struct batch empty = { 3, 0, 100, 0 };
	struct rng r = { 8 };

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		struct eproc_signature e = { 0 };
		struct batch b[4];
		check_near("at first", eproc_signature_value(&e), 0, NEAR);
		for (size_t i = 0; i < COUNT(b); i++) {
			b[i] = random_batch(&r);
			b[i].xk = (double)rng_below(&r, 4);
			eproc_signature_add(&e, &b[i]);
			eproc_signature_add(&e, &empty);
			check_near("so far", eproc_signature_value(&e), naive_signature(b, i + 1),
				1e-10);
		}
		check_near("one batch", eproc_signature_log(&b[0]), naive_signature(b, 1), 1e-10);
	}
}

/* Enrolments against the shares of the hash. */
static void test_split_of_the_arms(void **state)
{
	static const struct {
		const char *why;
		struct batch b;
		bool broken; /* e-value of a thousand */
	} row[] = {
		{ "as drawn", { 1000, 9000, 100000, 900000 }, false },
		{ "a little off", { 1060, 9000, 100000, 900000 }, false },
		{ "canary short by a fifth", { 800, 9000, 100000, 900000 }, true },
		{ "canary over by a fifth", { 1200, 9000, 100000, 900000 }, true },
		{ "nobody yet", { 0, 0, 100000, 900000 }, false },
		{ "no control", { 50, 0, 100000, 0 }, false },
	};
	struct rng r = { 9 };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		if ((eproc_split_log(&row[i].b) >= log(1000)) != row[i].broken)
			fail_msg("%s: %g", row[i].why, eproc_split_log(&row[i].b));
	check_near("nothing", eproc_split_log(&row[5].b), 0, NEAR);
	for (unsigned i = 0; i < 200; i++) {
		struct batch b = random_batch(&r);
		check_near("is the mixture", eproc_split_log(&b),
			eproc_cs_interval(&b, 1, .05).log_mix, NEAR);
	}
}

#define DAYS 12

/* The mixture over the day on which the build turned bad, written down as it is
 * defined. */
static double naive_restart(const struct batch *day, size_t days)
{
	double sum = 0, spent = 0;

	for (size_t d = 0; d < days; d++) {
		double share = d == 0 ? .8 : .2 / ((double)d * ((double)d + 1));
		sum += share * exp(halt_of(day + d, days - d, 1));
		spent += share;
	}
	return log(sum + 1 - spent);
}

static void test_restart(void **state)
{
	struct rng r = { 6 };

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		struct batch day[DAYS];
		struct eproc_halt total = { 0 }, before[DAYS];
		for (size_t d = 0; d < DAYS; d++) {
			day[d] = random_batch(&r);
			before[d] = total;
			eproc_halt_add(&total, &day[d], 1);
			check_near("restart", eproc_restart_log(&total, before, d + 1),
				naive_restart(day, d + 1), 1e-9);
		}
	}
}

/* 3 of 5 devices fail on each of the days after two good ones: seen sooner than without
 * restarts. */
static void test_restart_forgets_good_days(void **state)
{
	struct eproc_halt total = { 0 }, before[3] = { { { 0 } } };
	struct batch good = { 90, 900, 1000, 9000 }, bad = { 25, 90, 1000, 9000 };

	(void)state;
	for (size_t d = 0; d < 3; d++) {
		before[d] = total;
		eproc_halt_add(&total, d < 2 ? &good : &bad, 1);
	}
	assert_true(eproc_restart_log(&total, before, 3) > eproc_halt_log(&total));
}

/* One device got the build, and it did not boot; the limit is 0.1 %. */
static void test_first_device(void **state)
{
	(void)state;
	/* .25 * 2 + .3 * 5 + .15 * 20 + .15 * 250 + .15 * 900 */
	check_near("first device", eproc_limit_log(1, 1, .001), log(177.5), NEAR);
	check_near("first of two", eproc_limit_log(1, 2, .001),
		log(.25 * 2 * (.998 / .999) + .3 * 5 * (.995 / .999) + .15 * 20 * (.98 / .999) +
			.15 * 250 * (.75 / .999) + .15 * 900 * (.1 / .999)),
		NEAR);
}

/* Whatever the limit: a failure more is never good news, a success more never bad. */
static void test_limit_monotone(void **state)
{
	static const double limits[] = { 1e-6, .001, .02, .3, .475, .6, .94, .95, .951, .97,
		.999999, 1 };

	(void)state;
	for (size_t l = 0; l < COUNT(limits); l++) {
		double q0 = limits[l];
		for (double n = 1; n <= 40; n++) {
			for (double x = 0; x < n; x++) {
				double now = eproc_limit_log(x, n, q0);
				assert_true(isfinite(now));
				if (eproc_limit_log(x + 1, n, q0) < now - NEAR)
					fail_msg("limit %g: %g of %g", q0, x + 1, n);
				if (eproc_limit_log(x, n + 1, q0) > now + NEAR)
					fail_msg("limit %g: %g of %g", q0, x, n + 1);
			}
		}
		/* No failure is no evidence, even at a limit of nearly all. */
		assert_true(eproc_limit_log(0, 1000, q0) <= NEAR);
	}
	check_near("no limit", eproc_limit_log(1000, 1000, 1), 0, NEAR);
}

static void test_interval(void **state)
{
	struct rng r = { 7 };

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		size_t n = 1 + rng_below(&r, 5);
		struct batch b[5];
		struct eproc_cs cs = { 0 };
		struct eproc_interval i;
		for (size_t k = 0; k < n; k++) {
			b[k] = random_batch(&r);
			eproc_cs_add(&cs, &b[k], 1.5);
		}
		i = eproc_cs_interval(b, n, .05);
		assert_true(i.lower <= i.mle && i.mle <= i.upper);
		assert_int_equal(eproc_cs_below(&cs), i.mle < 1.5);
		/* Passing is the same as an interval that ends below the tolerance. */
		assert_int_equal(
			eproc_cs_log(&cs) >= log(20) && eproc_cs_below(&cs), i.upper < 1.5);
		/* The best estimate is where the log likelihood is highest. */
		if (i.mle > 1e-4 && i.mle < 1e4) {
			double top = eproc_loglik(b, n, log(i.mle));
			assert_true(top >= eproc_loglik(b, n, log(i.mle) + .01));
			assert_true(top >= eproc_loglik(b, n, log(i.mle) - .01));
		}
		/* Surer is wider. */
		assert_true(eproc_cs_interval(b, n, .01).lower <= i.lower);
		assert_true(eproc_cs_interval(b, n, .01).upper >= i.upper);
	}
}

/* With one batch the estimate can be computed by hand. */
static void test_estimate(void **state)
{
	struct batch b = { 12, 95, 1000, 9000 };

	(void)state;
	check_near("mle", eproc_cs_interval(&b, 1, .05).mle, (12.0 / 1000) / (95.0 / 9000), 1e-9);
	b.xc = 0;
	check_near("open below", eproc_cs_interval(&b, 1, .05).lower, exp(-12), 1e-9);
	b = (struct batch){ 12, 0, 1000, 9000 };
	check_near("open above", eproc_cs_interval(&b, 1, .05).upper, exp(12), 1e-9);
}

static void test_ebh(void **state)
{
	static const struct {
		const char *why;
		double e[4];
		size_t n, want;
	} row[] = {
		{ "none", { 1, 1, 1, 1 }, 4, 0 },
		{ "one strong", { 1, 40, 1, 1 }, 4, 1 },
		{ "one just too weak", { 1, 39, 1, 1 }, 4, 0 },
		{ "two carry each other", { 20, 1, 20, 1 }, 4, 2 },
		{ "two, one too weak", { 20, 1, 19, 1 }, 4, 0 },
		{ "all", { 10, 10, 10, 10 }, 4, 4 },
		{ "nothing to look at", { 0 }, 0, 0 },
	};
	double threshold, log_e[4];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t k = 0; k < row[i].n; k++)
			log_e[k] = log(row[i].e[k]) + 1e-12;
		if (eproc_ebh(log_e, row[i].n, .1, &threshold) != row[i].want)
			fail_msg("%s", row[i].why);
		assert_int_equal(row[i].want == 0, isinf(threshold));
	}
}

static void test_average(void **state)
{
	const double logs[] = { log(8), log(2), -INFINITY }, weights[] = { .25, .5, .25 },
		     half[] = { .25, .25, 0 };

	(void)state;
	check_near("all spent", eproc_average_log(logs, weights, 3), log(3), NEAR);
	/* What is not bet is kept. */
	check_near("half in cash", eproc_average_log(logs, half, 3), log(3), NEAR);
	check_near("all in cash", eproc_average_log(logs, half, 0), 0, NEAR);
	/* e to the 700th does not overflow. */
	const double huge[] = { 2000, -2000, 0 };
	check_near("huge", eproc_average_log(huge, weights, 3), 2000 + log(.25), NEAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_events),
		cmocka_unit_test(test_empty_arm_says_nothing),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_signature_over_batches),
		cmocka_unit_test(test_split_of_the_arms),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_forgets_good_days),
		cmocka_unit_test(test_first_device),
		cmocka_unit_test(test_limit_monotone),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_estimate),
		cmocka_unit_test(test_ebh),
		cmocka_unit_test(test_average),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
