/* SPDX-License-Identifier: Apache-2.0 */
/* Incidents as worlds, rolled out along the weekly plan and then the stable one. */
#pragma once

#include "server/sim/rollout.h"

enum incident {
#define INCIDENT(id, ...) INCIDENT_##id,
#include "tests/sim/incidents/incidents.def"
#undef INCIDENT
	INCIDENT__COUNT
};

struct incident_end {
	bool stopped;
	unsigned plan;            /* 0: weekly, 1: stable */
	struct sim_result result; /* of the plan that stopped it, or of the last */
	uint32_t hurt;            /* phones, in both, until it was stopped */
};

const char *incident_name(enum incident i);
const char *incident_story(enum incident i);
bool incident_should_stop(enum incident i);
struct incident_end incident_run(
	enum incident i, const Pb__PlanSpec *weekly, const Pb__PlanSpec *stable, uint64_t seed);
