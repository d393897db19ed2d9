/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/incidents/incidents.h"

#include <math.h>

#define FLEET    1000000u
#define STOPPED  true
#define PROMOTED false

static const struct {
	const char *name, *story;
	bool stops;
	struct sim_world world; /* 0: as usual */
} incidents[INCIDENT__COUNT] = {
#define INCIDENT(id, verdict, story, ...) { #id, story, verdict, { __VA_ARGS__ } },
#include "tests/sim/incidents/incidents.def"
#undef INCIDENT
};

const char *incident_name(enum incident i)
{
	return incidents[i].name;
}

const char *incident_story(enum incident i)
{
	return incidents[i].story;
}

bool incident_should_stop(enum incident i)
{
	return incidents[i].stops;
}

static void change(double *value, double to)
{
	if (to != 0)
		*value = to;
}

static void change_world(struct sim_world *w, const struct sim_world *by)
{
	change(&w->diurnal, by->diurnal);
	change(&w->eager, by->eager);
	change(&w->outage_from_h, by->outage_from_h);
	change(&w->outage_h, by->outage_h);
	change(&w->outage_crash, by->outage_crash);
	change(&w->product, by->product);
	change(&w->affected, by->affected);
	change(&w->from_h, by->from_h);
	change(&w->crash_ratio, by->crash_ratio);
	change(&w->crash_add, by->crash_add);
	w->crash_is_new = by->crash_is_new;
	change(&w->loop_add, by->loop_add);
	change(&w->symptom_add, by->symptom_add);
	change(&w->brick, by->brick);
	change(&w->bad_install, by->bad_install);
	change(&w->bad_rollback, by->bad_rollback);
	change(&w->mute, by->mute);
	change(&w->settle_ratio, by->settle_ratio);
	change(&w->crash_lost, by->crash_lost);
}

static uint32_t hurt_of(const struct sim_result *r, const struct sim_world *w)
{
	const struct sim_hurt *h = r->stopped ? &r->at_stop : &r->hurt;
	bool fails = w->bad_install > 0 || w->bad_rollback > 0;

	return h->crashed + h->looped + h->symptoms + h->bricked + (fails ? h->failed : 0);
}

struct incident_end incident_run(
	enum incident i, const Pb__PlanSpec *weekly, const Pb__PlanSpec *stable, uint64_t seed)
{
	const Pb__PlanSpec *plan[] = { weekly, stable };
	struct incident_end e = { .stopped = false };

	for (e.plan = 0; e.plan < 2; e.plan++) {
		struct sim_setup s = sim_setup(plan[e.plan], FLEET);
		change_world(&s.world, &incidents[i].world);
		/* Who stops on evidence stays stopped; too few numbers are waved through. */
		s.person_h = INFINITY;
		s.patience_h = 0;
		e.result = sim_run(&s, seed);
		e.hurt += hurt_of(&e.result, &s.world);
		e.stopped = e.result.end != SIM_COMPLETE;
		if (e.stopped)
			break;
	}
	return e;
}
