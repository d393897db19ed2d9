/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a staged rollout, as far as a phone meets them: offers beside the plan, halts, ways back. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#include "proto/bucket.h"

#define DAY_S   86400u
#define HOUR_MS 3600000u

static bool runs(const struct lab *l, const char *build_id)
{
	return strcmp(l->phone.slot.build_id, build_id) == 0;
}

/* ---- selector and plan ---- */

static void selector_excludes_me(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;
	uint32_t bucket;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	bucket = bucket_of(o->seed, l->repo->device_id, REPO_PRODUCT);
	o->upper = bucket; /* all below me */
	repo_publish(l->repo);
	lab_holds(l);
	o->lower = bucket + 1; /* all above me */
	o->upper = 1000000;
	repo_publish(l->repo);
	lab_holds(l);
	o->from_build_id = "b0"; /* others' builds */
	repo_publish(l->repo);
	lab_holds(l);
	o->from_build_id = NULL;
	o->lower = bucket;
	repo_publish(l->repo);
	lab_installs(l, o->build->id);
}

static void plan_of_dev(struct repo *r, void *message)
{
	((Pb__RolloutPlan *)message)->steps[0]->ring = PB__RING__RING_DEV;
	(void)r;
}

static void plan_of_one_percent(struct repo *r, void *message)
{
	((Pb__RolloutPlan *)message)->steps[0]->upper = 10000;
	(void)r;
}

/* Open to all now, by the director; approved for tomorrow. */
static void before_not_before(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	o->not_before_s = l->repo->now_s + DAY_S;
	repo_publish(l->repo);
	lab_refuses(l, ERR_TOO_EARLY);
	device_live(&l->phone, 20 * HOUR_MS);
	CHECK(runs(l, "b1"));
	device_live(&l->phone, 6 * HOUR_MS);
	CHECK(runs(l, o->build->id));
}

/* ---- halts and going back ---- */

/* Staged, then halted, then served again as if nothing had been. */
static struct repo_offer *halt_staged(struct lab *l)
{
	struct repo_offer *o;

	lab_start(l);
	o = lab_offer(l);
	repo_publish(l->repo);
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0);
	CHECK_EQ(l->phone.applies, 1);
	l->repo->halted[0] = o->build->id;
	l->repo->n_halted = 1;
	repo_publish(l->repo);
	CHECK_ERR(device_refresh(&l->phone), ERR_BUILD_HALTED);
	huidu_applied(l->phone.h, 0); /* too late */
	l->phone.holds_apply = false;
	device_live(&l->phone, HOUR_MS);
	CHECK_EQ(l->phone.activations, 0);
	l->repo->n_halted = 0;
	return o;
}

static void halt_then_same_plan(struct lab *l, const struct attack *a)
{
	(void)a;
	(void)halt_staged(l);
	repo_publish(l->repo);
	lab_refuses(l, ERR_BUILD_HALTED);
	device_restart(&l->phone);
	CHECK_ERR(device_refresh(&l->phone), ERR_BUILD_HALTED);
}

static void halt_then_new_plan(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = halt_staged(l);

	(void)a;
	o->plan_version = 2;
	repo_publish(l->repo);
	lab_installs(l, o->build->id);
}

/* The phone runs b3; b2 is signed, approved, older, and "to be gone back to". */
static struct repo_offer *go_back_to(struct lab *l, uint64_t index_of_b3, uint64_t index_of_b2)
{
	struct repo_build *b2;
	struct repo_offer *o;

	lab_start(l);
	b2 = repo_add_build(l->repo, "b2", 2);
	b2->rollback_index = index_of_b2;
	o = lab_offer(l);
	o->build->rollback_index = index_of_b3;
	repo_publish(l->repo);
	lab_installs(l, "b3");
	repo_withdraw(l->repo);
	o = repo_add_offer(l->repo, b2, PB__RING__RING_STABLE);
	o->action = 2;
	return o;
}

static void rollback_not_allowed(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = go_back_to(l, 0, 0);

	(void)a;
	repo_publish(l->repo);
	lab_holds(l);
	o->build->rollback_from = "b9"; /* from another build */
	repo_publish(l->repo);
	lab_holds(l);
	o->build->rollback_from = "b3";
	repo_publish(l->repo);
	lab_installs(l, "b2");
}

static void rollback_index_lower(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = go_back_to(l, 5, 4);

	(void)a;
	o->build->rollback_from = "b3";
	repo_publish(l->repo);
	lab_refuses(l, ERR_ROLLBACK);
	o = lab_offer(l); /* newer, and under an index from before */
	o->build->rollback_index = 4;
	repo_publish(l->repo);
	lab_refuses(l, ERR_ROLLBACK);
	CHECK_EQ(device_state(&l->phone).rollback_index, 5);
}

static const struct attack attacks[] = {
	CASE("ra_selector_excludes_me", selector_excludes_me),
	CASE_EDIT("ra_plan_exceeded_ring", lab_run_refused, ENVELOPE_PLAN, plan_of_dev,
		ERR_PLAN_EXCEEDED),
	CASE_EDIT("ra_plan_exceeded_ppm", lab_run_refused, ENVELOPE_PLAN, plan_of_one_percent,
		ERR_PLAN_EXCEEDED),
	CASE("ra_step_before_not_before", before_not_before),
	CASE("ra_halt_then_same_plan", halt_then_same_plan),
	CASE("ra_halt_then_resume_new_plan", halt_then_new_plan),
	CASE("ra_rollback_without_rollback_from", rollback_not_allowed),
	CASE("ra_rollback_index_lower", rollback_index_lower),
};
const struct attack_group ra_offers = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
