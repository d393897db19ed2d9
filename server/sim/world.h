/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the phones of a simulation are like, and what is wrong with the build they get.  Rates are a
 * day and a device, shares lie in 0..1, times are hours.  sim_world() is a good build on usual phones;
 * whoever wants something else changes that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SIM_RINGS   4u
#define SIM_DELAYS  6u /* hours from offer to restart, at most */
#define SIM_CLASSES 4u /* how often a phone crashes */

struct sim_world {
	/* The fleet: phones in each ring, inside out. */
	uint32_t ring[SIM_RINGS];

	/* What phones do by themselves, whichever build they run. */
	double crash, loop, symptom; /* first events a day */
	double new_crash;            /* share of crashes with a signature not seen before */
	double diurnal;              /* amplitude of the day in all of these */
	double poll_h;
	double delay[SIM_DELAYS]; /* share that restarts into an offer in each hour */
	double away;              /* share that is gone at the first milestone of silence ... */
	double never;             /* and of these, the share that never comes back */
	double away_later;        /* and at each later one */
	double late;              /* share that takes too long to boot */
	double boot, install, rollback;
	double eager; /* 0..1: those who come in the first hours crash more often than others */
	double outage_from_h, outage_h; /* after the start of the rollout */
	double outage_crash;            /* rate while it lasts, on all phones */

	/* What the build does, from `from_h` to `until_h` after a phone took it. */
	double product;  /* share of the phones that are the model it concerns; 1: all */
	double affected; /* and of these, those whose data or use it concerns */
	double from_h, until_h;
	double crash_ratio, crash_add; /* on phones it concerns; add: a day */
	bool crash_is_new;             /* crash_add has a signature of its own */
	double loop_add, symptom_add;  /* a day */
	double brick;                  /* never heard of again, `from_h` after the install */
	double bad_boot, bad_install, bad_rollback; /* shares, added to the usual ones */
	double mute;                   /* share of those on it that reports nothing any more */
	double crash_lost;             /* share of their crashes that is not reported */
	double settle_ratio, settle_h; /* what any new build stirs up */
};

/* A good build, and nobody in the rings yet. */
struct sim_world sim_world(void);

/* Times the usual crash rate, for a phone of this kind so long after it took the build. */
double sim_crash_ratio(const struct sim_world *w, bool affected, double age_h);
/* Whether the fault acts so long after a phone took the build. */
bool sim_acts(const struct sim_world *w, double age_h);
/* Of the day, and of an outage: how much of each rate at this hour of the rollout. */
double sim_diurnal(const struct sim_world *w, double hour);
double sim_outage(const struct sim_world *w, double hour);

/* Gamma of shape .3 in four classes: most phones hardly ever crash, one in twenty often. */
extern const double sim_class_share[SIM_CLASSES], sim_class_rate[SIM_CLASSES];
/* Shares of those who come so long after the stage opened. */
void sim_classes(const struct sim_world *w, double hour, double share[SIM_CLASSES]);
