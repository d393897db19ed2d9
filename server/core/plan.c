/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/plan.h"

#include <assert.h>
#include <stdbool.h>

#include "proto/bucket.h"

#define RINGS 4u

static_assert(PLAN_STAGES_MAX + RINGS - 1 <= LADDER_STEPS_MAX, "every plan has its steps");

static const struct {
	const char *key, *sentence;
} text[PLAN_FAULT__COUNT] = {
	[PLAN_OK] = { "", "is fine" },
#define FAULT(name, key, sentence) [PLAN_##name] = { key, sentence },
#include "server/core/plan.def"
#undef FAULT
};

const char *plan_fault_key(enum plan_fault fault)
{
	assert(fault < PLAN_FAULT__COUNT);
	return text[fault].key;
}

const char *plan_fault_str(enum plan_fault fault)
{
	assert(fault < PLAN_FAULT__COUNT);
	return text[fault].sentence;
}

/* How far a ring opens before its holdback; the core has none. */
static uint32_t full(const Pb__PlanSpec *spec, uint32_t ring)
{
	return ring == PB__RING__RING_CORE ? PPM : PPM - spec->holdback_ppm;
}

static uint32_t upper_of(const Pb__PlanSpec *spec, size_t i)
{
	uint32_t most = full(spec, spec->stages[i]->ring);

	return spec->stages[i]->share_ppm < most ? spec->stages[i]->share_ppm : most;
}

static uint32_t lower_of(const Pb__PlanSpec *spec, size_t i)
{
	bool first = i == 0 || spec->stages[i - 1]->ring != spec->stages[i]->ring;

	return first ? 0 : upper_of(spec, i - 1);
}

static bool bad_name(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->name[0] == '\0';
}

static bool bad_line(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->line[0] == '\0';
}

static bool bad_no_stage(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->n_stages == 0;
}

static bool bad_stages(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->n_stages > PLAN_STAGES_MAX;
}

static bool bad_fixes(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->n_fixes > PLAN_FIXES_MAX;
}

static bool bad_batch(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->batch_ms == 0;
}

static bool bad_holdback(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->holdback_ppm > PPM / 2;
}

/* Bounded, so that no sum of them can wrap and open a step at once. */
static bool too_long(uint64_t ms)
{
	return ms > PLAN_LIFE_S * 1000;
}

static bool bad_long(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return too_long(spec->settle_ms) || too_long(spec->watch_ms) || too_long(spec->batch_ms) ||
		too_long(spec->restart_ms);
}

static bool bad_watch(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->watch_ms == 0 && spec->holdback_ppm > 0;
}

static bool bad_restart(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->restart_ms < spec->batch_ms;
}

static bool bad_s1(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->s1_ms == 0;
}

static bool bad_silence(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->silence_ms == 0;
}

static bool bad_polls(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->silence_polls == 0 || spec->silence_polls > PLAN_POLLS_MAX;
}

/* Who was heard of is remembered for twelve days, poll intervals and all. */
#define HEARD_MAX_MS (7 * 86400000ull)

static bool bad_silence_long(const Pb__PlanSpec *spec, size_t i)
{
	(void)i;
	return spec->s1_ms > HEARD_MAX_MS || spec->silence_ms > HEARD_MAX_MS;
}

static bool bad_ring(const Pb__PlanSpec *spec, size_t i)
{
	return (uint32_t)spec->stages[i]->ring >= RINGS;
}

static bool bad_ring_order(const Pb__PlanSpec *spec, size_t i)
{
	return i > 0 && spec->stages[i]->ring < spec->stages[i - 1]->ring;
}

static bool bad_ring_stages(const Pb__PlanSpec *spec, size_t i)
{
	return i >= PLAN_RING_STAGES_MAX &&
		spec->stages[i - PLAN_RING_STAGES_MAX]->ring == spec->stages[i]->ring;
}

static bool is_share(uint32_t ppm)
{
	return ppm > 0 && ppm <= PPM;
}

static bool bad_share(const Pb__PlanSpec *spec, size_t i)
{
	return !is_share(spec->stages[i]->share_ppm);
}

static bool bad_share_order(const Pb__PlanSpec *spec, size_t i)
{
	return upper_of(spec, i) <= lower_of(spec, i);
}

static bool bad_devices(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->has_devices && spec->stages[i]->devices == 0;
}

static bool bad_max_soak(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->max_soak_ms == 0;
}

static bool bad_no_soak(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->soak_ms == 0;
}

static bool bad_soak(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->soak_ms > spec->stages[i]->max_soak_ms;
}

static bool bad_soak_long(const Pb__PlanSpec *spec, size_t i)
{
	return too_long(spec->stages[i]->max_soak_ms);
}

static bool bad_tolerance(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->tolerance_ppm > 0 && spec->stages[i]->tolerance_ppm <= PPM;
}

static bool bad_no_control(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->tolerance_ppm > 0 && upper_of(spec, i) == PPM;
}

static bool bad_small_control(const Pb__PlanSpec *spec, size_t i)
{
	uint32_t upper = upper_of(spec, i);

	return spec->stages[i]->tolerance_ppm > 0 && PPM - upper < upper - lower_of(spec, i);
}

static bool bad_no_reports(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->tolerance_ppm > 0 && spec->no_crash_reports;
}

static bool bad_settling(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->tolerance_ppm > 0 &&
		spec->settle_ms >= spec->stages[i]->max_soak_ms;
}

static bool bad_limit_boot(const Pb__PlanSpec *spec, size_t i)
{
	return !is_share(spec->stages[i]->boot_ppm);
}

static bool bad_limit_install(const Pb__PlanSpec *spec, size_t i)
{
	return !is_share(spec->stages[i]->install_ppm);
}

static bool bad_limit_rollback(const Pb__PlanSpec *spec, size_t i)
{
	return !is_share(spec->stages[i]->rollback_ppm);
}

static bool bad_limit_s1(const Pb__PlanSpec *spec, size_t i)
{
	return !is_share(spec->stages[i]->s1_ppm);
}

static uint64_t budget_of(const Pb__PlanSpec *spec, size_t n_stages)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n_stages; i++)
		sum += spec->stages[i]->has_budget_ppm ? spec->stages[i]->budget_ppm : 0;
	return sum;
}

static bool bad_budget(const Pb__PlanSpec *spec, size_t i)
{
	return spec->stages[i]->has_budget_ppm &&
		(spec->stages[i]->budget_ppm == 0 || budget_of(spec, i + 1) > PPM);
}

static bool bad_budget_rest(const Pb__PlanSpec *spec, size_t i)
{
	return !spec->stages[i]->has_budget_ppm && budget_of(spec, spec->n_stages) >= PPM;
}

struct rule {
	enum plan_fault fault;
	bool (*broken)(const Pb__PlanSpec *spec, size_t stage);
};

/* In order: a rule may rely on those before it. */
static const struct rule plan_rules[] = {
	{ PLAN_NAME, bad_name },
	{ PLAN_LINE, bad_line },
	{ PLAN_NO_STAGE, bad_no_stage },
	{ PLAN_STAGES, bad_stages },
	{ PLAN_FIXES, bad_fixes },
	{ PLAN_BATCH, bad_batch },
	{ PLAN_HOLDBACK, bad_holdback },
	{ PLAN_LONG, bad_long },
	{ PLAN_WATCH, bad_watch },
	{ PLAN_RESTART, bad_restart },
	{ PLAN_S1, bad_s1 },
	{ PLAN_SILENCE, bad_silence },
	{ PLAN_POLLS, bad_polls },
	{ PLAN_SILENCE_LONG, bad_silence_long },
};

static const struct rule stage_rules[] = {
	{ PLAN_RING, bad_ring },
	{ PLAN_RING_ORDER, bad_ring_order },
	{ PLAN_RING_STAGES, bad_ring_stages },
	{ PLAN_SHARE, bad_share },
	{ PLAN_SHARE_ORDER, bad_share_order },
	{ PLAN_DEVICES, bad_devices },
	{ PLAN_MAX_SOAK, bad_max_soak },
	{ PLAN_NO_SOAK, bad_no_soak },
	{ PLAN_SOAK, bad_soak },
	{ PLAN_SOAK_LONG, bad_soak_long },
	{ PLAN_TOLERANCE, bad_tolerance },
	{ PLAN_NO_CONTROL, bad_no_control },
	{ PLAN_SMALL_CONTROL, bad_small_control },
	{ PLAN_NO_REPORTS, bad_no_reports },
	{ PLAN_SETTLING, bad_settling },
	{ PLAN_LIMIT_BOOT, bad_limit_boot },
	{ PLAN_LIMIT_INSTALL, bad_limit_install },
	{ PLAN_LIMIT_ROLLBACK, bad_limit_rollback },
	{ PLAN_LIMIT_S1, bad_limit_s1 },
	{ PLAN_BUDGET, bad_budget },
	{ PLAN_BUDGET_REST, bad_budget_rest },
};

static enum plan_fault first_fault(
	const struct rule *rule, size_t n, const Pb__PlanSpec *spec, size_t stage)
{
	for (size_t i = 0; i < n; i++)
		if (rule[i].broken(spec, stage))
			return rule[i].fault;
	return PLAN_OK;
}

int plan_check(const Pb__PlanSpec *spec, struct plan_error *e)
{
	e->stage = -1;
	e->fault = first_fault(plan_rules, sizeof(plan_rules) / sizeof(plan_rules[0]), spec, 0);
	for (size_t i = 0; e->fault == PLAN_OK && i < spec->n_stages; i++) {
		e->stage = (int)i;
		e->fault = first_fault(
			stage_rules, sizeof(stage_rules) / sizeof(stage_rules[0]), spec, i);
	}
	return e->fault == PLAN_OK ? 0 : ERR_BAD_PLAN;
}

void plan_steps(const Pb__PlanSpec *spec, uint64_t proposed_at_s,
	struct plan_step out[LADDER_STEPS_MAX], size_t *n)
{
	uint32_t opened[RINGS] = { 0 };
	uint64_t soaked_ms = 0;

	assert(spec->n_stages <= PLAN_STAGES_MAX);
	*n = 0;
	for (size_t i = 0; i < spec->n_stages; i++) {
		uint32_t ring = spec->stages[i]->ring;
		out[(*n)++] = (struct plan_step){ ring, lower_of(spec, i), upper_of(spec, i),
			proposed_at_s + soaked_ms / 1000, (int)i };
		opened[ring] = upper_of(spec, i);
		soaked_ms += spec->stages[i]->soak_ms;
	}
	soaked_ms += spec->watch_ms;
	for (uint32_t ring = 0; ring < RINGS; ring++) {
		if (opened[ring] == PPM || opened[ring] != full(spec, ring))
			continue;
		out[(*n)++] = (struct plan_step){ ring, opened[ring], PPM,
			proposed_at_s + soaked_ms / 1000, -1 };
	}
}

#define CONTROL_TIMES 99u

uint32_t plan_control_from(const struct plan_step *step)
{
	uint64_t most = (uint64_t)(step->upper - step->lower) * CONTROL_TIMES;

	return most < PPM - step->upper ? PPM - (uint32_t)most : step->upper;
}
