/* SPDX-License-Identifier: Apache-2.0 */
/* What people can do, one command at a time, in a server that may die of it. */
#include "tests/sim/act.h"

#include "server/service/control_private.h"

/* ---- one command at a time, in a server that may die of it ---- */

static struct deployment *deployment(void)
{
	return &world_sim.host.d;
}

static void run(void *arg)
{
	struct act *a = arg;

	deployment()->arena.used = 0;
	a->err = a->f(a);
}

int act_command(struct act *a)
{
	bool alive;

	if (!world_sim.host.up)
		return ACT_DIED;
	host_clock();
	a->err = ERR_NOT_FOUND;
	alive = host_do(run, a);
	if (!alive) {
		world_sim.host.halting = false;
		return ACT_DIED;
	}
	world_sim.commands += a->err == 0;
	world_sim.refused += a->err != 0;
	trace("command", (uint64_t)-a->err, a->release != NULL ? a->release->counter : 0);
	if (a->err == 0)
		judge_acked();
	judge_server();
	world_sim.host.halting = false;
	return a->err;
}

int act_publish(struct act *a)
{
	struct release *r = a->release;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < PRODUCTS; i++)
		err = deployment_publish_as(deployment(), people_products[i], r->name, r->counter,
			r->content[i], r->version);
	return err;
}

int act_propose(struct act *a)
{
	return deployment_propose(
		deployment(), a->release->name, people_products, PRODUCTS, a->spec);
}

int act_approve(struct act *a)
{
	return people_rollout(a->release) == NULL
		? ERR_NOT_FOUND
		: deployment_approve(deployment(), a->release->name, a->who);
}

int act_rollout(struct act *a)
{
	world_sim.host.halting = a->act == PB__ACT__ACT_HALT;
	return people_rollout(a->release) == NULL
		? ERR_NOT_FOUND
		: deployment_act(deployment(), a->release->name, a->act);
}

int act_confirm(struct act *a)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Confirm confirm = PB__CONFIRM__INIT;

	(void)a;
	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	m.confirm = &confirm;
	m.reason = "it is right";
	return world_do(deployment(), &m, 0, KEY_RELEASE);
}

int act_rotate(struct act *a)
{
	struct deployment *d = deployment();
	static struct world_root next;

	(void)a;
	world_root_next(d, &next);
	next.root.expires = d->now_ms / 1000 + 365 * 86400;
	return world_root_send(d, world_root_sign(d, world_root_wrap(d, &next)));
}

/* A command taken once, or one that somebody has changed. */
int act_replay(struct act *a)
{
	static uint8_t kept[65536];
	struct deployment *d = deployment();
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__RolloutAct pause = PB__ROLLOUT_ACT__INIT;
	struct bytes envelope;

	if (world_sim.old_command.n > 0 && chance_hit(&world_sim.people, 500000))
		return world_send(d, world_sim.old_command);
	pause.act = PB__ACT__ACT_PAUSE;
	pause.rollout_id = wire_data(a->release->name, ID_LEN);
	m.act = &pause;
	m.expires = chance_hit(&world_sim.people, 500000) ? d->now_ms / 1000 - 5 : 0;
	envelope = world_sign_as(d, world_command(d, &m), 0, KEY_RELEASE);
	if (envelope.n <= sizeof(kept)) {
		memcpy(kept, envelope.p, envelope.n);
		world_sim.old_command = bytes_of(kept, envelope.n);
	}
	return world_send(d, envelope);
}

int act_seat(struct act *a)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__SeatAct seat = PB__SEAT_ACT__INIT;
	const struct sim_phone *p = &world_sim.phones[a->who];
	ProtobufCBinaryData id = wire_data(p->id, ID_LEN);

	seat.product = p->product;
	seat.ring = (Pb__Ring)(p->inner < RING_STABLE ? p->inner : p->wish);
	seat.device_ids = &id;
	seat.n_device_ids = 1;
	seat.has_remove = 1;
	seat.remove = p->inner < RING_STABLE;
	m.seat = &seat;
	m.reason = "seat";
	return p->has_id ? world_do(deployment(), &m, 0, KEY_RELEASE) : ERR_NOT_FOUND;
}
