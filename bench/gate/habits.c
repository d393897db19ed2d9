/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good builds on people with habits.  Heavy users poll first and crash more; nights are quiet; once
 * the cloud fails for all; a new build stumbles in its first hours.  A week of 1 000 canaries
 * beside 9 000 of the control, looked at every hour.  Both arms enrol at a device's first poll.
 *
 * The settle stratum: devices that took the build less than six hours ago are compared with their
 * likes of the control, and may crash three times as often; older ones may not crash more.
 */
#include "bench/gate/streams.h"

#include <math.h>
#include <stdlib.h>

#include "bench/gate/figure.h"
#include "bench/gate/random.h"
#include "server/core/eproc.h"

#define CANARY        1000u
#define CONTROL       9000u
#define HOURS         168u
#define BASELINE      (.01 / 24) /* first crashes a device and hour, at mean activity */
#define ACTIVITY      .5         /* gamma shape */
#define FIRST_POLL    8.0        /* hours, at mean activity */
#define SETTLE_HOURS  6.0
#define SETTLE_RATIO  3.0
#define STEADY_WEIGHT .9
#define OUTAGE_SHARE  .2 /* of all devices, within an hour */

struct world {
	double ratio;                /* of the build's crashes to the old one's */
	const char *plain, *settled; /* figures: one stratum, two */
	bool plain_bites;            /* `plain` shows what goes wrong; nothing is asked of it */
	double diurnal;              /* amplitude */
	bool outage;
	double transient;     /* hazard of a new build in its first hours, times */
	bool control_at_once; /* at risk from the start, not from its first poll */
};

static const struct world good_builds[] = {
	{ .plain = "T9_false_halts_early_adopters",
		.settled = "T9_false_halts_early_adopters_settle",
		.ratio = 1,
		.transient = 1 },
	{ .plain = "T9_false_halts_diurnal",
		.settled = "T9_false_halts_diurnal_settle",
		.ratio = 1,
		.diurnal = .8,
		.transient = 1 },
	{ .plain = "T9_false_halts_outage",
		.settled = "T9_false_halts_outage_settle",
		.ratio = 1,
		.diurnal = .8,
		.outage = true,
		.transient = 1 },
	{ .plain = "T9_transient_without_settle",
		.settled = "T9_false_halts_transient_settle",
		.plain_bites = true,
		.ratio = 1,
		.diurnal = .8,
		.transient = 3 },
	{ .plain = "T9_unmatched_enrolment",
		.plain_bites = true,
		.ratio = 1,
		.transient = 1,
		.control_at_once = true },
};

/* What the stratum costs. */
static const struct world bad_builds[] = {
	{ .plain = "T9_hours_to_halt_2x",
		.settled = "T9_hours_to_halt_2x_settle",
		.ratio = 2,
		.diurnal = .8,
		.transient = 1 },
	{ .plain = "T9_hours_to_halt_5x",
		.settled = "T9_hours_to_halt_5x_settle",
		.ratio = 5,
		.diurnal = .8,
		.transient = 1 },
};

enum { YOUNG, OLD, STRATA };

struct week {
	double events[STRATA][2][HOURS];
	double change[STRATA][2][HOURS + 1]; /* of the number at risk, at the hour's start */
	double outage;                       /* hour; beyond the week: none */
};

static double hazard(const struct world *w, bool canary, double at, double age)
{
	double h = 1 + w->diurnal * sin(at * 2 * M_PI / 24);

	if (!canary)
		return h;
	return h * w->ratio * (age < SETTLE_HOURS ? w->transient : 1);
}

/* The first crash after `entered`, by thinning. */
static double first_crash(
	const struct world *w, struct random *r, bool canary, double activity, double entered)
{
	double most = (1 + w->diurnal) * (canary ? w->ratio * w->transient : 1), at = entered;

	do {
		at += random_exponential(r) / (BASELINE * activity * most);
		if (at >= HOURS)
			return HOURS;
	} while (!random_chance(r, hazard(w, canary, at, at - entered) / most));
	return at;
}

static void at_risk(struct week *week, int stratum, int arm, double from, double to)
{
	if (from >= to || from >= HOURS)
		return;
	week->change[stratum][arm][(unsigned)from]++;
	week->change[stratum][arm][(unsigned)fmin(to, HOURS)]--;
}

/* Age is that at the start of the hour, when the numbers at risk are frozen. */
static void device_week(const struct world *w, struct random *r, int arm, struct week *week)
{
	double activity = random_gamma(r, ACTIVITY) / ACTIVITY;
	double entered = random_exponential(r) * FIRST_POLL / activity, crash, open, old;

	if (arm == 1 && w->control_at_once)
		entered = 0;
	if (entered >= HOURS)
		return;
	crash = first_crash(w, r, arm == 0, activity, entered);
	if (week->outage >= entered && week->outage < crash && random_chance(r, OUTAGE_SHARE))
		crash = week->outage;
	open = ceil(entered);
	old = ceil(entered + SETTLE_HOURS);
	at_risk(week, YOUNG, arm, open, fmin(old, floor(crash) + 1));
	at_risk(week, OLD, arm, old, floor(crash) + 1);
	/* Whoever entered within the hour is not compared in it. */
	if (crash < HOURS && floor(crash) >= open)
		week->events[floor(crash) < old ? YOUNG : OLD][arm][(unsigned)crash]++;
}

static void fleet_week(const struct world *w, unsigned run, struct week *week)
{
	struct random r;

	*week = (struct week){ 0 };
	random_seed(&r, run);
	week->outage = w->outage ? 24 + random_uniform(&r) * 120 : HOURS;
	for (unsigned i = 0; i < CANARY + CONTROL; i++)
		device_week(w, &r, i >= CANARY, week);
}

/* Hours; INFINITY: not within the week. */
struct halts {
	double plain, settled;
};

static struct halts watch(const struct week *w)
{
	const double weights[] = { STEADY_WEIGHT, 1 - STEADY_WEIGHT };
	struct eproc_halt all = { 0 }, part[STRATA] = { 0 };
	double risk[STRATA][2] = { 0 }, limit = -log(STREAMS_ALPHA);
	struct halts r = { INFINITY, INFINITY };

	for (unsigned h = 0; h < HOURS; h++) {
		struct batch sum = { 0 };
		for (int s = 0; s < STRATA; s++) {
			struct batch b = { w->events[s][0][h], w->events[s][1][h],
				risk[s][0] += w->change[s][0][h],
				risk[s][1] += w->change[s][1][h] };
			eproc_halt_add(&part[s], &b, s == YOUNG ? SETTLE_RATIO : 1);
			sum = (struct batch){ sum.xc + b.xc, sum.xk + b.xk, sum.ec + b.ec,
				sum.ek + b.ek };
		}
		eproc_halt_add(&all, &sum, 1);
		const double logs[] = { eproc_halt_log(&part[OLD]), eproc_halt_log(&part[YOUNG]) };
		if (eproc_halt_log(&all) >= limit)
			r.plain = fmin(r.plain, h + 1);
		if (eproc_average_log(logs, weights, STRATA) >= limit)
			r.settled = fmin(r.settled, h + 1);
	}
	return r;
}

static void show(const struct world *w, unsigned plain, unsigned settled, unsigned runs)
{
	if (w->plain_bites)
		figure_share_shown(w->plain, plain, runs);
	else
		figure_share_at_most(w->plain, plain, runs, 100 * STREAMS_ALPHA);
	if (w->settled)
		figure_share_at_most(w->settled, settled, runs, 100 * STREAMS_ALPHA);
}

static struct halts one_run(const struct world *w, unsigned run)
{
	static struct week week;

	fleet_week(w, run, &week);
	return watch(&week);
}

void habits_good_builds(unsigned runs)
{
	for (size_t i = 0; i < sizeof(good_builds) / sizeof(good_builds[0]); i++) {
		unsigned plain = 0, settled = 0;
		for (unsigned run = 0; run < runs; run++) {
			struct halts h = one_run(&good_builds[i], run);
			plain += isfinite(h.plain);
			settled += isfinite(h.settled);
		}
		show(&good_builds[i], plain, settled, runs);
	}
}

void habits_bad_builds(unsigned runs)
{
	double *plain = figure_values(runs), *settled = figure_values(runs);
	const struct world *w = bad_builds;

	for (; w < bad_builds + sizeof(bad_builds) / sizeof(*w); w++) {
		for (unsigned run = 0; run < runs; run++) {
			struct halts h = one_run(w, run);
			plain[run] = h.plain;
			settled[run] = h.settled;
		}
		figure_shown(w->plain, figure_median(plain, runs), "h, median");
		figure_shown(w->settled, figure_median(settled, runs), "h, median");
	}
	free(settled);
	free(plain);
}
