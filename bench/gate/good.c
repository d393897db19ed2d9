/* SPDX-License-Identifier: Apache-2.0 */
/* Good builds: how many are stopped for nothing, how long they take; and what slow start costs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gate/figure.h"
#include "bench/gate/rollouts.h"

static double done_h(const struct sim_result *r)
{
	return r->done_h > 0 ? r->done_h : NAN;
}

static unsigned undecided(const struct sim_result *r, unsigned n)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += r[i].undecided > 0;
	return hits;
}

/*
 * A build that triples crashes for six hours after its install.  `settle` runs from the offer, so a
 * plan has to leave time for the installs too: with 6 h it does not, and that is shown, not asked.
 */
static void stirred(const char *name, const Pb__PlanSpec *plan, unsigned settle_h, unsigned runs)
{
	Pb__PlanSpec spec = *plan;
	struct sim_setup s = sim_setup(&spec, FLEET);
	struct sim_result *r;
	char halt[64], pause[64];

	(void)snprintf(halt, sizeof(halt), "%s_halted", name);
	(void)snprintf(pause, sizeof(pause), "%s_paused", name);
	spec.settle_ms = settle_h * 3600000ull;
	s.world.settle_ratio = 3;
	r = runs_of(&s, runs);
	if (settle_h >= 12)
		figure_share_at_most(halt, runs_halted(r, runs), runs, 1);
	else
		figure_share_shown(halt, runs_halted(r, runs), runs);
	figure_share_shown(pause, runs_paused(r, runs), runs);
	free(r);
}

/* One that differs in nothing, and one that stirs things up at first as any build may. */
void bench_good(unsigned runs)
{
	struct planfile *plan = plan_read("six");
	struct sim_setup s = sim_setup(planfile_spec(plan), FLEET);
	struct sim_result *r = runs_of(&s, runs);
	unsigned settle = runs / 5;

	figure_share_at_most("T3_good_build_halted", runs_halted(r, runs), runs, 1);
	figure_share_at_most("T3_good_build_paused", runs_paused(r, runs), runs, 2);
	figure_share_shown("T3_good_build_undecided", undecided(r, runs), runs);
	figure_shown("T3_good_build_takes", runs_median(r, runs, done_h), "h");
	free(r);
	stirred("T3_stirred_settle_12h", planfile_spec(plan), 12, settle);
	stirred("T3_stirred_settle_6h", planfile_spec(plan), 6, settle);
	planfile_free(plan);
}

static double bricked(const struct sim_result *r)
{
	return r->hurt.bricked;
}

static double offered_h(const struct sim_result *r)
{
	return r->steps_passed > 0 ? r->offered_h[0] : NAN;
}

static double most(const struct sim_result *r, unsigned n)
{
	double max = 0;

	for (unsigned i = 0; i < n; i++)
		max = fmax(max, r[i].hurt.bricked);
	return max;
}

static void bricks(const struct sim_setup *good, unsigned runs, double share, const char *name)
{
	struct sim_setup s = *good;
	struct sim_result *r;
	char stopped[64];

	s.world.brick = share;
	s.person_h = s.tolerance_h = INFINITY;
	r = runs_of(&s, runs);
	if (share >= 1)
		figure_at_most(name, most(r, runs), "phones at most", 20);
	else if (share == .05)
		figure_at_most(name, runs_median(r, runs, bricked), "phones", 100);
	else
		figure_shown(name, runs_median(r, runs, bricked), "phones");
	(void)snprintf(stopped, sizeof(stopped), "%s_stopped", name);
	figure_share_shown(stopped, runs_stopped_before(r, runs, 1), runs);
	free(r);
}

void bench_bricks(unsigned runs)
{
	struct planfile *plan = plan_read("canary");
	struct sim_setup s = sim_setup(planfile_spec(plan), FLEET);
	struct sim_result *r;

	s.look_ms = 600000;
	r = runs_of(&s, runs);
	figure_at_most("T8_good_build_offered", runs_median(r, runs, offered_h), "h", 48);
	free(r);
	bricks(&s, runs, 1, "T8_bricks_100_percent");
	bricks(&s, runs, .2, "T8_bricks_20_percent");
	bricks(&s, runs, .05, "T8_bricks_5_percent");
	bricks(&s, runs, .02, "T8_bricks_2_percent");
	planfile_free(plan);
}
