/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/plan_sim.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "server/base/mem.h"

#define WATCH_H 48 /* a paused bad build is watched so long: does it halt by itself? */

static const struct {
	const char *name, *what;
	struct sim_world world; /* what is wrong */
} builds[PLAN_BUILD__COUNT] = {
#define BUILD_CASE(id, name, what, ...) { name, what, { __VA_ARGS__ } },
#include "server/ctl/plan_sim.def"
#undef BUILD_CASE
};

const char *plan_build_name(enum plan_build build)
{
	return builds[build].name;
}

const char *plan_build_what(enum plan_build build)
{
	return builds[build].what;
}

/* ---- running ---- */

struct job {
	const struct plan_sim *s;
	struct sim_result *out; /* runs of each build, one after the other */
	uint32_t from;          /* every second run */
};

static struct sim_setup setup_of(const struct plan_sim *s, enum plan_build build)
{
	struct sim_setup setup = sim_setup(s->spec, s->fleet);
	const struct sim_world *bad = &builds[build].world;

	setup.world.crash = s->crash;
	setup.world.crash_ratio = bad->crash_ratio;
	setup.world.crash_add = bad->crash_add;
	setup.world.crash_is_new = bad->crash_is_new;
	setup.world.brick = bad->brick;
	setup.world.bad_boot = bad->bad_boot;
	setup.world.from_h = bad->from_h;
	if (build != PLAN_BUILD_GOOD)
		setup.person_h = setup.tolerance_h = INFINITY;
	setup.patience_h = WATCH_H;
	return setup;
}

static void *work(void *arg)
{
	struct job *j = arg;

	for (unsigned b = 0; b < PLAN_BUILD__COUNT; b++) {
		struct sim_setup setup = setup_of(j->s, (enum plan_build)b);
		for (uint32_t i = j->from; i < j->s->runs; i += 2)
			j->out[b * j->s->runs + i] = sim_run(&setup, i + 1);
	}
	return NULL;
}

/* ---- counting ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of what is not NAN. */
static double median(double *v, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (!isnan(v[i]))
			v[k++] = v[i];
	if (k == 0)
		return -1;
	qsort(v, k, sizeof(*v), compare);
	return v[(k - 1) / 2];
}

static double hurt_of(const struct sim_result *r, enum plan_build build)
{
	const struct sim_hurt *h = r->stopped ? &r->at_stop : &r->hurt;

	if (build == PLAN_BUILD_GOOD)
		return 0;
	return h->crashed + h->looped + h->bricked +
		(builds[build].world.bad_boot > 0 ? h->failed : 0);
}

static void count_stop(struct plan_outcome *o, const struct sim_result *r)
{
	if (r->end == SIM_HALTED)
		o->halted++;
	else if (r->pauses > 0)
		o->paused++;
	else
		o->asked += r->undecided > 0;
}

static void count(struct plan_sim *s, enum plan_build build, const struct sim_result *r)
{
	struct plan_outcome *o = &s->of[build];
	double *stop = mem_alloc(4 * s->runs * sizeof(*stop)), *stage = stop + s->runs,
	       *hurt = stop + 2 * s->runs, *done = stop + 3 * s->runs;
	bool most;

	for (uint32_t i = 0; i < s->runs; i++) {
		/* A good one that was let go on was stopped for nothing, and went on. */
		bool stopped = r[i].stopped && build != PLAN_BUILD_GOOD;
		count_stop(o, &r[i]);
		stop[i] = stopped ? r[i].stop_h : (double)NAN;
		stage[i] = stopped ? (double)r[i].stop_step : (double)NAN;
		hurt[i] = hurt_of(&r[i], build);
		done[i] = r[i].done_h > 0 ? r[i].done_h : (double)NAN;
	}
	most = build != PLAN_BUILD_GOOD && 2 * (o->halted + o->paused + o->asked) > s->runs;
	o->stage = most ? (int)median(stage, s->runs) : -1;
	o->stop_h = most ? median(stop, s->runs) : -1;
	o->hurt = median(hurt, s->runs);
	o->done_h = median(done, s->runs);
	free(stop);
}

void plan_sim_run(struct plan_sim *s)
{
	struct sim_result *out = mem_zalloc((size_t)s->runs * PLAN_BUILD__COUNT * sizeof(*out));
	struct job half[2] = { { s, out, 0 }, { s, out, 1 } };
	pthread_t thread;
	bool two = pthread_create(&thread, NULL, work, &half[1]) == 0;

	work(&half[0]);
	if (two)
		(void)pthread_join(thread, NULL); /* cannot fail: it is ours, and not detached */
	else
		work(&half[1]);
	memset(s->of, 0, sizeof(s->of));
	plan_steps(s->spec, 0, s->step, &s->n_steps);
	for (unsigned b = 0; b < PLAN_BUILD__COUNT; b++)
		count(s, (enum plan_build)b, out + (size_t)b * s->runs);
	free(out);
}

static uint32_t stopped(const struct plan_outcome *o)
{
	return o->halted + o->paused + o->asked;
}

bool plan_sim_tells(const struct plan_sim *s)
{
	return stopped(&s->of[PLAN_BUILD_RATIO_2]) >=
		stopped(&s->of[PLAN_BUILD_GOOD]) + s->runs / 2;
}
