/* SPDX-License-Identifier: Apache-2.0 */
/* What the stages of a build say together, and what the plan gives each of them. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "proto/bucket.h"
#include "rng.h"
#include "server/core/capital.h"

#define DAY 86400000ull

struct plan {
	Pb__PlanSpec spec;
	Pb__StageSpec stage[PLAN_STAGES_MAX], *list[PLAN_STAGES_MAX];
};

/* `n` stages, two a ring; -1 in `budget_ppm` is no share of its own. */
static void make(struct plan *p, size_t n, const int *budget_ppm)
{
	p->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	p->spec.restart_ms = DAY;
	p->spec.holdback_ppm = 10000;
	p->spec.watch_ms = DAY;
	for (size_t i = 0; i < n; i++) {
		Pb__StageSpec *s = &p->stage[i];
		*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
		s->ring = (Pb__Ring)(i / 2);
		s->share_ppm = i % 2 == 0 ? 100000 : PPM;
		s->tolerance_ppm = i % 2 == 0 ? 1500000 + 100000 * (uint32_t)i : 0;
		s->soak_ms = 1000 + i;
		s->max_soak_ms = 2000 + i;
		s->boot_ppm = 10000 + (uint32_t)i;
		s->install_ppm = 20000;
		s->rollback_ppm = 30000;
		s->s1_ppm = 60000;
		s->has_budget_ppm = budget_ppm[i] >= 0;
		s->budget_ppm = budget_ppm[i] >= 0 ? (uint32_t)budget_ppm[i] : 0;
		p->list[i] = s;
	}
	p->spec.stages = p->list;
	p->spec.n_stages = n;
}

static size_t rules_of(const struct plan *p, struct gate_rules rules[LADDER_STEPS_MAX])
{
	struct plan_step steps[LADDER_STEPS_MAX];
	size_t n;

	plan_steps(&p->spec, 0, steps, &n);
	for (size_t i = 0; i < n; i++)
		rules[i] = capital_rules(&p->spec, &steps[i]);
	return n;
}

#define NONE (-1)

static void test_budgets(void **state)
{
	static const struct {
		const char *why;
		size_t n;
		int in[4];
		double want[4];
	} row[] = {
		{ "one stage has all of it", 1, { NONE }, { 1 } },
		{ "equal parts", 4, { NONE, NONE, NONE, NONE }, { .25, .25, .25, .25 } },
		{ "each its own", 3, { 500000, 300000, 200000 }, { .5, .3, .2 } },
		{ "not all is given: the rest is cash", 2, { 100000, 200000 }, { .1, .2 } },
		{ "what is left, in equal parts", 3, { NONE, 400000, NONE }, { .3, .4, .3 } },
		{ "what is left, to the last", 3, { 700000, 200000, NONE }, { .7, .2, .1 } },
		{ "nothing is left", 2, { 1000000, NONE }, { 1, 0 } },
		{ "less than nothing is nothing", 3, { 900000, 200000, NONE }, { .9, .2, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct gate_rules rules[LADDER_STEPS_MAX];
		struct plan p;
		size_t n;
		make(&p, row[i].n, row[i].in);
		n = rules_of(&p, rules);
		assert_true(n >= row[i].n);
		for (size_t k = 0; k < n; k++) {
			/* Holdbacks come after the stages, and spend nothing. */
			double want = k < row[i].n ? row[i].want[k] : 0;
			if (fabs(rules[k].budget - want) > 1e-12)
				fail_msg("%s: stage %zu: %g", row[i].why, k, rules[k].budget);
		}
	}
}

static void test_rules(void **state)
{
	static const int none[] = { NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE };
	struct gate_rules r[LADDER_STEPS_MAX];
	struct plan p;

	(void)state;
	make(&p, 8, none);
	/* The core has no holdback; honour, dev and stable have. */
	assert_int_equal(rules_of(&p, r), 11);
	assert_true(r[2].tolerance == 1.7 && r[3].tolerance == 0);
	assert_true(r[2].limit[GATE_BOOT] == .010002 && r[2].limit[GATE_INSTALL] == .02);
	assert_true(r[2].limit[GATE_ROLLBACK] == .03 && r[2].limit[GATE_S1] == .06);
	assert_true(r[2].soak_ms == 1002 && r[2].max_soak_ms == 2002 && r[2].restart_ms == DAY);
	assert_true(fabs(r[2].canary - .1) < 1e-12 && fabs(r[2].control - .9) < 1e-12);
	/* 89 points are opened after the first 10, and 1 is held back. */
	assert_true(fabs(r[3].canary - .89) < 1e-12 && fabs(r[3].control - .01) < 1e-12);
	assert_false(r[2].settles || r[2].no_crash_reports);
	/* A holdback: the limits of its ring's last stage, no soak, and nothing to compare with. */
	for (size_t k = 8; k < 11; k++) {
		assert_true(r[k].tolerance == 0 && r[k].soak_ms == 0 && r[k].budget == 0);
		assert_true(fabs(r[k].canary - .01) < 1e-12 && r[k].control == 0);
		assert_true(r[k].limit[GATE_BOOT] == r[2 * (k - 7) + 1].limit[GATE_BOOT]);
		assert_true(r[k].max_soak_ms == r[2 * (k - 7) + 1].max_soak_ms);
	}
	p.spec.settle_ms = 1;
	p.spec.has_no_crash_reports = 1;
	(void)rules_of(&p, r);
	assert_true(r[0].settles && !r[0].no_crash_reports);
	p.spec.no_crash_reports = 1;
	(void)rules_of(&p, r);
	assert_true(r[0].no_crash_reports && r[10].no_crash_reports);
	p.spec.has_no_crash_reports = 0;
	(void)rules_of(&p, r);
	assert_false(r[0].no_crash_reports);
}

static void fail_some(struct capital *c, size_t stage, uint32_t failed, uint32_t attempts)
{
	c->stage[stage].failed[GATE_BOOT] = failed;
	c->stage[stage].attempts = attempts;
}

/* K = sum of budget * E, and what was not given to any stage. */
static void test_formula(void **state)
{
	static const int budget[] = { 100000, 300000, 50000, 200000 };
	static struct capital c;
	struct gate_rules r[LADDER_STEPS_MAX];
	double stream[GATE_STREAM__COUNT];
	struct rng rng = { 31 };
	struct plan p;
	size_t n;

	(void)state;
	make(&p, 4, budget);
	n = rules_of(&p, r);
	assert_true(fabs(capital_log(&c, r, n)) < 1e-12);
	for (unsigned k = 0; k < 500; k++) {
		double want = .35, log_k;
		for (size_t i = 0; i < n; i++) {
			uint32_t attempts = (uint32_t)rng_below(&rng, 200);
			fail_some(&c, i, (uint32_t)rng_below(&rng, 3), attempts);
			want += r[i].budget * exp(gate_stage_log(&c.stage[i], &r[i], stream));
		}
		log_k = capital_log(&c, r, n);
		assert_true(fabs(exp(log_k) - want) <= 1e-9 * want);
	}
}

static void test_carry_over(void **state)
{
	static const int budget[] = { 200000, 200000, 200000, 400000 };
	static struct capital c;
	struct gate_rules r[LADDER_STEPS_MAX];
	struct plan p;
	double before;
	size_t n;

	(void)state;
	make(&p, 4, budget);
	n = rules_of(&p, r);
	/* Suspicion stays when the next stages are fine: they cost their own shares. */
	fail_some(&c, 0, 12, 50);
	before = capital_log(&c, r, n);
	assert_true(before > log(GATE_PAUSE));
	for (size_t i = 1; i < n; i++)
		fail_some(&c, i, 0, 100000);
	assert_true(exp(capital_log(&c, r, n)) > exp(before) - .8);
	/* Innocence costs a stage its own share and no more. */
	fail_some(&c, 0, 0, 100000);
	assert_true(exp(capital_log(&c, r, n)) >= .849 && capital_log(&c, r, n) < 0);
	/* A holdback that bricks says nothing to K: its limit is for people. */
	before = capital_log(&c, r, n);
	fail_some(&c, n - 1, 1000, 1000);
	assert_true(capital_log(&c, r, n) == before);
}

static void test_forget(void **state)
{
	static const int budget[] = { NONE, NONE, NONE, NONE };
	static struct capital c;
	struct gate_rules r[LADDER_STEPS_MAX];
	struct plan p;
	size_t n;

	(void)state;
	memset(&c, 0, sizeof(c));
	make(&p, 4, budget);
	n = rules_of(&p, r);
	for (size_t i = 0; i < n; i++) {
		fail_some(&c, i, 50, 100);
		c.stage[i].offered = 100;
		c.stage[i].batches = 7;
	}
	assert_true(capital_log(&c, r, n) > log(GATE_HALT));
	capital_resumed(&c, n, 0); /* never */
	assert_true(capital_log(&c, r, n) > log(GATE_HALT));
	capital_resumed(&c, n, 5);
	assert_true(fabs(capital_log(&c, r, n)) < 1e-12);
	for (size_t i = 0; i < n; i++)
		assert_true(c.stage[i].offered == 100 && c.stage[i].batches == 7);
	/* And what comes then counts in full. */
	fail_some(&c, 0, 50, 100);
	capital_resumed(&c, n, 5); /* once for each time */
	assert_true(capital_log(&c, r, n) > log(GATE_HALT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_formula),
		cmocka_unit_test(test_carry_over),
		cmocka_unit_test(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
