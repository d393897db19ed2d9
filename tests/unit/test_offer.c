/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "offer_world.h"

static const char *const hurt[] = { "1.4", "1.5" };

/* The same offers with a third before them: for those on two broken builds. */
static void with_fix(struct fixture *f)
{
	memmove(&f->rules.offers[1], &f->rules.offers[0], 2 * sizeof(f->rules.offers[0]));
	f->rules.offers[0].upper = PPM;
	f->rules.offers[0].from_builds = hurt;
	f->rules.offers[0].n_from_builds = 2;
	f->rules.n = 3;
	f->rules.stage.offer = 1;
}

static void not_hurt(struct fixture *f)
{
	with_fix(f);
	f->device.build_id = "1.3";
}

static void fix_for_nobody(struct fixture *f)
{
	with_fix(f);
	f->rules.offers[0].n_from_builds = 0;
}

static void fix_failed(struct fixture *f)
{
	with_fix(f);
	f->device.failed_tag = 2;
}

static void fix_paused(struct fixture *f)
{
	with_fix(f);
	f->rules.offers[0].paused = f->rules.offers[1].paused = true;
}

static void fix_had(struct fixture *f)
{
	with_fix(f);
	f->device.release_counter = 20;
}

static void nothing(struct fixture *f)
{
	(void)f;
}

static void entered(struct fixture *f)
{
	f->device.entered = true;
}

static void runs_it(struct fixture *f)
{
	f->device.release_counter = 20;
}

static void runs_newer(struct fixture *f)
{
	f->device.release_counter = 21;
}

static void runs_factory(struct fixture *f)
{
	f->device.release_counter = 0;
}

static void failed_here(struct fixture *f)
{
	f->device.failed_tag = 2;
}

static void failed_older(struct fixture *f)
{
	f->device.failed_tag = 1;
	f->device.release_counter = 0;
}

static void paused(struct fixture *f)
{
	f->rules.offers[0].paused = true;
}

static void paused_failed(struct fixture *f)
{
	paused(f);
	failed_here(f);
}

static void young(struct fixture *f)
{
	f->rules.offers[0].last_day = 19999;
}

static void young_paused(struct fixture *f)
{
	young(f);
	paused(f);
}

static void just_old_enough(struct fixture *f)
{
	f->rules.offers[0].last_day = 20000;
}

static void young_at_last(struct fixture *f)
{
	young(f);
	f->rules.offers[0].for_young = true;
}

static void young_for_older(struct fixture *f)
{
	f->rules.offers[1].last_day = 19999;
	f->device.release_counter = 0;
}

static void no_stage(struct fixture *f)
{
	f->rules.has_stage = false;
}

static void nobody_asked(struct fixture *f)
{
	f->device.admit_ppm = 0;
}

static void empty(struct fixture *f)
{
	f->rules.n = 0;
	f->rules.has_stage = false;
}

static void empty_factory(struct fixture *f)
{
	empty(f);
	f->device.release_counter = 0;
}

static void empty_halted(struct fixture *f)
{
	empty(f);
	f->rules.halted_counter = 11;
}

static void halted_before(struct fixture *f)
{
	empty(f);
	f->rules.halted_counter = 9;
}

static void halted_itself(struct fixture *f)
{
	empty(f);
	f->rules.halted_counter = 10;
}

static void only_newest(struct fixture *f)
{
	f->rules.n = 1;
}

static void only_newest_halted(struct fixture *f)
{
	f->rules.n = 1;
	f->rules.halted_counter = 21;
}

static void only_newest_had(struct fixture *f)
{
	f->rules.n = 1;
	f->rules.halted_counter = 19;
	f->device.release_counter = 20;
}

static void no_holdback(struct fixture *f)
{
	f->rules.offers[0].upper = PPM;
	f->rules.stage.control_from = PPM;
}

#define C 10000, 100000   /* canary */
#define E 0, 10000        /* opened by earlier stages */
#define G 100000, 200000  /* between: neither arm */
#define K 200000, 300000  /* control, next to be opened */
#define L 300000, 990000  /* control of the step after */
#define M 990000, 1000000 /* control that no step opens */

/* clang-format off */
static const struct {
	const char *why;
	void (*change)(struct fixture *f);
	uint32_t low, high; /* bucket */
	bool asked;         /* admission bucket below admit_ppm */
	struct offer_decision want;
} cases[] = {
	/* 1. What the directive holds for it. */
	{ "no offer at all", empty, C, true, { ANSWER_UP_TO_DATE, 0, false, ARM_NONE, 0 } },
	{ "no offer at all, nor a build", empty_factory, C, true, { ANSWER_UP_TO_DATE, 0, false, ARM_NONE, 0 } },
	{ "the only one was halted", empty_halted, C, true, { ANSWER_HALTED, 0, false, ARM_NONE, 0 } },
	{ "one that it has long left behind was halted", halted_before, C, true, { ANSWER_UP_TO_DATE, 0, false, ARM_NONE, 0 } },
	{ "the one that it runs was halted", halted_itself, C, true, { ANSWER_HALTED, 0, false, ARM_NONE, 0 } },
	{ "not open yet", only_newest, G, true, { ANSWER_STAGED_OUT, 1, false, ARM_NONE, 0 } },
	{ "not open yet comes before an old halt", only_newest_halted, G, true, { ANSWER_STAGED_OUT, 1, false, ARM_NONE, 0 } },
	{ "it has what there is", only_newest_had, C, true, { ANSWER_UP_TO_DATE, 1, false, ARM_NONE, 0 } },
	{ "it runs the newest", runs_it, C, true, { ANSWER_UP_TO_DATE, 2, false, ARM_NONE, 0 } },
	{ "it runs a newer one", runs_newer, K, true, { ANSWER_UP_TO_DATE, 2, false, ARM_NONE, 0 } },
	{ "outside the newest, the older one", runs_factory, G, true, { ANSWER_OFFER, 1, false, ARM_NONE, 0 } },
	{ "outside the newest, has the older one", nothing, G, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "inside both: the newest", runs_factory, E, true, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	/* 2. Control. */
	{ "control, asked", nothing, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_CONTROL, 0 } },
	{ "control, the next group", nothing, L, true, { ANSWER_STAGED_OUT, 2, false, ARM_CONTROL, 1 } },
	{ "control, the last group", nothing, M, true, { ANSWER_STAGED_OUT, 2, false, ARM_CONTROL, 2 } },
	{ "control with an older offer", runs_factory, K, true, { ANSWER_OFFER, 1, false, ARM_CONTROL, 0 } },
	{ "control, not asked", nothing, K, false, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "control, in already", entered, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "control, paused", paused, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "control, young", young, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "control, it failed here once", failed_here, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	{ "control, runs it already", runs_it, K, true, { ANSWER_UP_TO_DATE, 2, false, ARM_NONE, 0 } },
	{ "control, no stage", no_stage, K, true, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
	/* 4. "Not now". */
	{ "failed here", failed_here, C, true, { ANSWER_FAILED_HERE, 0, false, ARM_NONE, 0 } },
	{ "failed here, an earlier stage", failed_here, E, true, { ANSWER_FAILED_HERE, 0, false, ARM_NONE, 0 } },
	{ "the older one failed here", failed_older, G, true, { ANSWER_FAILED_HERE, 1, false, ARM_NONE, 0 } },
	{ "the older one failed, the newer is for it", failed_older, C, true, { ANSWER_OFFER, 0, true, ARM_CANARY, 0 } },
	{ "paused", paused, C, true, { ANSWER_PAUSED, 0, false, ARM_NONE, 0 } },
	{ "paused, an earlier stage", paused, E, true, { ANSWER_PAUSED, 0, false, ARM_NONE, 0 } },
	{ "failed comes before paused", paused_failed, C, true, { ANSWER_FAILED_HERE, 0, false, ARM_NONE, 0 } },
	{ "young", young, C, true, { ANSWER_YOUNG, 0, false, ARM_NONE, 0 } },
	{ "paused comes before young", young_paused, C, true, { ANSWER_PAUSED, 0, false, ARM_NONE, 0 } },
	{ "of the last day that is old enough", just_old_enough, C, true, { ANSWER_OFFER, 0, true, ARM_CANARY, 0 } },
	{ "young, and its time has come", young_at_last, C, true, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "young for the older one", young_for_older, G, true, { ANSWER_YOUNG, 1, false, ARM_NONE, 0 } },
	/* 5. The canary. */
	{ "canary, asked", nothing, C, true, { ANSWER_OFFER, 0, true, ARM_CANARY, 0 } },
	{ "canary, not asked", nothing, C, false, { ANSWER_ADMISSION, 0, false, ARM_NONE, 0 } },
	{ "canary, nobody is asked", nobody_asked, C, true, { ANSWER_ADMISSION, 0, false, ARM_NONE, 0 } },
	{ "canary, in already", entered, C, true, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "canary, in already, not asked any more", entered, C, false, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "an earlier stage, asked or not", nothing, E, false, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "no stage is open", no_stage, C, false, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "the stage is of an older build", stage_of_older, 0, PPM, false, { ANSWER_ADMISSION, 1, false, ARM_NONE, 0 } },
	{ "everybody is the canary", no_holdback, M, true, { ANSWER_OFFER, 0, true, ARM_CANARY, 0 } },
	/* Fixes come first, outside both arms. */
	{ "hurt, not open yet", with_fix, G, false, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "hurt, in the canary", with_fix, C, true, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "hurt, in the control", with_fix, K, true, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	{ "hurt, and it failed here", fix_failed, C, true, { ANSWER_FAILED_HERE, 0, false, ARM_NONE, 0 } },
	{ "hurt, and paused", fix_paused, C, true, { ANSWER_PAUSED, 0, false, ARM_NONE, 0 } },
	{ "hurt no more", fix_had, K, true, { ANSWER_UP_TO_DATE, 3, false, ARM_NONE, 0 } },
	{ "not hurt, in the canary", not_hurt, C, true, { ANSWER_OFFER, 1, true, ARM_CANARY, 0 } },
	{ "not hurt, in the control", not_hurt, K, true, { ANSWER_STAGED_OUT, 3, false, ARM_CONTROL, 0 } },
	{ "a list of nobody selects nobody", fix_for_nobody, C, true, { ANSWER_OFFER, 1, true, ARM_CANARY, 0 } },
};
/* clang-format on */

static void test_cases(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct offer_decision d;
		make(&f);
		cases[i].change(&f);
		place(&f, cases[i].low, cases[i].high, cases[i].asked);
		d = offer_decide(&f.rules, &f.device);
		check(cases[i].why, &d, &cases[i].want);
	}
}

/* Polls without an id: the last bucket, in no arm, held by nobody. */
static void test_anonymous(void **state)
{
	static const struct {
		const char *why;
		void (*change)(struct fixture *f);
		struct offer_decision want;
	} row[] = {
		{ "not open", nothing, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
		{ "the older one", runs_factory, { ANSWER_OFFER, 1, false, ARM_NONE, 0 } },
		{ "open to all", no_holdback, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
		{ "paused", paused, { ANSWER_STAGED_OUT, 2, false, ARM_NONE, 0 } },
		{ "nobody is young without an id", young_for_older,
			{ ANSWER_OFFER, 1, false, ARM_NONE, 0 } },
		{ "hurt", with_fix, { ANSWER_OFFER, 0, false, ARM_NONE, 0 } },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct offer_decision d;
		make(&f);
		row[i].change(&f);
		f.device.id = NULL;
		d = offer_decide(&f.rules, &f.device);
		check(row[i].why, &d, &row[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_anonymous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
