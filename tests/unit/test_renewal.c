/* SPDX-License-Identifier: Apache-2.0 */
/* What was signed expires, and is signed again, without anything else changing. */
#include "unit.h"

#include "authority_world.h"
#include "server/core/plan.h"
#include "server/service/control_private.h"

#define HOUR 3600000ull
#define DAY  (24 * HOUR)

static const char *const phone_a[] = { "phone-a" };
static const struct plan_stage ladder[] = { { RING_CORE, 500000, 0 }, { RING_CORE, 1000000, 0 } };

static void open_running(struct deployment *d)
{
	struct deployment_options o = { .profile = "team" };
	struct test_plan p;

	deployment_open(d, &o);
	assert_int_equal(0, deployment_publish(d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(
		0, deployment_roll_out(d, "1.0", phone_a, 1, plan_of(&p, ladder, 2, HOUR, 0)));
}

/* All but time: nobody polls. */
static void wait_days(struct deployment *d, unsigned days)
{
	deployment_run(d, days * DAY, DAY);
	d->arena.used = 0;
}

static int approve_twice(struct deployment *d)
{
	int err = deployment_approve(d, "1.0", 0);

	return err != 0 ? err : deployment_approve(d, "1.0", 1);
}

static const Pb__RolloutPlan *plan_in_force(struct deployment *d)
{
	const struct rollout_build *b = &deployment_rollout(d, "1.0")->builds[0];
	int err;
	const Pb__Envelope *e = envelope_read(buf_bytes(&b->plan), &d->arena, &err);

	return wire_read(&pb__rollout_plan__descriptor, wire_bytes(e->payload), &wire_signed,
		&d->arena, &err);
}

static size_t offers(const struct deployment *d)
{
	struct chosen out[OFFERS_MAX];

	return offers_choose(control_state(&d->server), "phone-a", RING_CORE, out);
}

static void a_build_is_published_again(void **state)
{
	struct deployment d;
	const struct rollout *r;
	const struct build *first;
	const Pb__RolloutPlan *plan;
	uint64_t published_s, not_before_s;
	uint32_t step;

	(void)state;
	open_running(&d);
	r = deployment_rollout(&d, "1.0");
	first = r->builds[0].build;
	wait_days(&d, 90);
	/* Another file, a lower or the same version: another build, or nothing new. */
	assert_int_equal(ERR_BAD_BUILD, deployment_publish_as(&d, "phone-a", "1.0", 1, "other", 2));
	assert_int_equal(ERR_BAD_BUILD, deployment_publish_as(&d, "phone-a", "1.0", 2, "one", 2));
	assert_int_equal(ERR_EXISTS, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", 1));
	assert_int_equal(0, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", 2));
	published_s = d.now_ms / 1000;
	assert_ptr_equal(first, r->builds[0].build);
	assert_true(rollout_is_renewed(r));
	assert_int_equal(1, offers(&d));
	wait_days(&d, 1);
	not_before_s = plan_in_force(&d)->steps[1]->not_before;
	step = r->step;
	assert_int_equal(ROLLOUT_COMPLETE, r->state);
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(2, r->plan_version);
	assert_int_equal(2, r->builds[0].build->targets_version);
	assert_int_equal(ROLLOUT_COMPLETE, r->state);
	assert_int_equal(step, r->step);
	assert_int_equal(0, r->n_resumes);
	assert_false(rollout_is_renewed(r));
	assert_false(rollout_is_refused(r));
	assert_int_equal(1, offers(&d));
	d.arena.used = 0;
	plan = plan_in_force(&d);
	assert_int_equal(published_s + PLAN_LIFE_S, plan->expires);
	assert_memory_equal(plan->seed.data, r->builds[0].seed, SEED_LEN);
	assert_int_equal(not_before_s, plan->steps[1]->not_before);
	deployment_restart(&d);
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(ROLLOUT_COMPLETE, r->state);
	assert_int_equal(2, r->builds[0].build->targets_version);
	assert_int_equal(1, offers(&d));
	assert_int_equal(1, control_state(&d.server)->n_builds);
	deployment_close(&d);
}

/* Nor does it move a rollout that is on its way: the gate goes on where it was. */
static void a_running_one_goes_on(void **state)
{
	struct deployment d;
	const struct rollout *r;
	uint64_t since_ms;

	(void)state;
	open_running(&d);
	r = deployment_rollout(&d, "1.0");
	since_ms = r->since_ms;
	deployment_run(&d, 60000, 60000);
	assert_int_equal(0, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", 2));
	assert_int_equal(0, deployment_approve(&d, "1.0", 2));
	assert_int_equal(1, r->plan_version);
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(2, r->plan_version);
	assert_int_equal(ROLLOUT_RUNNING, r->state);
	assert_int_equal(0, r->step);
	assert_int_equal(since_ms, r->since_ms);
	assert_int_equal(0, r->resumed_ms);
	assert_int_equal(1, offers(&d));
	wait_days(&d, 2);
	assert_int_equal(ROLLOUT_COMPLETE, r->state);
	deployment_close(&d);
}

/* A phone that was two years in a drawer finds the build it is to get. */
static void two_years_later_it_is_still_offered(void **state)
{
	struct deployment d;

	(void)state;
	open_running(&d);
	for (uint64_t version = 2; version <= 6; version++) {
		wait_days(&d, 150);
		assert_int_equal(0, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", version));
		assert_int_equal(0, approve_twice(&d));
		assert_int_equal(1, offers(&d));
	}
	deployment_restart(&d);
	assert_int_equal(1, offers(&d));
	assert_true(plan_in_force(&d)->expires > d.now_ms / 1000);
	deployment_close(&d);
}

static void a_plan_alone_is_renewed_near_its_end(void **state)
{
	struct deployment d;
	const struct rollout *r;
	uint64_t expires_s;

	(void)state;
	open_running(&d);
	r = deployment_rollout(&d, "1.0");
	expires_s = r->expires_s;
	wait_days(&d, 119);
	assert_int_equal(ERR_WRONG_STATE, deployment_approve(&d, "1.0", 0));
	wait_days(&d, 2);
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(2, r->plan_version);
	assert_int_equal(expires_s + 120 * 86400, r->expires_s);
	assert_true(r->expires_s <= d.now_ms / 1000 + PLAN_LIFE_S);
	assert_int_equal(ROLLOUT_COMPLETE, r->state);
	assert_int_equal(ERR_WRONG_STATE, deployment_approve(&d, "1.0", 0));
	deployment_close(&d);
}

/* To renew a paused rollout is not to let it go on: that is asked for by itself. */
static void a_paused_one_stays_paused(void **state)
{
	struct deployment d;
	const struct rollout *r;

	(void)state;
	open_running(&d);
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_PAUSE));
	assert_int_equal(0, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", 2));
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(ROLLOUT_PAUSED, r->state);
	assert_int_equal(2, r->plan_version);
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(ROLLOUT_RUNNING, r->state);
	assert_int_equal(3, r->plan_version);
	assert_int_equal(1, offers(&d));
	deployment_close(&d);
}

/* A proposal goes on with the envelope its seed was drawn from, so that nobody can choose a seed. */
static void a_proposal_keeps_its_seed(void **state)
{
	struct deployment d;
	struct deployment_options o = { .profile = "team" };
	struct test_plan p;
	const struct rollout *r;

	(void)state;
	deployment_open(&d, &o);
	assert_int_equal(0, deployment_publish(&d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(
		0, deployment_propose(&d, "1.0", phone_a, 1, plan_of(&p, ladder, 2, HOUR, 0)));
	assert_int_equal(0, deployment_publish_as(&d, "phone-a", "1.0", 1, "one", 2));
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(ROLLOUT_APPROVED, r->state);
	assert_int_equal(1, r->builds[0].build->targets_version);
	assert_true(rollout_is_renewed(r));
	assert_int_equal(0, approve_twice(&d));
	assert_int_equal(ROLLOUT_APPROVED, r->state);
	assert_int_equal(2, r->builds[0].build->targets_version);
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	assert_int_equal(1, offers(&d));
	deployment_close(&d);
}

/* The command that mends it stands beside each end. */
static void who_renews_is_said(void **state)
{
	struct deployment d;
	const Pb__AdminReply *reply;
	unsigned found = 0;

	(void)state;
	open_running(&d);
	wait_days(&d, 121);
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, "", 0);
	for (size_t i = 0; i < reply->trust->n_expiries; i++) {
		const Pb__ExpiryView *e = reply->trust->expiries[i];
		if (strcmp(e->what, "targets 1.0 phone-a") == 0)
			found += strcmp(e->renewed, "huiductl build renew 1.0 --product phone-a") ==
				0;
		if (strcmp(e->what, "plan 1.0 phone-a") == 0)
			found += strcmp(e->renewed, "huiductl rollout approve 1.0") == 0;
	}
	assert_int_equal(2, found);
	/* What it takes to do so is given for the name, and for no other. */
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_BUILDS, "1.0", 0);
	assert_int_equal(1, reply->n_builds);
	assert_true(bytes_eq(wire_bytes(reply->builds[0]->targets),
		buf_bytes(&deployment_rollout(&d, "1.0")->builds[0].build->targets)));
	assert_int_equal(0, world_ask(&d, PB__QUERY_KIND__QUERY_BUILDS, "2.0", 0)->n_builds);
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_BUILDS, "", 0);
	assert_int_equal(1, reply->n_builds);
	assert_false(reply->builds[0]->has_targets);
	deployment_close(&d);
}

/* Builds that a newer one has replaced for everybody are on nobody's list. */
static void old_builds_may_expire(void **state)
{
	struct deployment d;
	struct test_plan p;
	const Pb__AdminReply *reply;

	(void)state;
	open_running(&d);
	wait_days(&d, 121);
	assert_int_equal(1, world_ask(&d, PB__QUERY_KIND__QUERY_PENDING, "", 0)->n_pending);
	assert_int_equal(0, deployment_publish(&d, "phone-a", "2.0", 2, "two"));
	assert_int_equal(
		0, deployment_roll_out(&d, "2.0", phone_a, 1, plan_of(&p, ladder, 2, HOUR, 0)));
	wait_days(&d, 2);
	assert_int_equal(ROLLOUT_COMPLETE, deployment_rollout(&d, "2.0")->state);
	assert_int_equal(0, world_ask(&d, PB__QUERY_KIND__QUERY_PENDING, "", 0)->n_pending);
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, "", 0);
	for (size_t i = 0; i < reply->trust->n_expiries; i++)
		assert_null(strstr(reply->trust->expiries[i]->what, " 1.0 "));
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_build_is_published_again),
		cmocka_unit_test(a_running_one_goes_on),
		cmocka_unit_test(two_years_later_it_is_still_offered),
		cmocka_unit_test(a_plan_alone_is_renewed_near_its_end),
		cmocka_unit_test(a_paused_one_stays_paused),
		cmocka_unit_test(who_renews_is_said),
		cmocka_unit_test(old_builds_may_expire),
		cmocka_unit_test(a_proposal_keeps_its_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
