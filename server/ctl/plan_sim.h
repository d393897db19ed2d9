/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan makes of good and bad builds, on phones that are made up. */
#pragma once

#include "server/sim/rollout.h"

enum plan_build {
#define BUILD_CASE(id, ...) PLAN_BUILD_##id,
#include "server/ctl/plan_sim.def"
#undef BUILD_CASE
	PLAN_BUILD__COUNT
};

/* Medians are over the runs that have one; below 0: none has. */
struct plan_outcome {
	/* Runs: halted in the end, else paused, else stopped where a stage could not decide. */
	uint32_t halted, paused, asked;
	int stage;     /* in which the median run was stopped; below 0: most were not */
	double stop_h; /* after the start */
	double hurt;   /* phones, until it was stopped */
	double done_h; /* until the last stage had passed */
};

struct plan_sim {
	const Pb__PlanSpec *spec;
	uint32_t fleet, runs;
	double crash; /* share of phones that crash on a day, by themselves */
	struct plan_step step[LADDER_STEPS_MAX];
	size_t n_steps;
	struct plan_outcome of[PLAN_BUILD__COUNT];
};

const char *plan_build_name(enum plan_build build);
const char *plan_build_what(enum plan_build build);
/* Runs all of them, on two threads; fills in what is behind `crash`. */
void plan_sim_run(struct plan_sim *s);
/* A build that crashes twice as often is stopped clearly more often than a good one. */
bool plan_sim_tells(const struct plan_sim *s);
