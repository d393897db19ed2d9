/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "offer_world.h"
#include "proto/device.pb-c.h"

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
		assert_int_equal(
			offer_decide(&f.rules, &f.device).enters, i == 0 ? ARM_NONE : ARM_CANARY);
	}
	for (uint32_t i = 0; i < 2; i++) {
		r->lower = s->lower = b + i;
		assert_int_equal(offer_decide(&f.rules, &f.device).answer,
			i == 0 ? ANSWER_OFFER : ANSWER_STAGED_OUT);
	}
	r->lower = 0;
	for (uint32_t i = 0; i < 2; i++) {
		s->lower = b + i;
		assert_int_equal(
			offer_decide(&f.rules, &f.device).enters, i == 0 ? ARM_CANARY : ARM_NONE);
	}
	r->upper = s->lower = 10;
	for (uint32_t i = 0; i < 2; i++) {
		s->control_from = b + i;
		assert_int_equal(
			offer_decide(&f.rules, &f.device).enters, i == 0 ? ARM_CONTROL : ARM_NONE);
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
		assert_int_equal(
			offer_decide(&f.rules, &f.device).enters, i == 0 ? ARM_NONE : ARM_CONTROL);
	}
}

/* A canary of the older build that finds the newer one first takes that, and enters
 * nothing. */
static void test_newer_one_first(void **state)
{
	static const struct offer_decision want = { ANSWER_OFFER, 0, false, ARM_NONE, 0 };
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
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_newer_one_first),
		cmocka_unit_test(test_groups_end),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
