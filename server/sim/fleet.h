/* SPDX-License-Identifier: Apache-2.0 */
/* How many phones lie in which buckets of which ring. */
#pragma once

#include "server/core/plan.h"
#include "server/sim/book.h"

/* Seats of 100, 1 000 and 100 000 in the rings the plan names; the outermost has what is left. */
void fleet_seats(const Pb__PlanSpec *spec, uint32_t phones, uint32_t ring[SIM_RINGS]);

struct fleet {
	const struct plan_step *step;
	size_t n;
	uint32_t phones[LADDER_STEPS_MAX][2]; /* of each step; [0] the model the fault concerns */
	uint32_t beyond[SIM_RINGS][2];        /* no step opens them */
};

void fleet_init(struct fleet *f, struct chance *r, const struct sim_world *w,
	const struct plan_step *step, size_t n);
/* Canary and control groups of a step; returns how many sides. */
uint32_t fleet_sides(const struct fleet *f, struct chance *r, uint32_t step, uint32_t model,
	uint32_t phones[BOOK_SIDES]);
