/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/capital.h"

#include <assert.h>

#include "proto/bucket.h"

/* Stages without a share of their own divide what is left in equal parts. */
static double budget_of(const Pb__PlanSpec *spec, size_t stage)
{
	double left = 1;
	size_t without = 0;

	for (size_t i = 0; i < spec->n_stages; i++) {
		if (spec->stages[i]->has_budget_ppm)
			left -= spec->stages[i]->budget_ppm / 1e6;
		else
			without++;
	}
	if (spec->stages[stage]->has_budget_ppm)
		return spec->stages[stage]->budget_ppm / 1e6;
	return left > 0 ? left / (double)without : 0;
}

/* A holdback opens under the limits of its ring's last stage, with no soak of its own. */
static size_t stage_of(const Pb__PlanSpec *spec, const struct plan_step *step)
{
	size_t found = 0;

	if (step->stage >= 0)
		return (size_t)step->stage;
	for (size_t i = 0; i < spec->n_stages; i++)
		if ((uint32_t)spec->stages[i]->ring == step->ring)
			found = i;
	return found;
}

struct gate_rules capital_rules(const Pb__PlanSpec *spec, const struct plan_step *step)
{
	size_t stage = stage_of(spec, step);
	const Pb__StageSpec *s = spec->stages[stage];
	bool holdback = step->stage < 0;

	return (struct gate_rules){
		.tolerance = holdback ? 0 : s->tolerance_ppm / 1e6,
		.limit = { [GATE_BOOT] = s->boot_ppm / 1e6,
			[GATE_INSTALL] = s->install_ppm / 1e6,
			[GATE_ROLLBACK] = s->rollback_ppm / 1e6,
			[GATE_S1] = s->s1_ppm / 1e6 },
		.budget = holdback ? 0 : budget_of(spec, stage),
		.soak_ms = holdback ? 0 : s->soak_ms,
		.max_soak_ms = s->max_soak_ms,
		.restart_ms = spec->restart_ms,
		.settles = spec->settle_ms > 0,
		.no_crash_reports = spec->has_no_crash_reports && spec->no_crash_reports,
		.canary = (step->upper - step->lower) / 1e6,
		.control = (PPM - plan_control_from(step)) / 1e6,
	};
}

double capital_sum(const double *log_e, const struct gate_rules *rules, size_t n)
{
	double budget[LADDER_STEPS_MAX];

	assert(n <= LADDER_STEPS_MAX);
	for (size_t i = 0; i < n; i++)
		budget[i] = rules[i].budget;
	return eproc_average_log(log_e, budget, n);
}

double capital_log(const struct capital *c, const struct gate_rules *rules, size_t n)
{
	double log_e[LADDER_STEPS_MAX], streams[GATE_STREAM__COUNT];

	assert(n <= LADDER_STEPS_MAX);
	for (size_t i = 0; i < n; i++)
		log_e[i] = gate_stage_log(&c->stage[i], &rules[i], streams);
	return capital_sum(log_e, rules, n);
}

void capital_resumed(struct capital *c, size_t n, uint64_t resumed_ms)
{
	if (c->forgot_ms == resumed_ms)
		return;
	for (size_t i = 0; i < n; i++)
		gate_forget(&c->stage[i]);
	c->forgot_ms = resumed_ms;
}
