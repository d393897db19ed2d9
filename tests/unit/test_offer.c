/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/bucket.h"
#include "proto/device.pb-c.h"
#include "rng.h"
#include "server/core/offer.h"

/*
 * One directive for all cases: build 2.0 (counter 20) is open to [0, 100 000), of which
 * [10 000, ..) is the canary of the open stage, and the control begins at 200 000; 1.0
 * (counter 10) is open to all.
 */
static const char *const hurt[] = { "1.4", "1.5" };

struct fixture {
	struct offer_rules rules;
	struct offer_device device;
	uint8_t id[ID_LEN];
};

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->rules.offers[0].seed, 1, SEED_LEN);
	memset(f->rules.offers[1].seed, 2, SEED_LEN);
	f->rules.offers[0].upper = 100000;
	f->rules.offers[0].release_counter = 20;
	f->rules.offers[0].tag = 2;
	f->rules.offers[1].upper = PPM;
	f->rules.offers[1].release_counter = 10;
	f->rules.offers[1].tag = 1;
	f->rules.n = 2;
	f->rules.has_stage = true;
	f->rules.stage = (struct offer_stage){ .offer = 0,
		.lower = 10000,
		.control_from = 200000,
		.group_upper = { 300000, 990000 },
		.n_groups = 2 };
	f->device = (struct offer_device){ .id = f->id,
		.product = "phone-a",
		.build_id = "1.4",
		.release_counter = 10,
		.enrolled_day = 20000,
		.admit_ppm = 500000 };
}

/* Draws ids until the device is in these buckets of the newest offer. */
static void place(struct fixture *f, uint32_t low, uint32_t high, bool asked)
{
	const uint8_t *seed = f->rules.offers[f->rules.stage.offer].seed;
	struct rng r = { 8 };
	uint32_t bucket;

	do {
		rng_fill(&r, f->id, ID_LEN);
		bucket = bucket_of(seed, f->id, "phone-a");
	} while (bucket < low || bucket >= high ||
		(bucket_admission(seed, f->id, "phone-a") < 500000) != asked);
}

/* The same offers with a third before them: for those on two broken builds. */
static void with_fix(struct fixture *f)
{
	memmove(&f->rules.offers[1], &f->rules.offers[0],
		2 * sizeof(f->rules.offers[0]));
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

static void stage_of_older(struct fixture *f)
{
	f->rules.stage.offer = 1;
	f->rules.stage.lower = 0;
	f->rules.stage.control_from = PPM;
	f->device.release_counter = 0;
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

static void check(const char *why, const struct offer_decision *have,
	const struct offer_decision *want)
{
	if (have->answer != want->answer || have->offer != want->offer ||
		have->needs_token != want->needs_token ||
		have->enters != want->enters || have->group != want->group)
		fail_msg("%s: answer %u of offer %zu, token %d, arm %u, group %u", why,
			have->answer, have->offer, have->needs_token, have->enters,
			have->group);
}

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
		{ "the older one", runs_factory,
			{ ANSWER_OFFER, 1, false, ARM_NONE, 0 } },
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

/* Exactly at the edges: a share begins with its lower bucket and ends before its upper.
 */
static void test_edges(void **state)
{
	struct offer_decision d;
	struct offer_rule *r;
	struct offer_stage *s;
	struct fixture f;
	uint32_t b;

	(void)state;
	make(&f);
	place(&f, 20000, 30000, true);
	r = &f.rules.offers[0];
	s = &f.rules.stage;
	b = bucket_of(r->seed, f.id, "phone-a");
	for (uint32_t i = 0; i < 2; i++) {
		r->upper = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).answer,
			i == 0 ? ANSWER_STAGED_OUT : ANSWER_OFFER);
		assert_int_equal(offer_decide(&f.rules, &f.device).enters,
			i == 0 ? ARM_NONE : ARM_CANARY);
	}
	for (uint32_t i = 0; i < 2; i++) {
		r->lower = s->lower = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).answer,
			i == 0 ? ANSWER_OFFER : ANSWER_STAGED_OUT);
	}
	r->lower = 0;
	for (uint32_t i = 0; i < 2; i++) {
		s->lower = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).enters,
			i == 0 ? ARM_CANARY : ARM_NONE);
	}
	r->upper = s->lower = 10;
	for (uint32_t i = 0; i < 2; i++) {
		s->control_from = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).enters,
			i == 0 ? ARM_CONTROL : ARM_NONE);
	}
	s->control_from = 10;
	for (uint32_t i = 0; i < 2; i++) {
		s->group_upper[0] = b + i;
		d = offer_decide(&f.rules, &f.device);
		assert_int_equal(d.group, i == 0 ? 1 : 0);
	}
	/* Asked: below admit_ppm. */
	b = bucket_admission(r->seed, f.id, "phone-a");
	for (uint32_t i = 0; i < 2; i++) {
		f.device.admit_ppm = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).enters,
			i == 0 ? ARM_NONE : ARM_CONTROL);
	}
}

/* A canary of the older build that finds the newer one first takes that, and enters
 * nothing. */
static void test_newer_one_first(void **state)
{
	static const struct offer_decision want = { ANSWER_OFFER, 0, false, ARM_NONE,
		0 };
	struct offer_decision d;
	struct fixture f;

	(void)state;
	make(&f);
	stage_of_older(&f);
	f.rules.offers[0].upper = PPM;
	place(&f, 0, PPM, true);
	d = offer_decide(&f.rules, &f.device);
	check("newer first", &d, &want);
}

/* More groups than there can be followed: the outermost ones share the last. */
static void test_groups_end(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.rules.stage.n_groups = EVIDENCE_GROUPS;
	for (uint32_t g = 0; g < EVIDENCE_GROUPS; g++)
		f.rules.stage.group_upper[g] = 200000 + 1000 * (g + 1);
	place(&f, 300000, 990000, true);
	assert_int_equal(offer_decide(&f.rules, &f.device).group, EVIDENCE_GROUPS - 1);
}

/* In one fleet: arms are as large as their shares, and no device is in two. */
static void test_shares(void **state)
{
	struct fixture f;
	struct rng r = { 9 };
	size_t arm[ARM_NONE + 1] = { 0 }, held = 0, n = 100000;

	(void)state;
	make(&f);
	for (size_t i = 0; i < n; i++) {
		struct offer_decision d;
		rng_fill(&r, f.id, ID_LEN);
		d = offer_decide(&f.rules, &f.device);
		arm[d.enters]++;
		held += d.answer == ANSWER_ADMISSION;
		assert_int_equal(d.needs_token, d.enters == ARM_CANARY);
	}
	/* 9 % and 80 %, half of each asked; five sigma of the widest is 790. */
	assert_in_range(arm[ARM_CANARY], 4500 - 350, 4500 + 350);
	assert_in_range(held, 4500 - 350, 4500 + 350);
	assert_in_range(arm[ARM_CONTROL], 40000 - 790, 40000 + 790);
}

/* Numbers travel. */
static void test_numbers(void **state)
{
	static const struct {
		enum answer answer;
		Pb__Answer wire;
	} row[] = {
		{ ANSWER_UP_TO_DATE, PB__ANSWER__ANSWER_UP_TO_DATE },
		{ ANSWER_OFFER, PB__ANSWER__ANSWER_OFFER },
		{ ANSWER_STAGED_OUT, PB__ANSWER__ANSWER_STAGED_OUT },
		{ ANSWER_ADMISSION, PB__ANSWER__ANSWER_ADMISSION },
		{ ANSWER_PAUSED, PB__ANSWER__ANSWER_PAUSED },
		{ ANSWER_FAILED_HERE, PB__ANSWER__ANSWER_FAILED_HERE },
		{ ANSWER_YOUNG, PB__ANSWER__ANSWER_YOUNG },
		{ ANSWER_HALTED, PB__ANSWER__ANSWER_HALTED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		assert_int_equal((int)row[i].answer, (int)row[i].wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_newer_one_first),
		cmocka_unit_test(test_groups_end),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
