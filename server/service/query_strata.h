/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of one rollout, read once more for people: by product, by component, in days. */
#pragma once

#include "server/service/query.h"

struct part;

struct reading {
	struct query *q;
	const struct rollout *r;
	struct part **parts; /* by step and build; NULL: nothing yet */
	uint64_t last_ms[LADDER_STEPS_MAX];
	double control_days[LADDER_STEPS_MAX]; /* device-days of control */
};

/* Reads all rows; close it in any case. */
WARN_UNUSED int reading_open(struct reading *x);
void reading_close(struct reading *x);
/* What each product and component of a stage says alone, worst first. */
void strata_add(struct reading *x, size_t step, Pb__GateStage *v);
