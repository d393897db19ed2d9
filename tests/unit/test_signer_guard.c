/* SPDX-License-Identifier: Apache-2.0 */
/* What the signer refuses, whoever asks: it does not take huidud's word. */
#include "unit.h"

#include "signer_world.h"

/* ---- what may be admitted ---- */

static struct bytes plan_envelope, targets_envelope;

/* Proposed, and approved by two people in the log: but for the envelopes all is well. */
static void propose(void)
{
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
	plan_envelope = signer_world_plan(ALICE | BOB);
	assert_int_equal(signer_world_approve(plan_envelope, ALICE), 0);
}

static void sign_both(void)
{
	propose();
}

static void one_approver(void)
{
	propose();
	plan_envelope = signer_world_plan(ALICE);
}

static void no_approver(void)
{
	propose();
	plan_envelope = signer_world_plan(0);
}

/* Two of them signed, but only one of these is in the log. */
static void not_logged(void)
{
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
	assert_int_equal(signer_world_approve(signer_world_plan(ALICE), ALICE), 0);
	plan_envelope = signer_world_plan(ALICE | BOB);
}

/* The release keys propose; they do not approve. */
static void approved_by_release_keys(void)
{
	propose();
	plan_envelope = signer_world_sign(ENVELOPE_PLAN, &w.plan, KEY_RELEASE, ALICE | BOB | CAROL);
}

static void one_release_key(void)
{
	propose();
	targets_envelope = signer_world_targets(ALICE);
}

static void targets_by_approvers(void)
{
	propose();
	targets_envelope =
		signer_world_sign(ENVELOPE_TARGETS, &w.targets, KEY_APPROVER, ALICE | BOB | CAROL);
}

static void swapped(void)
{
	struct bytes t;

	propose();
	t = plan_envelope;
	plan_envelope = targets_envelope;
	targets_envelope = t;
}

static void plan_of_another_build(void)
{
	propose();
	w.targets.build_id = "1.1";
	targets_envelope =
		signer_world_sign(ENVELOPE_TARGETS, &w.targets, KEY_RELEASE, ALICE | BOB);
}

/* Approved as it is, but not what was proposed. */
static void approve_again(void)
{
	plan_envelope = signer_world_plan(ALICE | BOB);
	assert_int_equal(signer_world_approve(plan_envelope, ALICE), 0);
}

static void plan_of_another_product(void)
{
	propose();
	w.plan.product = "phone-b";
	approve_again();
}

static void plan_of_another_seed(void)
{
	propose();
	w.seed[0] ^= 1;
	approve_again();
}

static void plan_of_another_spec(void)
{
	propose();
	w.spec_sha[0] ^= 1;
	approve_again();
}

static void plan_of_another_repository(void)
{
	w.plan.repository = "other";
	propose();
}

static void plan_of_another_rollout(void)
{
	propose();
	w.rollout_id[0] ^= 1;
	plan_envelope = signer_world_plan(ALICE | BOB);
}

static void plan_expired(void)
{
	w.plan.expires = w.now_s;
	propose();
}

static void targets_expired(void)
{
	w.targets.expires = w.now_s;
	propose();
}

static void targets_of_another_repository(void)
{
	w.targets.repository = "other";
	propose();
}

static void damaged_plan(void)
{
	static uint8_t copy[4096];

	propose();
	assert_true(plan_envelope.n <= sizeof(copy));
	memcpy(copy, plan_envelope.p, plan_envelope.n);
	copy[40] ^= 1;
	plan_envelope = bytes_of(copy, plan_envelope.n);
}

static void no_bytes(void)
{
	propose();
	plan_envelope = bytes_of("", 0);
}

static const struct {
	const char *why;
	void (*make)(void);
	int want; /* 1: any error */
} admissions[] = {
	{ "approved", sign_both, 0 },
	{ "one approver of two", one_approver, ERR_BELOW_THRESHOLD },
	{ "nobody approved", no_approver, ERR_BELOW_THRESHOLD },
	{ "release keys approved", approved_by_release_keys, ERR_BELOW_THRESHOLD },
	{ "one release key of two", one_release_key, ERR_BELOW_THRESHOLD },
	{ "approvers published", targets_by_approvers, ERR_BELOW_THRESHOLD },
	{ "the two swapped", swapped, ERR_WRONG_TYPE },
	{ "another build than the plan's", plan_of_another_build, ERR_MISMATCH },
	{ "two approvers, one of them not in the log", not_logged, ERR_BELOW_THRESHOLD },
	{ "another product's plan", plan_of_another_product, ERR_MISMATCH },
	{ "a seed somebody chose", plan_of_another_seed, ERR_MISMATCH },
	{ "another ladder than was proposed", plan_of_another_spec, ERR_MISMATCH },
	{ "a rollout nobody proposed", plan_of_another_rollout, ERR_NOT_FOUND },
	{ "the plan has expired", plan_expired, ERR_EXPIRED },
	{ "the build has expired", targets_expired, ERR_EXPIRED },
	{ "another deployment's plan", plan_of_another_repository, ERR_WRONG_REPOSITORY },
	{ "another deployment's build", targets_of_another_repository, ERR_WRONG_REPOSITORY },
	{ "a plan with a bit turned", damaged_plan, 1 },
	{ "no plan", no_bytes, ERR_MISSING_FIELD },
};

/* Each on its own; and what was not admitted is not offered. */
static void test_admissions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(admissions); i++) {
		int err;
		signer_world_make();
		admissions[i].make();
		err = signer_admit(w.signer, plan_envelope, targets_envelope);
		if (admissions[i].want == 1 ? err >= 0 : err != admissions[i].want)
			fail_msg("%s: %s", admissions[i].why, err_name(err));
		assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE),
			i == 0                                                  ? 0
				: admissions[i].make == plan_of_another_rollout ? ERR_NOT_FOUND
										: ERR_WRONG_STATE);
		signer_world_offer();
		assert_int_equal(signer_world_direct(), i == 0 ? 0 : ERR_PLAN_EXCEEDED);
	}
}

/* ---- what may be offered ---- */

static void as_approved(void)
{
}

static void one_ppm_more(void)
{
	w.selector.upper++;
}

static void an_outer_ring(void)
{
	w.director.ring = 1;
}

static void no_such_ring(void)
{
	w.director.ring = 4;
}

static void no_such_step(void)
{
	w.offer.step = 2;
}

static void next_step(void)
{
	w.offer.step = 1;
	w.selector.upper = 10000;
	w.director.ring = 2;
}

static void halted(void)
{
	w.director.n_halted_build_ids = 1;
}

static void another_halted(void)
{
	w.director.n_halted_build_ids = 1;
	w.halted[0] = "0.9";
}

static void another_product(void)
{
	w.director.product = "phone-b";
}

static void a_path_for_a_product(void)
{
	w.director.product = "../phone-a";
}

static void another_repository(void)
{
	w.director.repository = "other";
}

static void another_build(void)
{
	w.offer_sha[0] ^= 1;
}

static void another_plan(void)
{
	w.plan_sha[0] ^= 1;
}

static void another_seed(void)
{
	static uint8_t seed[SEED_LEN];

	w.selector.seed = wire_data(seed, SEED_LEN);
}

static void another_version_of_the_build(void)
{
	w.offer_meta.version = 2;
}

static void a_fix_nobody_approved(void)
{
	static const char *builds[] = { "0.9" };

	w.selector.from_build_ids = builds;
	w.selector.n_from_build_ids = 1;
}

static void no_offer(void)
{
	w.director.n_offers = 0;
}

static const struct {
	const char *why;
	void (*change)(void);
	int want;
} offers[] = {
	{ "as approved", as_approved, 0 },
	{ "no offer at all", no_offer, 0 },
	{ "one ppm more", one_ppm_more, ERR_PLAN_EXCEEDED },
	{ "an outer ring", an_outer_ring, ERR_PLAN_EXCEEDED },
	{ "no such ring", no_such_ring, ERR_BAD_RANGE },
	{ "no such step", no_such_step, ERR_PLAN_EXCEEDED },
	{ "an hour too early", next_step, ERR_TOO_EARLY },
	{ "halted", halted, ERR_BUILD_HALTED },
	{ "another build was halted", another_halted, 0 },
	{ "another product", another_product, ERR_PLAN_EXCEEDED },
	{ "a path for a product", a_path_for_a_product, ERR_BAD_RANGE },
	{ "another deployment", another_repository, ERR_WRONG_REPOSITORY },
	{ "another build", another_build, ERR_PLAN_EXCEEDED },
	{ "another plan", another_plan, ERR_PLAN_EXCEEDED },
	{ "another seed", another_seed, ERR_PLAN_EXCEEDED },
	{ "another version of the build", another_version_of_the_build, ERR_PLAN_EXCEEDED },
	{ "a fix that nobody approved", a_fix_nobody_approved, ERR_PLAN_EXCEEDED },
};

static void test_offers(void **state)
{
	uint64_t version = 0;

	(void)state;
	signer_world_roll_out();
	for (size_t i = 0; i < COUNT(offers); i++) {
		uint8_t plan_sha[SHA256_LEN];
		int err;
		memcpy(plan_sha, w.plan_sha, SHA256_LEN);
		w.director.repository = "demo";
		w.director.product = "phone-a";
		w.director.ring = 0;
		w.director.n_halted_build_ids = 0;
		w.halted[0] = "1.0";
		signer_world_offer();
		offers[i].change();
		w.director.version = version + 1;
		err = signer_world_ask(ENVELOPE_DIRECTOR, &w.director);
		if (err != offers[i].want)
			fail_msg("%s: %s", offers[i].why, err_name(err));
		/* A refusal uses no version up. */
		version += err == 0;
		assert_int_equal(signer_world_floor("director/phone-a/core"), version);
		memcpy(w.plan_sha, plan_sha, SHA256_LEN);
	}
}

/* Every step that was opened may be offered in an inner ring too, none in an outer one. */
static void test_time_passes(void **state)
{
	(void)state;
	signer_world_roll_out();
	signer_world_offer();
	next_step();
	w.director.ring = 0;
	assert_int_equal(signer_world_direct(), ERR_TOO_EARLY);
	signer_time_passes(3600000);
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED); /* nobody promoted it */
	assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_PROMOTE, 0), 0);
	for (uint32_t ring = 0; ring < 4; ring++) {
		signer_world_offer();
		next_step();
		w.director.ring = ring;
		w.director.version = 5;
		w.director.expires = signer_now_s();
		assert_int_equal(signer_world_ask(ENVELOPE_DIRECTOR, &w.director),
			ring <= 2 ? 0 : ERR_PLAN_EXCEEDED);
	}
}

/* Only what the online keys are for. */
static void test_types(void **state)
{
	static const enum envelope_type types[] = { ENVELOPE_ROOT, ENVELOPE_TARGETS, ENVELOPE_PLAN,
		ENVELOPE_COMMAND, ENVELOPE_QUERY, ENVELOPE_UPLOAD, ENVELOPE_REPLY,
		ENVELOPE__COUNT };

	(void)state;
	w.director.version = 1;
	for (size_t i = 0; i < COUNT(types); i++)
		assert_int_equal(signer_world_ask(types[i], &w.director), ERR_WRONG_TYPE);
	/* Nor one kind under the name of another. */
	assert_true(signer_world_ask(ENVELOPE_TIMESTAMP, &w.director) < 0);
	assert_true(signer_world_ask(ENVELOPE_SNAPSHOT, &w.director) < 0);
	assert_true(signer_world_ask(ENVELOPE_DECISION, &w.director) < 0);
	assert_int_equal(signer_world_ask(ENVELOPE_DIRECTOR, &w.director), 0);
}

/* Admissions are not kept: a signer that is started again is told once more.  What the log says is. */
static void test_admissions_end_with_it(void **state)
{
	(void)state;
	signer_world_roll_out();
	targets_envelope = signer_world_targets(ALICE | BOB);
	plan_envelope = signer_world_plan(ALICE | BOB);
	assert_int_equal(signer_world_direct(), 0);
	signer_world_restart();
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	assert_int_equal(signer_admit(w.signer, plan_envelope, targets_envelope), 0);
	assert_int_equal(signer_world_direct(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_admissions),
		IN_WORLD(test_offers),
		IN_WORLD(test_time_passes),
		IN_WORLD(test_types),
		IN_WORLD(test_admissions_end_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
