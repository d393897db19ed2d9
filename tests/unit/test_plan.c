/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "proto/bucket.h"
#include "server/core/plan.h"

#define HOUR_MS (3600ull * 1000)
#define DAY_MS  (24 * HOUR_MS)
#define MOST    30

/* A plan in one place: what a test changes, it changes in here. */
struct fixture {
	Pb__PlanSpec spec;
	Pb__StageSpec stage[MOST];
	Pb__StageSpec *list[MOST];
};

static void add(struct fixture *f, Pb__Ring ring, uint32_t share, uint32_t tolerance)
{
	Pb__StageSpec *s = &f->stage[f->spec.n_stages];

	*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
	s->ring = ring;
	s->share_ppm = share;
	s->soak_ms = DAY_MS;
	s->max_soak_ms = 3 * DAY_MS;
	s->tolerance_ppm = tolerance;
	s->boot_ppm = s->install_ppm = s->rollback_ppm = 10000;
	s->s1_ppm = 60000;
	f->list[f->spec.n_stages++] = s;
}

static void empty(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	f->spec.name = "weekly";
	f->spec.line = "default";
	f->spec.stages = f->list;
	f->spec.settle_ms = 6 * HOUR_MS;
	f->spec.watch_ms = 7 * DAY_MS;
	f->spec.batch_ms = 600 * 1000;
	f->spec.holdback_ppm = 10000;
	f->spec.restart_ms = DAY_MS;
	f->spec.s1_ms = 6 * HOUR_MS;
	f->spec.silence_ms = 2 * HOUR_MS;
	f->spec.silence_polls = 3;
}

/* core 50 %, core 100 %, dev 1 %, dev 10 %, stable 100 % */
static void weekly(struct fixture *f)
{
	empty(f);
	add(f, PB__RING__RING_CORE, 500000, 0);
	add(f, PB__RING__RING_CORE, PPM, 0);
	add(f, PB__RING__RING_DEV, 10000, 2000000);
	add(f, PB__RING__RING_DEV, 100000, 1500000);
	add(f, PB__RING__RING_STABLE, PPM, 0);
}

static void test_good(void **state)
{
	struct fixture f;
	struct plan_error e;

	(void)state;
	weekly(&f);
	assert_int_equal(plan_check(&f.spec, &e), 0);
	assert_int_equal(e.fault, PLAN_OK);
}

#define SPEC(field)     -1, offsetof(Pb__PlanSpec, field), sizeof(((Pb__PlanSpec *)0)->field)
#define STAGE(i, field) i, offsetof(Pb__StageSpec, field), sizeof(((Pb__StageSpec *)0)->field)

/* One field of the weekly plan is set to `value`. */
static const struct {
	const char *why;
	int stage; /* whose field it is; -1: the plan's */
	size_t at, size;
	uint64_t value;
	enum plan_fault want;
	int want_stage;
} one_change[] = {
	{ "no stages", SPEC(n_stages), 0, PLAN_NO_STAGE, -1 },
	{ "too many fixes", SPEC(n_fixes), 17, PLAN_FIXES, -1 },
	{ "no batch", SPEC(batch_ms), 0, PLAN_BATCH, -1 },
	{ "holdback above half", SPEC(holdback_ppm), 500001, PLAN_HOLDBACK, -1 },
	{ "holdback that would wrap", SPEC(holdback_ppm), UINT32_MAX, PLAN_HOLDBACK, -1 },
	{ "endless watch", SPEC(watch_ms), UINT64_MAX, PLAN_LONG, -1 },
	{ "endless settle", SPEC(settle_ms), 181 * DAY_MS, PLAN_LONG, -1 },
	{ "endless batch", SPEC(batch_ms), 181 * DAY_MS, PLAN_LONG, -1 },
	{ "endless restart", SPEC(restart_ms), 181 * DAY_MS, PLAN_LONG, -1 },
	{ "no watch", SPEC(watch_ms), 0, PLAN_WATCH, -1 },
	{ "no restart", SPEC(restart_ms), 0, PLAN_RESTART, -1 },
	{ "restart within a batch", SPEC(restart_ms), 600 * 1000 - 1, PLAN_RESTART, -1 },
	{ "no time to boot", SPEC(s1_ms), 0, PLAN_S1, -1 },
	{ "endless time to boot", SPEC(s1_ms), UINT64_MAX, PLAN_SILENCE_LONG, -1 },
	{ "no time to install", SPEC(silence_ms), 0, PLAN_SILENCE, -1 },
	{ "endless silence", SPEC(silence_ms), 181 * DAY_MS, PLAN_SILENCE_LONG, -1 },
	{ "silent after no poll", SPEC(silence_polls), 0, PLAN_POLLS, -1 },
	{ "endless polls", SPEC(silence_polls), 101, PLAN_POLLS, -1 },
	{ "a ratio of crashes nobody reports", SPEC(no_crash_reports), 1, PLAN_NO_REPORTS, 2 },
	{ "settling all the time", SPEC(settle_ms), 3 * DAY_MS, PLAN_SETTLING, 2 },
	{ "unknown ring", STAGE(4, ring), 4, PLAN_RING, 4 },
	{ "negative ring", STAGE(4, ring), UINT32_MAX, PLAN_RING, 4 },
	{ "ring goes inwards", STAGE(3, ring), PB__RING__RING_HONOUR, PLAN_RING_ORDER, 3 },
	{ "share 0", STAGE(2, share_ppm), 0, PLAN_SHARE, 2 },
	{ "share above all", STAGE(4, share_ppm), PPM + 1, PLAN_SHARE, 4 },
	{ "share shrinks", STAGE(3, share_ppm), 9999, PLAN_SHARE_ORDER, 3 },
	{ "share stays", STAGE(3, share_ppm), 10000, PLAN_SHARE_ORDER, 3 },
	{ "devices 0", STAGE(2, has_devices), 1, PLAN_DEVICES, 2 },
	{ "max_soak 0", STAGE(0, max_soak_ms), 0, PLAN_MAX_SOAK, 0 },
	{ "soak 0", STAGE(2, soak_ms), 0, PLAN_NO_SOAK, 2 },
	{ "soak above max_soak", STAGE(0, soak_ms), 3 * DAY_MS + 1, PLAN_SOAK, 0 },
	{ "soak that would wrap", STAGE(0, max_soak_ms), UINT64_MAX, PLAN_SOAK_LONG, 0 },
	{ "tolerance 1.0", STAGE(2, tolerance_ppm), PPM, PLAN_TOLERANCE, 2 },
	{ "tolerance below 1", STAGE(2, tolerance_ppm), 1, PLAN_TOLERANCE, 2 },
	{ "relative, no control", STAGE(1, tolerance_ppm), 2000000, PLAN_NO_CONTROL, 1 },
	{ "relative, control is the holdback", STAGE(4, tolerance_ppm), 1250000, PLAN_SMALL_CONTROL,
		4 },
	{ "relative, control just too small", STAGE(3, share_ppm), 505001, PLAN_SMALL_CONTROL, 3 },
	{ "boot limit 0", STAGE(2, boot_ppm), 0, PLAN_LIMIT_BOOT, 2 },
	{ "install limit above all", STAGE(2, install_ppm), PPM + 1, PLAN_LIMIT_INSTALL, 2 },
	{ "rollback limit 0", STAGE(2, rollback_ppm), 0, PLAN_LIMIT_ROLLBACK, 2 },
	{ "s1 limit 0", STAGE(2, s1_ppm), 0, PLAN_LIMIT_S1, 2 },
	{ "budget 0", STAGE(2, has_budget_ppm), 1, PLAN_BUDGET, 2 },
	{ "fine: control as large as the canary", STAGE(3, share_ppm), 505000, PLAN_OK, 4 },
	{ "fine: half of the core against the other", STAGE(0, tolerance_ppm), 5000000, PLAN_OK,
		4 },
	{ "fine: limit of 100 %", STAGE(2, boot_ppm), PPM, PLAN_OK, 4 },
	{ "fine: as good as no soak", STAGE(2, soak_ms), 1, PLAN_OK, 4 },
	{ "fine: nothing settles", SPEC(settle_ms), 0, PLAN_OK, 4 },
	{ "fine: a restart each batch", SPEC(restart_ms), 600 * 1000, PLAN_OK, 4 },
	{ "fine: 100 polls", SPEC(silence_polls), 100, PLAN_OK, 4 },
	{ "fine: half held back", SPEC(holdback_ppm), 500000, PLAN_OK, 4 },
};

static void test_one_change(void **state)
{
	struct fixture f;
	struct plan_error e;

	(void)state;
	for (size_t i = 0; i < COUNT(one_change); i++) {
		int stage = one_change[i].stage;
		uint8_t *base;
		int err;

		weekly(&f);
		base = stage < 0 ? (uint8_t *)&f.spec : (uint8_t *)&f.stage[stage];
		/* Little-endian, as every machine this test runs on. */
		memcpy(base + one_change[i].at, &one_change[i].value, one_change[i].size);
		err = plan_check(&f.spec, &e);
		if (e.fault != one_change[i].want || e.stage != one_change[i].want_stage)
			fail_msg("%s: fault %d in stage %d: %s %s", one_change[i].why, e.fault,
				e.stage, plan_fault_key(e.fault), plan_fault_str(e.fault));
		assert_int_equal(err, e.fault == PLAN_OK ? 0 : ERR_BAD_PLAN);
	}
}

/* What one rule refuses, another key makes good. */
static void test_pairs(void **state)
{
	struct fixture f;
	struct plan_error e;

	(void)state;
	weekly(&f);
	f.spec.watch_ms = 0;
	f.spec.holdback_ppm = 0;
	assert_int_equal(plan_check(&f.spec, &e), 0);
	weekly(&f);
	f.spec.has_no_crash_reports = f.spec.no_crash_reports = 1;
	f.stage[2].tolerance_ppm = f.stage[3].tolerance_ppm = 0;
	assert_int_equal(plan_check(&f.spec, &e), 0);
	/* Stages that ask for no ratio may be over before anybody has settled. */
	f.spec.settle_ms = 4 * DAY_MS;
	assert_int_equal(plan_check(&f.spec, &e), 0);
}

static void test_names(void **state)
{
	struct fixture f;
	struct plan_error e;

	(void)state;
	weekly(&f);
	f.spec.name = "";
	assert_int_equal(plan_check(&f.spec, &e), ERR_BAD_PLAN);
	assert_int_equal(e.fault, PLAN_NAME);
	weekly(&f);
	f.spec.line = "";
	assert_int_equal(plan_check(&f.spec, &e), ERR_BAD_PLAN);
	assert_int_equal(e.fault, PLAN_LINE);
}

static void test_counts(void **state)
{
	struct fixture f;
	struct plan_error e;

	(void)state;
	empty(&f);
	for (uint32_t i = 0; i < 25; i++)
		add(&f, (Pb__Ring)(i / 7), (i % 7 + 1) * 1000, 0);
	assert_int_equal(plan_check(&f.spec, &e), ERR_BAD_PLAN);
	assert_int_equal(e.fault, PLAN_STAGES);
	f.spec.n_stages = 7;
	assert_int_equal(plan_check(&f.spec, &e), ERR_BAD_PLAN);
	assert_int_equal(e.fault, PLAN_RING_STAGES);
	assert_int_equal(e.stage, 6);
	f.spec.n_stages = 6;
	assert_int_equal(plan_check(&f.spec, &e), 0);
	/* Four rings of six are the most there can be. */
	empty(&f);
	for (uint32_t i = 0; i < PLAN_STAGES_MAX; i++)
		add(&f, (Pb__Ring)(i / 6), (i % 6 + 1) * 1000, 0);
	assert_int_equal(plan_check(&f.spec, &e), 0);
}

static void test_budgets(void **state)
{
	static const struct {
		const char *why;
		uint32_t ppm[5]; /* 0: absent */
		enum plan_fault want;
		int want_stage;
	} row[] = {
		{ "all", { 80000, 120000, 200000, 300000, 300000 }, PLAN_OK, 4 },
		{ "too much", { 80000, 120000, 200000, 300000, 300001 }, PLAN_BUDGET, 4 },
		{ "too much early", { PPM, 1, 0, 0, 0 }, PLAN_BUDGET, 1 },
		{ "some absent", { 80000, 0, 0, 0, 300000 }, PLAN_OK, 4 },
		{ "nothing left", { 500000, 0, 500000, 0, 0 }, PLAN_BUDGET_REST, 1 },
	};
	struct fixture f;
	struct plan_error e;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		weekly(&f);
		for (size_t s = 0; s < 5; s++) {
			f.stage[s].has_budget_ppm = row[i].ppm[s] > 0;
			f.stage[s].budget_ppm = row[i].ppm[s];
		}
		(void)!plan_check(&f.spec, &e); /* judged by the fault */
		if (e.fault != row[i].want || e.stage != row[i].want_stage)
			fail_msg("%s: fault %d in stage %d", row[i].why, e.fault, e.stage);
	}
}

static void check_steps(const struct fixture *f, const struct plan_step *want, size_t n_want)
{
	struct plan_step got[LADDER_STEPS_MAX];
	struct plan_error e;
	size_t n;

	assert_int_equal(plan_check(&f->spec, &e), 0);
	plan_steps(&f->spec, 1000000000, got, &n);
	assert_int_equal(n, n_want);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].ring, want[i].ring);
		assert_int_equal(got[i].lower, want[i].lower);
		assert_int_equal(got[i].upper, want[i].upper);
		assert_int_equal(got[i].not_before_s, want[i].not_before_s);
		assert_int_equal(got[i].stage, want[i].stage);
	}
}

/* Golden: people sign these numbers. */
static void test_steps_weekly(void **state)
{
	static const struct plan_step want[] = {
		{ 0, 0, 500000, 1000000000, 0 },
		{ 0, 500000, 1000000, 1000086400, 1 },
		{ 2, 0, 10000, 1000172800, 2 },
		{ 2, 10000, 100000, 1000259200, 3 },
		{ 3, 0, 990000, 1000345600, 4 },
		/* Only stable was opened as far as its holdback: five soaks and the
		   watch. */
		{ 3, 990000, 1000000, 1001036800, -1 },
	};
	struct fixture f;

	(void)state;
	weekly(&f);
	check_steps(&f, want, COUNT(want));
}

static void test_steps_every_ring(void **state)
{
	static const struct plan_step want[] = {
		{ 0, 0, 1000000, 1000000000, 0 },
		{ 1, 0, 950000, 1000000001, 1 },
		{ 2, 0, 950000, 1000000002, 2 },
		{ 3, 0, 950000, 1000000004, 3 },
		{ 1, 950000, 1000000, 1000000015, -1 },
		{ 2, 950000, 1000000, 1000000015, -1 },
		{ 3, 950000, 1000000, 1000000015, -1 },
	};
	struct fixture f;

	(void)state;
	empty(&f);
	f.spec.holdback_ppm = 50000;
	f.spec.watch_ms = 10000;
	add(&f, PB__RING__RING_CORE, PPM, 0);
	add(&f, PB__RING__RING_HONOUR, PPM, 0);
	add(&f, PB__RING__RING_DEV, 970000, 0); /* capped: the holdback is the last */
	add(&f, PB__RING__RING_STABLE, PPM, 0);
	/* Soaks of 1.4 s: the sum is rounded down, not each of them. */
	for (size_t i = 0; i < 4; i++)
		f.stage[i].soak_ms = 1400;
	check_steps(&f, want, COUNT(want));
}

static void test_steps_no_holdback(void **state)
{
	static const struct plan_step want[] = {
		{ 3, 0, 10000, 1000000000, 0 },
		{ 3, 10000, 1000000, 1000086400, 1 },
	};
	struct fixture f;

	(void)state;
	empty(&f);
	f.spec.holdback_ppm = 0;
	add(&f, PB__RING__RING_STABLE, 10000, 0);
	add(&f, PB__RING__RING_STABLE, PPM, 0);
	check_steps(&f, want, COUNT(want));
}

/* Whatever the plan: in a ring steps join without a gap, times never go back. */
static void test_steps_join(void **state)
{
	struct plan_step got[LADDER_STEPS_MAX];
	struct fixture f;
	struct plan_error e;
	size_t n;

	(void)state;
	for (uint32_t rings = 1; rings < 16; rings++) {
		uint32_t end[4] = { 0 };
		empty(&f);
		for (uint32_t r = 0; r < 4; r++)
			for (uint32_t k = 1; (rings >> r & 1) && k <= 6; k++)
				add(&f, (Pb__Ring)r, k == 6 ? PPM : k * 160000, 0);
		assert_int_equal(plan_check(&f.spec, &e), 0);
		plan_steps(&f.spec, 5, got, &n);
		assert_true(n <= LADDER_STEPS_MAX);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(got[i].lower, end[got[i].ring]);
			assert_true(got[i].upper > got[i].lower);
			assert_true(i == 0 || got[i].not_before_s >= got[i - 1].not_before_s);
			end[got[i].ring] = got[i].upper;
		}
		for (uint32_t r = 0; r < 4; r++)
			assert_int_equal(end[r], rings >> r & 1 ? PPM : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_one_change),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_steps_weekly),
		cmocka_unit_test(test_steps_every_ring),
		cmocka_unit_test(test_steps_no_holdback),
		cmocka_unit_test(test_steps_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
