/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/timing.h"

#include <assert.h>
#include <math.h>

#include "server/base/mem.h"
#include "server/sim/rollout.h"

/* Of a plan that does not say. */
#define S1_MS      (6 * 3600000ull)
#define SILENCE_MS (2 * 3600000ull)
#define POLLS      3u

#define RETURN_H 72.0 /* after which nobody installs any more */

static uint32_t looks(double hours, double look_h)
{
	double n = ceil(hours / look_h - 1e-9);

	return n > 1 ? (uint32_t)n : 1;
}

static void clock_init(struct book_clock *c, const struct sim_setup *s)
{
	const Pb__PlanSpec *spec = s->spec;
	const struct sim_world *w = &s->world;
	double h = (double)s->look_ms / 3600000;
	double silence_h = (double)(spec->silence_ms ? spec->silence_ms : SILENCE_MS) / 3600000;
	uint32_t polls = spec->silence_polls ? spec->silence_polls : POLLS;
	double fault_h = fmax(w->from_h, isinf(w->until_h) ? 0 : w->until_h);
	uint32_t ahead;

	assert(s->look_ms > 0);
	c->look_ms = s->look_ms;
	c->look_h = h;
	c->settle_ms = spec->settle_ms;
	c->poll = looks(w->poll_h, h);
	c->milestone = looks(silence_h + polls * w->poll_h, h);
	c->again = looks(polls * w->poll_h, h);
	c->s1 = looks((double)(spec->s1_ms ? spec->s1_ms : S1_MS) / 3600000, h);
	c->span = looks(SIM_DELAYS + 1 +
			fmax(fault_h, fmax(w->settle_h, (double)spec->settle_ms * 9 / 8 / 3600000)),
		h);
	ahead = c->milestone + 2 * c->again + c->s1 + looks(fault_h + RETURN_H, h);
	for (c->horizon = 1; c->horizon <= ahead;)
		c->horizon *= 2;
}

/* Phones of one pool took the build at different hours: averages over them. */
static void effect_at(struct timing *t, const struct sim_world *w, uint32_t age)
{
	double took = 0, ratio[2] = { 1, 1 }, acting = 0, h = age * t->clock.look_h;

	for (unsigned d = 0; d < SIM_DELAYS; d++) {
		double on = h - (d + .5), share = w->delay[d] * (1 - w->away);
		if (on < 0)
			continue;
		took += share;
		for (unsigned k = 0; k < 2; k++)
			ratio[k] += share * (sim_crash_ratio(w, k == 1, on) - 1);
		acting += sim_acts(w, on) ? share : 0;
	}
	for (unsigned k = 0; k < 2; k++)
		t->effect.ratio[k][age] = ratio[k];
	t->effect.acting[age] = acting;
	t->effect.told[age] = 1 - took * w->mute;
}

void timing_init(struct timing *t, const struct sim_setup *setup)
{
	size_t ages;

	clock_init(&t->clock, setup);
	t->most = looks(180 * 24, t->clock.look_h);
	ages = t->clock.span + 1;
	t->effect.ratio[0] = mem_alloc(ages * sizeof(double));
	t->effect.ratio[1] = mem_alloc(ages * sizeof(double));
	t->effect.acting = mem_alloc(ages * sizeof(double));
	t->effect.told = mem_alloc(ages * sizeof(double));
	for (uint32_t age = 0; age < ages; age++)
		effect_at(t, &setup->world, age);
}

void timing_release(struct timing *t)
{
	free(t->effect.ratio[0]);
	free(t->effect.ratio[1]);
	free(t->effect.acting);
	free(t->effect.told);
}
