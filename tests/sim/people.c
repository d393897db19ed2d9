/* SPDX-License-Identifier: Apache-2.0 */
/* Release engineers: they publish, approve, stop, renew and rotate, in any order, and make mistakes. */
#include <stdio.h>
#include <stdlib.h>

#include "server/service/control_private.h"
#include "tests/sim/act.h"

const char *const people_products[PRODUCTS] = { "phone-a", "phone-b" };

static struct deployment *deployment(void)
{
	return &world_sim.host.d;
}

static struct chance *chance(void)
{
	return &world_sim.people;
}

struct release *release_find(const char *name)
{
	for (unsigned i = 0; i < world_sim.n_releases; i++)
		if (strcmp(world_sim.releases[i].name, name) == 0)
			return &world_sim.releases[i];
	return NULL;
}

const struct rollout *people_rollout(const struct release *r)
{
	return state_rollout(control_state(&deployment()->server), r->name);
}

/* ---- plans ---- */

#define HOURS(n) ((n)*SIM_HOUR_MS)

static const Pb__PlanSpec *draw_plan(struct test_plan *p)
{
	static const struct plan_stage inner[] = { { RING_CORE, 1000000, 0 },
		{ RING_HONOUR, 500000, 0 }, { RING_DEV, 1000000, 0 }, { RING_STABLE, 1000000, 0 } };
	static const struct plan_stage slow[] = { { RING_STABLE, 50000, 0 },
		{ RING_STABLE, 250000, 0 }, { RING_STABLE, 1000000, 0 } };
	static const struct plan_stage both[] = { { RING_DEV, 500000, 0 },
		{ RING_STABLE, 100000, 0 }, { RING_STABLE, 500000, 0 },
		{ RING_STABLE, 1000000, 0 } };
	static const struct {
		const struct plan_stage *stages;
		size_t n;
	} ladders[] = { { inner, 4 }, { slow, 3 }, { both, 4 } };
	size_t i = chance_below(chance(), 3);
	uint64_t soak_ms = HOURS(chance_within(chance(), 8, 40));
	Pb__PlanSpec *spec;

	(void)plan_of(p, ladders[i].stages, ladders[i].n, soak_ms,
		chance_hit(chance(), 300000) ? 10000 : 0);
	spec = &p->spec;
	spec->batch_ms = SIM_HOUR_MS;
	for (size_t k = 0; k < spec->n_stages; k++)
		spec->stages[k]->max_soak_ms = HOURS(24 * 12);
	return spec;
}

/* ---- what they do ---- */

static unsigned first_approver(void)
{
	return strcmp(deployment()->root->root->profile, "maker") == 0;
}

static unsigned approvers(void)
{
	return control_state(&deployment()->server)->root->approver->threshold;
}

static struct release *newest(void)
{
	return world_sim.n_releases == 0 ? NULL : &world_sim.releases[world_sim.n_releases - 1];
}

static void make_release(enum kind kind)
{
	struct release *r = &world_sim.releases[world_sim.n_releases];

	*r = (struct release){ .kind = kind, .version = 1 };
	r->counter = ++world_sim.n_releases;
	(void)snprintf(r->name, sizeof(r->name), "1.%u", world_sim.n_releases);
	for (unsigned i = 0; i < PRODUCTS; i++)
		(void)snprintf(r->content[i], sizeof(r->content[i]),
			"build %u of %s, whatever that is", world_sim.n_releases,
			people_products[i]);
}

static int publish_release(struct release *r)
{
	struct act a = { .f = act_publish, .release = r };
	int err = act_command(&a);

	/* Half of it may be there: it is published again, which must do no harm. */
	if (err == 0)
		r->published = true;
	else if (err == ACT_DIED || err != ERR_CLOCK)
		r->version++;
	return err;
}

static int propose(struct release *r)
{
	struct test_plan plan;
	struct act a = { .f = act_propose, .release = r, .spec = draw_plan(&plan) };
	int err = act_command(&a);

	r->proposed = err == 0 || err == ERR_EXISTS;
	r->approvals = 0;
	return err;
}

static int approve(struct release *r, unsigned who)
{
	struct act a = { .f = act_approve, .release = r, .who = who };
	int err;

	/* It may count though nobody hears of it. */
	r->approvals++;
	err = act_command(&a);
	if (err != 0 && err != ACT_DIED)
		r->approvals--;
	return err;
}

static int act_on(struct release *r, Pb__Act act)
{
	struct act a = { .f = act_rollout, .release = r, .act = act };
	bool was_started = r->started;
	int err;

	if (act == PB__ACT__ACT_START)
		r->started = true;
	err = act_command(&a);
	if (err != 0 && err != ACT_DIED && act == PB__ACT__ACT_START)
		r->started = was_started;
	/* From now on nobody who asked since may install it. */
	if (err == 0 && act == PB__ACT__ACT_HALT) {
		r->halted_ms = world_sim.now_ms;
		r->was_halted = true;
		r->approvals = 0;
		judge_server();
	}
	return err;
}

/* The next step of the newest release's life. */
static void push(struct release *r)
{
	const struct rollout *o = people_rollout(r);

	if (!r->published)
		(void)publish_release(r);
	else if (o == NULL)
		(void)propose(r);
	else if (rollout_is_pending(o, deployment()->now_ms) && o->state == ROLLOUT_PROPOSED)
		for (unsigned i = 0; world_sim.host.up && i < approvers(); i++)
			(void)approve(r, first_approver() + i);
	else if (o->state == ROLLOUT_APPROVED)
		(void)act_on(r, PB__ACT__ACT_START);
}

static void resume(struct release *r)
{
	for (unsigned i = 0; world_sim.host.up && i < approvers(); i++)
		(void)approve(r, first_approver() + i);
}

static struct release *any_release(void)
{
	return &world_sim.releases[chance_below(chance(), world_sim.n_releases)];
}

static void mistake(void)
{
	struct release *r = any_release();
	struct act a = { .release = r };

	world_sim.faults[FAULT_MISTAKE]++;
	switch (chance_below(chance(), 5)) {
	case 0: /* the same person twice, or one who may not */
		(void)approve(r, first_approver());
		break;
	case 1:
		(void)act_on(r, PB__ACT__ACT_START);
		break;
	case 2:
		(void)propose(r);
		break;
	case 3:
		a.f = act_replay;
		(void)act_command(&a);
		break;
	default:
		a.f = act_seat;
		a.who = (unsigned)chance_below(chance(), world_sim.n_phones);
		(void)act_command(&a);
		break;
	}
}

static void renew(void)
{
	struct release *r = any_release();
	const struct rollout *o = people_rollout(r);

	if (o == NULL || !r->published)
		return;
	r->version++;
	(void)publish_release(r);
	if (world_sim.host.up)
		resume(r);
}

static enum kind draw_kind(void)
{
	uint64_t x = chance_below(chance(), 100);

	return x < 60    ? KIND_GOOD
		: x < 70 ? KIND_CRASHES
		: x < 82 ? KIND_BRICKS
		: x < 90 ? KIND_SILENT
			 : KIND_SLOW;
}

static bool is_settled(const struct release *r)
{
	const struct rollout *o = r == NULL ? NULL : people_rollout(r);

	return r == NULL ||
		(o != NULL &&
			(o->state == ROLLOUT_COMPLETE || o->state == ROLLOUT_HALTED ||
				o->state == ROLLOUT_SUPERSEDED));
}

static void confirm_clock(void)
{
	struct act a = { .f = act_confirm };

	if (!world_sim.host.clock_is_wrong)
		(void)act_command(&a);
}

void people_act(void)
{
	struct release *r = newest();
	struct chance *c = chance();
	uint64_t x = chance_below(c, 1000);
	struct act a = { .release = r };

	if (!world_sim.host.up)
		return;
	if (x < 40)
		confirm_clock();
	else if (x < 60 && r != NULL)
		mistake();
	else if (x < 66 && r != NULL)
		renew();
	else if (x < 72) {
		a.f = act_rotate;
		(void)act_command(&a);
	} else if (x < 90 && r != NULL)
		(void)act_on(any_release(), PB__ACT__ACT_PAUSE);
	else if (x < 100 && r != NULL)
		(void)act_on(any_release(), PB__ACT__ACT_HALT);
	else if (x < 110 && r != NULL)
		resume(any_release());
	else if (world_sim.n_releases < RELEASES - 2 &&
		(is_settled(r) ? chance_hit(c, 300000) : chance_hit(c, 4000)))
		make_release(draw_kind());
	else if (r != NULL && people_rollout(r) != NULL &&
		people_rollout(r)->state == ROLLOUT_PAUSED && r->kind == KIND_GOOD)
		resume(r);
	else if (r != NULL)
		push(r);
}

/* ---- the end ---- */

static const Pb__PlanSpec *last_plan(struct test_plan *p)
{
	static const struct plan_stage all[] = { { RING_STABLE, 1000000, 0 } };

	(void)plan_of(p, all, 1, SIM_HOUR_MS, 0);
	return &p->spec;
}

/* True when it has begun; called again until then. */
bool people_finish(void)
{
	struct release *r = newest();
	const struct rollout *o;
	struct test_plan plan;
	struct act a = { .f = act_propose, .release = r, .spec = last_plan(&plan) };

	if (r == NULL || strcmp(r->content[0], "the last") != 0) {
		make_release(KIND_GOOD);
		r = newest();
		(void)snprintf(r->content[0], sizeof(r->content[0]), "the last");
		confirm_clock();
	}
	o = people_rollout(r);
	if (r->published && o == NULL)
		return act_command(&a), false;
	push(r);
	o = people_rollout(r);
	return o != NULL && (o->state == ROLLOUT_RUNNING || o->state == ROLLOUT_COMPLETE);
}
