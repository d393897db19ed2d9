/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/bucket.h"
#include "proto/ladder.h"
#include "proto/wire.h"
#include "server/core/ring.h"

/* Golden: SHA-256("huidu/seed/v1\0" || 00 01 .. 1f || e0 e1 .. ff), and of 64 zeros. */
static void test_seed_golden(void **state)
{
	uint8_t root[SHA256_LEN], targets[SHA256_LEN], seed[SEED_LEN];
	char hex[2 * SEED_LEN + 1];

	(void)state;
	for (size_t i = 0; i < SHA256_LEN; i++) {
		root[i] = (uint8_t)i;
		targets[i] = (uint8_t)(0xe0 + i);
	}
	assert_int_equal(ladder_seed(root, targets, seed), 0);
	assert_string_equal(hex_encode(hex, seed, SEED_LEN),
		"5dfd099e4a2e93799a1f6ef2d4ef10add12b3314d0074590479329f180ab1a44");
	memset(root, 0, sizeof(root));
	memset(targets, 0, sizeof(targets));
	assert_int_equal(ladder_seed(root, targets, seed), 0);
	assert_string_equal(hex_encode(hex, seed, SEED_LEN),
		"3c31e052c6da92c8e7b66a96602e38fb0615d257b4c147a93d03bb537bb82c2e");
}

/* An approved plan and an offer that it allows; each case changes one thing. */
struct fixture {
	uint8_t seed[SEED_LEN], seed2[SEED_LEN + 1], rollout[ID_LEN], sha[SHA256_LEN],
		sha2[SHA256_LEN];
	const char *fixes[2], *other[2];
	Pb__MetaFile targets, offered;
	Pb__Step step[3], *steps[3];
	Pb__RolloutPlan plan;
	Pb__Selector selector;
	Pb__Offer offer;
};

static void make_steps(struct fixture *f)
{
	static const struct {
		enum ring ring;
		uint32_t upper;
		uint64_t not_before;
	} steps[] = {
		{ RING_CORE, 500000, 1000 },
		{ RING_DEV, 10000, 2000 },
		{ RING_STABLE, PPM, 3000 },
	};

	for (size_t i = 0; i < COUNT(steps); i++) {
		f->step[i] = (Pb__Step)PB__STEP__INIT;
		f->step[i].ring = steps[i].ring;
		f->step[i].upper = steps[i].upper;
		f->step[i].not_before = steps[i].not_before;
		f->steps[i] = &f->step[i];
	}
}

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->seed, 7, sizeof(f->seed));
	memset(f->seed2, 7, sizeof(f->seed2));
	memset(f->rollout, 9, sizeof(f->rollout));
	make_steps(f);
	f->targets = (Pb__MetaFile)PB__META_FILE__INIT;
	f->targets.name = "targets/phone-a/1.0";
	f->targets.version = 1;
	f->targets.length = 500;
	f->targets.sha256 = wire_data(f->sha, SHA256_LEN);
	f->offered = f->targets;
	f->offered.sha256 = wire_data(f->sha2, SHA256_LEN);
	f->plan = (Pb__RolloutPlan)PB__ROLLOUT_PLAN__INIT;
	f->plan.targets = &f->targets;
	f->plan.rollout_id = wire_data(f->rollout, ID_LEN);
	f->plan.seed = wire_data(f->seed, SEED_LEN);
	f->plan.steps = f->steps;
	f->plan.n_steps = 3;
	f->fixes[0] = f->other[0] = "0.8";
	f->fixes[1] = f->other[1] = "0.9";
	f->selector = (Pb__Selector)PB__SELECTOR__INIT;
	f->selector.seed = wire_data(f->seed2, SEED_LEN);
	f->selector.upper = 10000;
	f->offer = (Pb__Offer)PB__OFFER__INIT;
	f->offer.selector = &f->selector;
	f->offer.targets = &f->offered;
	f->offer.rollout_id = f->plan.rollout_id;
	f->offer.step = 1;
}

/* A plan with fixes, and the offer to those that run them. */
static void fix(struct fixture *f)
{
	f->plan.from_build_ids = f->fixes;
	f->selector.from_build_ids = f->other;
	f->plan.n_from_build_ids = f->selector.n_from_build_ids = 2;
}

static void nothing(struct fixture *f)
{
	(void)f;
}

static void seed_bit(struct fixture *f)
{
	f->seed2[31] ^= 1;
}

static void seed_long(struct fixture *f)
{
	f->selector.seed.len = f->plan.seed.len = SEED_LEN + 1;
	f->plan.seed.data = f->seed2;
}

static void seed_empty(struct fixture *f)
{
	f->selector.seed.len = f->plan.seed.len = 0;
}

static void rollout(struct fixture *f)
{
	f->offer.rollout_id = wire_data(f->seed, ID_LEN);
}

static void name(struct fixture *f)
{
	f->offered.name = "targets/phone-a/1.1";
}

static void version(struct fixture *f)
{
	f->offered.version++;
}

static void length(struct fixture *f)
{
	f->offered.length++;
}

static void hash(struct fixture *f)
{
	f->sha2[0] ^= 1;
}

static void hash_short(struct fixture *f)
{
	f->offered.sha256.len--;
}

static void upper_one_more(struct fixture *f)
{
	f->selector.upper++;
}

static void lower_above(struct fixture *f)
{
	f->selector.lower = 10001;
}

static void lower_equal(struct fixture *f)
{
	f->selector.lower = 10000;
}

static void step_first(struct fixture *f)
{
	f->offer.step = 0;
	f->selector.upper = 500000;
}

static void step_last(struct fixture *f)
{
	f->offer.step = 2;
	f->selector.upper = PPM;
}

static void step_beyond(struct fixture *f)
{
	f->offer.step = 3;
}

static void step_far(struct fixture *f)
{
	f->offer.step = UINT32_MAX;
}

static void above_all(struct fixture *f)
{
	f->plan.steps[1]->upper = 10000;
	f->selector.upper = UINT32_MAX;
}

static void fix_all(struct fixture *f)
{
	fix(f);
	f->selector.upper = PPM;
}

static void fix_above_all(struct fixture *f)
{
	fix(f);
	f->selector.upper = PPM + 1;
}

static void fix_share(struct fixture *f)
{
	fix(f);
	f->selector.n_from_build_ids = 0;
}

static void fix_share_wide(struct fixture *f)
{
	fix_share(f);
	f->selector.upper = PPM;
}

static void fix_fewer(struct fixture *f)
{
	fix_all(f);
	f->selector.n_from_build_ids = 1;
}

static void fix_more(struct fixture *f)
{
	fix_all(f);
	f->plan.n_from_build_ids = 1;
}

static void fix_other(struct fixture *f)
{
	fix_all(f);
	f->other[1] = "1.0";
}

static void fix_swapped(struct fixture *f)
{
	fix_all(f);
	f->other[0] = "0.9";
	f->other[1] = "0.8";
}

static void fix_not_in_plan(struct fixture *f)
{
	fix_all(f);
	f->plan.n_from_build_ids = 0;
}

static const struct {
	const char *why;
	void (*change)(struct fixture *f);
	uint32_t ring;
	uint64_t now_s;
	int want;
} cases[] = {
	{ "as approved", nothing, RING_DEV, 2000, 0 },
	{ "long after", nothing, RING_DEV, UINT64_MAX, 0 },
	{ "a second too early", nothing, RING_DEV, 1999, ERR_TOO_EARLY },
	{ "an inner ring sees an outer one's", nothing, RING_HONOUR, 2000, 0 },
	{ "the innermost too", nothing, RING_CORE, 2000, 0 },
	{ "an outer ring does not", nothing, RING_STABLE, 2000, ERR_PLAN_EXCEEDED },
	{ "no ring at all", nothing, UINT32_MAX, 2000, ERR_PLAN_EXCEEDED },
	{ "both: the plan first", nothing, RING_STABLE, 0, ERR_PLAN_EXCEEDED },
	{ "first step", step_first, RING_CORE, 1000, 0 },
	{ "first step in the next ring", step_first, RING_HONOUR, 1000, ERR_PLAN_EXCEEDED },
	{ "last step", step_last, RING_STABLE, 3000, 0 },
	{ "last step at the time of the one before", step_last, RING_STABLE, 2999, ERR_TOO_EARLY },
	{ "step beyond", step_beyond, RING_DEV, 9000, ERR_PLAN_EXCEEDED },
	{ "step far beyond", step_far, RING_DEV, 9000, ERR_PLAN_EXCEEDED },
	{ "one ppm more", upper_one_more, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "more than there is", above_all, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "turned round", lower_above, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "nobody", lower_equal, RING_DEV, 2000, 0 },
	{ "another seed", seed_bit, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "long seeds", seed_long, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "no seeds", seed_empty, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "another rollout", rollout, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "another name", name, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "another version", version, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "another length", length, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "another hash", hash, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "half a hash", hash_short, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: all of them", fix_all, RING_DEV, 2000, 0 },
	{ "fixes: not before their step", fix_all, RING_DEV, 1999, ERR_TOO_EARLY },
	{ "fixes: not in an outer ring", fix_all, RING_STABLE, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: more than all", fix_above_all, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: the share beside them", fix_share, RING_DEV, 2000, 0 },
	{ "fixes do not widen the share", fix_share_wide, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: fewer", fix_fewer, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: more", fix_more, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: others", fix_other, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: in another order", fix_swapped, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
	{ "fixes: the plan has none", fix_not_in_plan, RING_DEV, 2000, ERR_PLAN_EXCEEDED },
};

static void test_allows(void **state)
{
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int err;
		make(&f);
		cases[i].change(&f);
		err = ladder_allows(&f.plan, &f.offer, cases[i].ring, cases[i].now_s);
		if (err != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_str(err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed_golden),
		cmocka_unit_test(test_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
