/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/outlook.h"

#include <math.h>

#include "server/core/gate.h"

#define DAY_MS 86400000.0

static double gain(double tolerance)
{
	return tolerance - 1 - log(tolerance);
}

double outlook_events(double tolerance)
{
	return -log(GATE_BETA) / gain(tolerance);
}

static uint64_t whole_ms(double ms)
{
	return ms < 9e15 ? (uint64_t)ms : UINT64_MAX;
}

struct outlook outlook_of(const struct outlook_facts *f)
{
	double a_day = f->baseline_per_day * f->devices;
	double evidence_ms = 0;
	uint64_t soak_ms = f->soak_ms > f->age_ms ? f->soak_ms - f->age_ms : 0;
	struct outlook o = { 0 };

	if (f->tolerance > 1 && f->shown < f->needed)
		evidence_ms = (f->needed - f->shown) / gain(f->tolerance) / a_day * DAY_MS;
	o.verdict_ms = whole_ms(evidence_ms);
	if (o.verdict_ms < soak_ms)
		o.verdict_ms = soak_ms;
	if (f->max_soak_ms == 0)
		return o;
	o.crashes = a_day * (double)f->max_soak_ms / DAY_MS;
	o.blind = o.crashes < OUTLOOK_TWICE;
	o.too_late = f->age_ms > f->max_soak_ms || o.verdict_ms > f->max_soak_ms - f->age_ms;
	return o;
}
