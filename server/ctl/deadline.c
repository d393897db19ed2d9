/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/deadline.h"

#include "proto/bucket.h"

#define MINUTE_MS 60000ull

/* The first stage of the outermost ring that opens the share; n_stages when there is none. */
static size_t stage_at(const Pb__PlanSpec *spec, uint32_t share_ppm)
{
	Pb__Ring outer = spec->stages[spec->n_stages - 1]->ring;
	uint32_t most = outer == PB__RING__RING_CORE ? PPM : PPM - spec->holdback_ppm;

	for (size_t i = 0; i < spec->n_stages && share_ppm <= most; i++)
		if (spec->stages[i]->ring == outer && spec->stages[i]->share_ppm >= share_ppm)
			return i;
	return spec->n_stages;
}

static uint64_t shortest(const Pb__PlanSpec *spec, size_t i)
{
	uint64_t least =
		spec->settle_ms > DEADLINE_SOAK_MIN_MS ? spec->settle_ms : DEADLINE_SOAK_MIN_MS;

	return spec->stages[i]->soak_ms < least ? spec->stages[i]->soak_ms : least;
}

/* `part` thousandths of a soak, in whole minutes. */
static uint64_t scaled(const Pb__PlanSpec *spec, size_t i, uint64_t part)
{
	uint64_t least = shortest(spec, i), ms = spec->stages[i]->soak_ms * part / 1000;

	ms -= ms % MINUTE_MS;
	return ms > least ? ms : least;
}

static uint64_t sum(const Pb__PlanSpec *spec, size_t n, uint64_t part)
{
	uint64_t ms = 0;

	for (size_t i = 0; i < n; i++)
		ms += part == 1000 ? spec->stages[i]->soak_ms : scaled(spec, i, part);
	return ms;
}

struct deadline_result deadline_fit(Pb__PlanSpec *spec, const struct deadline *d)
{
	struct deadline_result r = { .stages = stage_at(spec, d->share_ppm) };
	uint64_t part = 1000;

	if (d->share_ppm == 0 || r.stages == spec->n_stages) {
		r.fault = DEADLINE_SHARE;
		return r;
	}
	r.soak_ms = sum(spec, r.stages, 1000);
	if (r.soak_ms <= d->within_ms)
		return r;
	if (!d->trade_soak)
		r.fault = DEADLINE_NO_TRADE;
	else if (sum(spec, r.stages, 0) > d->within_ms)
		r.fault = DEADLINE_IMPOSSIBLE;
	if (r.fault != DEADLINE_OK)
		return r;
	while (sum(spec, r.stages, part) > d->within_ms)
		part--;
	for (size_t i = 0; i < r.stages; i++)
		spec->stages[i]->soak_ms = scaled(spec, i, part);
	return r;
}
