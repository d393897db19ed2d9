/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the ladder as people write it (PlanSpec) to the steps they sign.  Server and CLI
 * both compute it, so an approver signs what this says and not what a server claims.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/admin.pb-c.h"
#include "proto/err.h"
#include "proto/ladder.h"

#define PLAN_STAGES_MAX      24u
#define PLAN_RING_STAGES_MAX 6u
#define PLAN_FIXES_MAX       16u
#define PLAN_POLLS_MAX       100u
#define PLAN_LIFE_S          (180ull * 86400) /* a signed plan expires this long after it was made */

enum plan_fault {
	PLAN_OK,
#define FAULT(name, key, sentence) PLAN_##name,
#include "server/core/plan.def"
#undef FAULT
	PLAN_FAULT__COUNT
};

struct plan_error {
	enum plan_fault fault;
	int stage; /* from 0; -1: the plan as a whole */
};

/* The key of the YAML it is about, and what is wrong with it. */
const char *plan_fault_key(enum plan_fault fault);
const char *plan_fault_str(enum plan_fault fault);

/* 0, or ERR_BAD_PLAN with the first fault.  Any message that unpacked may be given. */
WARN_UNUSED int plan_check(const Pb__PlanSpec *spec, struct plan_error *e);

struct plan_step {
	uint32_t ring;
	uint32_t lower, upper; /* buckets, ppm of the ring */
	uint64_t not_before_s; /* unix seconds */
	int stage;             /* from 0; -1: a holdback is opened */
};

/* Where the step's control begins: as large as it can be, up to 99 times the canary, from the top. */
uint32_t plan_control_from(const struct plan_step *step);

/*
 * The steps of a plan that plan_check() passed: its stages in order, then the holdback
 * of each ring that is opened as far as it.  A step opens after the soaks of the stages
 * before it; a holdback after the last soak and the watch.
 */
void plan_steps(const Pb__PlanSpec *spec, uint64_t proposed_at_s,
	struct plan_step out[LADDER_STEPS_MAX], size_t *n);
