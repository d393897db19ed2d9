/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan with a date: so much of the outermost ring by then.  Only soak may be traded for it, and
 * only where the plan says so by name; tolerance, limits and the gate's line never are.  The plan
 * that people sign holds the soaks that came out, and nothing of this.
 */
#pragma once

#include <stdbool.h>

#include "server/core/plan.h"

#define DEADLINE_SOAK_MIN_MS 3600000ull /* no trade makes a soak shorter than this, or `settle` */

enum deadline_fault {
	DEADLINE_OK,
	DEADLINE_SHARE,      /* no stage opens so much of the outermost ring */
	DEADLINE_NO_TRADE,   /* the soaks before it take longer */
	DEADLINE_IMPOSSIBLE, /* they do at their shortest, too */
	DEADLINE_FAULT__COUNT
};

struct deadline {
	uint32_t share_ppm; /* of the outermost ring */
	uint64_t within_ms; /* of the proposal */
	bool trade_soak;
};

struct deadline_result {
	enum deadline_fault fault;
	size_t stages;    /* whose soaks come before the share is opened */
	uint64_t soak_ms; /* what they add up to, as written */
};

/*
 * Shortens the soaks of `spec`, a plan with stages, in the same proportion until they fit.  A soak
 * below the shortest one there may be stays as it is.  On any fault nothing is changed.
 */
struct deadline_result deadline_fit(Pb__PlanSpec *spec, const struct deadline *d);
