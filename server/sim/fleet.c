/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/fleet.h"

#include <assert.h>
#include <string.h>

#include "proto/bucket.h"

static const uint32_t seats[SIM_RINGS] = { 100, 1000, 100000, UINT32_MAX };

void fleet_seats(const Pb__PlanSpec *spec, uint32_t phones, uint32_t ring[SIM_RINGS])
{
	bool named[SIM_RINGS] = { false };
	uint32_t last = 0;

	for (size_t i = 0; i < spec->n_stages; i++) {
		last = (uint32_t)spec->stages[i]->ring;
		named[last] = true;
	}
	for (uint32_t i = 0; i < SIM_RINGS; i++) {
		uint32_t n = named[i] ? seats[i] : 0;
		ring[i] = n < phones ? n : phones;
		phones -= ring[i];
	}
}

static void deal_ring(
	struct fleet *f, struct chance *r, uint32_t ring, uint32_t phones, size_t model)
{
	double width[LADDER_STEPS_MAX + 1];
	uint32_t out[LADDER_STEPS_MAX + 1], upper = 0;
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->step[i].ring == ring) {
			width[n++] = f->step[i].upper - f->step[i].lower;
			upper = f->step[i].upper;
		}
	width[n] = PPM - upper;
	chance_deal(r, phones, width, n + (upper < PPM), out);
	f->beyond[ring][model] = upper < PPM ? out[n] : 0;
	for (size_t i = f->n, k = n; i-- > 0;)
		if (f->step[i].ring == ring)
			f->phones[i][model] = out[--k];
}

void fleet_init(struct fleet *f, struct chance *r, const struct sim_world *w,
	const struct plan_step *step, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->step = step;
	f->n = n;
	for (uint32_t ring = 0; ring < SIM_RINGS; ring++) {
		uint32_t faulty = chance_binomial(r, w->ring[ring], w->product);
		deal_ring(f, r, ring, faulty, 0);
		deal_ring(f, r, ring, w->ring[ring] - faulty, 1);
	}
}

/* Of the phones in [lower, upper), those from `from` on. */
static uint32_t above(
	struct chance *r, uint32_t phones, uint32_t lower, uint32_t upper, uint32_t from)
{
	if (from <= lower)
		return phones;
	return from >= upper ? 0
			     : chance_binomial(r, phones, (double)(upper - from) / (upper - lower));
}

uint32_t fleet_sides(const struct fleet *f, struct chance *r, uint32_t step, uint32_t model,
	uint32_t phones[BOOK_SIDES])
{
	const struct plan_step *at = &f->step[step];
	uint32_t from = plan_control_from(at), n = 0, upper = at->upper;

	phones[n++] = f->phones[step][model];
	for (size_t i = step + 1; i < f->n; i++) {
		const struct plan_step *s = &f->step[i];
		if (s->ring != at->ring)
			continue;
		assert(n < BOOK_SIDES);
		phones[n++] = above(r, f->phones[i][model], s->lower, s->upper, from);
		upper = s->upper;
	}
	if (upper < PPM && n < BOOK_SIDES)
		phones[n++] = above(r, f->beyond[at->ring][model], upper, PPM, from);
	return n;
}
