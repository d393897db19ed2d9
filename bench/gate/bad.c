/* SPDX-License-Identifier: Apache-2.0 */
/* Bad builds: where they are stopped, and whom they have hurt by then. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gate/figure.h"
#include "bench/gate/rollouts.h"

#define STEP_STABLE 4u /* of the six: the first outside the seats */

static double stop_step(const struct sim_result *r)
{
	return r->stopped ? r->stop_step + 1.0 : NAN;
}

static double stop_h(const struct sim_result *r)
{
	return r->stopped ? r->stop_h : NAN;
}

static double crashed(const struct sim_result *r)
{
	return r->stopped ? r->at_stop.crashed : r->hurt.crashed;
}

static double bricked(const struct sim_result *r)
{
	return r->stopped ? r->at_stop.bricked : r->hurt.bricked;
}

static void show(const char *build, const struct sim_result *r, unsigned n)
{
	char name[80];

	(void)snprintf(name, sizeof(name), "rollout_%s_halt", build);
	figure_share_shown(name, runs_halted(r, n), n);
	(void)snprintf(name, sizeof(name), "rollout_%s_stopped", build);
	figure_share_shown(name, runs_stopped_before(r, n, UINT32_MAX), n);
	(void)snprintf(name, sizeof(name), "rollout_%s_before_stable", build);
	figure_share_shown(name, runs_stopped_before(r, n, STEP_STABLE), n);
	(void)snprintf(name, sizeof(name), "rollout_%s_stage", build);
	figure_shown(name, runs_median(r, n, stop_step), "of 6, median");
	(void)snprintf(name, sizeof(name), "rollout_%s_time", build);
	figure_shown(name, runs_median(r, n, stop_h), "h, median");
	(void)snprintf(name, sizeof(name), "rollout_%s_crashed", build);
	figure_shown(name, runs_median(r, n, crashed), "phones, median");
	(void)snprintf(name, sizeof(name), "rollout_%s_bricked", build);
	figure_shown(name, runs_median(r, n, bricked), "phones, median");
}

/* `person_h`: INFINITY, a paused rollout waits, and may halt by itself. */
static void bad(const char *build, struct sim_setup s, unsigned runs)
{
	struct sim_result *r;

	s.person_h = s.tolerance_h = INFINITY;
	r = runs_of(&s, runs);
	show(build, r, runs);
	free(r);
}

static void late(unsigned runs)
{
	struct planfile *plan = plan_read("patient");
	struct sim_setup s = sim_setup(planfile_spec(plan), FLEET);
	struct sim_result *r;

	s.world.crash_ratio = 5;
	s.world.from_h = 48;
	s.person_h = s.tolerance_h = INFINITY;
	r = runs_of(&s, runs);
	figure_share_at_least(
		"T11_late_5x_before_stable", runs_stopped_before(r, runs, STEP_STABLE), runs, 95);
	show("late_5x_soak_72h", r, runs);
	free(r);
	planfile_free(plan);
}

void bench_bad(unsigned runs)
{
	static const struct {
		const char *name;
		double ratio, brick, boot, loop, add;
	} row[] = {
		{ .name = "1.2x", .ratio = 1.2 },
		{ .name = "1.5x", .ratio = 1.5 },
		{ .name = "2x", .ratio = 2 },
		{ .name = "5x", .ratio = 5 },
		{ .name = "loops_1_percent_a_day", .ratio = 1, .loop = .0095 },
		{ .name = "bricks_1_percent", .ratio = 1, .brick = .01 },
		{ .name = "bricks_5_percent", .ratio = 1, .brick = .05 },
		{ .name = "no_boot_3_percent", .ratio = 1, .boot = .03 },
		{ .name = "no_boot_20_percent", .ratio = 1, .boot = .2 },
		{ .name = "new_crash_.3_percent_a_day", .ratio = 1, .add = .003 },
		{ .name = ".8x", .ratio = .8 },
	};
	struct planfile *plan = plan_read("six");
	struct sim_setup s = sim_setup(planfile_spec(plan), FLEET);

	late(runs);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		s.world = sim_setup(planfile_spec(plan), FLEET).world;
		s.world.crash_ratio = row[i].ratio;
		s.world.brick = row[i].brick;
		s.world.bad_boot = row[i].boot;
		s.world.loop_add = row[i].loop;
		s.world.crash_add = row[i].add;
		s.world.crash_is_new = row[i].add > 0;
		bad(row[i].name, s, runs);
	}
	planfile_free(plan);
}
