/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build's capital: what all stages of a rollout say together.  K = sum of budget * E over the
 * stages, one that has not begun has E = 1: suspicion carries over, innocence costs a stage its own
 * share and no more.
 */
#pragma once

#include "server/core/gate.h"
#include "server/core/plan.h"

/* All closed rows of a rollout; { 0 } at its start.  About half a megabyte. */
struct capital {
	uint64_t forgot_ms; /* of the last resume that was taken in */
	struct gate_stage stage[LADDER_STEPS_MAX];
};

/* What the plan says of the gate of one of its plan_steps(). */
struct gate_rules capital_rules(const Pb__PlanSpec *spec, const struct plan_step *step);

/* Natural log of K; `rules` of each of the n steps. */
double capital_log(const struct capital *c, const struct gate_rules *rules, size_t n);
/* The same from gate_stage_log() of each, for who keeps them: a stage without new rows has not moved. */
double capital_sum(const double *log_e, const struct gate_rules *rules, size_t n);
/*
 * People looked at what was there and resumed the build (0: never): K starts anew, once.  To be called
 * before the first row that closed later is added, and before K is asked for.
 */
void capital_resumed(struct capital *c, size_t n, uint64_t resumed_ms);
