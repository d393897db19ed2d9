/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good builds on devices that are not alike: some crash often, some never, some again and again.
 * A week of 1 000 canaries beside 9 000 of the control, looked at every hour.  The unit of the gate
 * is a device's first crash; counting all crashes with the same formula, as is done only here,
 * shows that these worlds would fool it.
 */
#include "bench/gate/streams.h"

#include <math.h>

#include "bench/gate/figure.h"
#include "bench/gate/random.h"
#include "server/core/eproc.h"

#define CANARY   1000u
#define CONTROL  9000u
#define DAYS     7.0
#define HOURS    168u
#define BASELINE .01 /* episodes a device and day */
#define EPISODE  1.3 /* crashes an episode, on average */
#define LOOP_MAX 5000.0

struct world {
	const char *name, *raw; /* figures: first crashes, all crashes */
	double raw_least;       /* what is asked of the latter, percent */
	double frailty;         /* gamma shape of devices' rates; 0: all alike */
	double loops;           /* share of episodes that are crash loops */
	double odd, odd_rate;   /* share of devices with a rate of their own, a day */
};

static const struct world worlds[] = {
	{ .name = "T5_false_halts_homogeneous" },
	{ .name = "T5_false_halts_frailty", .frailty = .3 },
	{
		.name = "T5_false_halts_crash_loops",
		.raw = "T5_negative_control_raw_counts",
		.raw_least = 20,
		.frailty = .3,
		.loops = .02,
		.odd = .002,
		.odd_rate = 10,
	},
	{ .name = "T5_false_halts_chronic", .odd = .02, .odd_rate = 1 },
};

/* Events of each hour. */
struct week {
	double first[2][HOURS], all[2][HOURS]; /* canary, control */
};

static double device_rate(const struct world *w, struct random *r)
{
	if (w->odd > 0 && random_chance(r, w->odd))
		return w->odd_rate;
	return w->frailty > 0 ? BASELINE * random_gamma(r, w->frailty) / w->frailty : BASELINE;
}

static double episode_crashes(const struct world *w, struct random *r)
{
	if (w->loops > 0 && random_chance(r, w->loops))
		return floor(fmin(random_pareto(r, 1.1, 5), LOOP_MAX));
	/* Geometric. */
	return 1 + floor(random_exponential(r) / -log(1 - 1 / EPISODE));
}

static void device_week(const struct world *w, struct random *r, int arm, struct week *week)
{
	double rate = device_rate(w, r), at = random_exponential(r) / rate;

	if (at < DAYS)
		week->first[arm][(unsigned)(at * 24)]++;
	for (; at < DAYS; at += random_exponential(r) / rate)
		week->all[arm][(unsigned)(at * 24)] += episode_crashes(w, r);
}

static void fleet_week(const struct world *w, unsigned run, struct week *week)
{
	struct random r;

	*week = (struct week){ 0 };
	random_seed(&r, run);
	for (unsigned i = 0; i < CANARY + CONTROL; i++)
		device_week(w, &r, i >= CANARY, week);
}

static bool halts_on_first(const struct week *w)
{
	struct eproc_halt e = { 0 };
	double ec = CANARY, ek = CONTROL;

	for (unsigned h = 0; h < HOURS; h++) {
		struct batch b = { w->first[0][h], w->first[1][h], ec, ek };
		eproc_halt_add(&e, &b, 1);
		if (eproc_halt_log(&e) >= -log(STREAMS_ALPHA))
			return true;
		ec -= b.xc;
		ek -= b.xk;
	}
	return false;
}

static bool halts_on_all(const struct week *w)
{
	struct eproc_halt e = { 0 };

	for (unsigned h = 0; h < HOURS; h++) {
		struct batch b = { w->all[0][h], w->all[1][h], CANARY, CONTROL };
		eproc_halt_add(&e, &b, 1);
		if (eproc_halt_log(&e) >= -log(STREAMS_ALPHA))
			return true;
	}
	return false;
}

void dispersion_good_builds(unsigned runs)
{
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		unsigned first = 0, all = 0;
		for (unsigned run = 0; run < runs; run++) {
			struct week week;
			fleet_week(&worlds[i], run, &week);
			first += halts_on_first(&week);
			all += halts_on_all(&week);
		}
		figure_share_at_most(worlds[i].name, first, runs, 100 * STREAMS_ALPHA);
		if (worlds[i].raw)
			figure_share_at_least(worlds[i].raw, all, runs, worlds[i].raw_least);
	}
}
