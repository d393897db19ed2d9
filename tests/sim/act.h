/* SPDX-License-Identifier: Apache-2.0 */
/* A person's command. */
#pragma once

#include "tests/sim/sim.h"

struct act {
	int (*f)(struct act *a);
	struct release *release;
	unsigned who;
	Pb__Act act;
	const Pb__PlanSpec *spec;
	int err;
};

extern const char *const people_products[PRODUCTS];
/* Its newest rollout; NULL when there is none. */
const struct rollout *people_rollout(const struct release *r);

/* 0, ACT_DIED, or what the server said. */
#define ACT_DIED 1
int act_command(struct act *a);

/* For act->f. */
int act_publish(struct act *a);
int act_propose(struct act *a);
int act_approve(struct act *a);
int act_rollout(struct act *a); /* start, pause, halt */
int act_confirm(struct act *a); /* the clock */
int act_rotate(struct act *a);
/* A command that was taken once, or came too late, or makes no sense. */
int act_replay(struct act *a);
int act_seat(struct act *a); /* of the phone numbered `who`: given, or taken away */
