/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash stream without a clock: events come one by one, each is looked at, and time is counted
 * in E0, the crashes that a control nine times as large predicts for the canary.
 */
#include "bench/gate/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gate/figure.h"
#include "bench/gate/random.h"
#include "server/core/eproc.h"

#define CONTROL  9.0   /* times the canary */
#define E0_GOOD  400.0 /* how long a good build is watched */
#define E0_RATIO 200.0 /* how long an interval is watched */
#define E0_NEVER 1e5   /* no stream needs so many */

struct walk {
	struct random random;
	double ratio, e0;
};

static void walk_start(struct walk *w, unsigned run, double ratio)
{
	random_seed(&w->random, run);
	w->ratio = ratio;
	w->e0 = 0;
}

static struct batch walk_next(struct walk *w)
{
	double rate = w->ratio + CONTROL;
	bool canary;

	w->e0 += random_exponential(&w->random) / rate;
	canary = random_chance(&w->random, w->ratio / rate);
	return (struct batch){ canary, !canary, 1, CONTROL };
}

static bool halts(unsigned run)
{
	struct eproc_halt e = { 0 };
	struct walk w;

	walk_start(&w, run, 1);
	while (w.e0 < E0_GOOD) {
		struct batch b = walk_next(&w);
		eproc_halt_add(&e, &b, 1);
		/* An event of the control is never evidence against the build. */
		if (b.xc > 0 && eproc_halt_log(&e) >= -log(STREAMS_ALPHA))
			return true;
	}
	return false;
}

void delay_good_builds(unsigned runs)
{
	unsigned hits = 0;

	for (unsigned run = 0; run < runs; run++)
		hits += halts(run);
	figure_share_at_most("T1_false_halts_crash_stream", hits, runs, 100 * STREAMS_ALPHA);
}

/* E0 at which the stream, and at which the test that knows the ratio, would halt. */
struct halt_times {
	double stream, sprt;
};

static struct halt_times halt_times(unsigned run, double ratio)
{
	struct halt_times t = { 0, 0 };
	struct eproc_halt e = { 0 };
	double sprt = 0, limit = -log(STREAMS_ALPHA);
	struct walk w;

	walk_start(&w, run, ratio);
	while ((t.stream == 0 || t.sprt == 0) && w.e0 < E0_NEVER) {
		struct batch b = walk_next(&w);
		eproc_halt_add(&e, &b, 1);
		sprt += eproc_loglik(&b, 1, log(ratio));
		if (b.xc > 0 && t.stream == 0 && eproc_halt_log(&e) >= limit)
			t.stream = w.e0;
		if (t.sprt == 0 && sprt >= limit)
			t.sprt = w.e0;
	}
	return t;
}

void delay_over_sprt(unsigned runs)
{
	static const struct {
		const char *name;
		double ratio, target;
	} row[] = {
		{ "T2_delay_over_sprt_1.2x", 1.2, 1.60 },
		{ "T2_delay_over_sprt_1.5x", 1.5, 1.40 },
		{ "T2_delay_over_sprt_2x", 2, 1.30 },
		{ "T2_delay_over_sprt_5x", 5, 1.35 },
	};
	double *stream = figure_values(runs), *sprt = figure_values(runs);

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char unit[64];
		for (unsigned run = 0; run < runs; run++) {
			struct halt_times t = halt_times(run, row[i].ratio);
			stream[run] = t.stream;
			sprt[run] = t.sprt;
		}
		(void)snprintf(unit, sizeof(unit), "of the SPRT's median, %u runs", runs);
		figure_at_most(row[i].name, figure_median(stream, runs) / figure_median(sprt, runs),
			unit, row[i].target);
	}
	free(sprt);
	free(stream);
}

/* Whether the true ratio ever left the interval, and whether the build ever passed with it. */
struct errors {
	bool missed, promoted;
};

static struct errors watch_interval(unsigned run, double ratio)
{
	struct errors r = { false, false };
	struct eproc_cs cs = { 0 };
	struct walk w;

	walk_start(&w, run, ratio);
	while (w.e0 < E0_RATIO && !r.promoted) {
		struct batch b = walk_next(&w);
		eproc_cs_add(&cs, &b, ratio);
		if (eproc_cs_log(&cs) < -log(STREAMS_BETA))
			continue;
		r.missed = true;
		r.promoted = eproc_cs_below(&cs);
	}
	return r;
}

/* At 2x the true share lies so near the target that fewer runs cannot tell them apart. */
#define RUNS_TO_TELL 10000u

static void show_errors(const char *name, unsigned hits, unsigned runs)
{
	if (runs < RUNS_TO_TELL)
		figure_share_shown(name, hits, runs);
	else
		figure_share_at_most(name, hits, runs, 100 * STREAMS_BETA);
}

void delay_confidence(unsigned runs)
{
	static const struct {
		double ratio;
		const char *missed, *promoted;
	} row[] = {
		{ 1, "T6_interval_misses_1x", NULL },
		{ 1.25, "T6_interval_misses_1.25x", "T6_false_promotion_1.25x" },
		{ 1.5, "T6_interval_misses_1.5x", "T6_false_promotion_1.5x" },
		{ 2, "T6_interval_misses_2x", "T6_false_promotion_2x" },
	};
	unsigned all_missed = 0, all_promoted = 0, n = sizeof(row) / sizeof(row[0]);

	for (unsigned i = 0; i < n; i++) {
		unsigned missed = 0, promoted = 0;
		for (unsigned run = 0; run < runs; run++) {
			struct errors r = watch_interval(i * runs + run, row[i].ratio);
			missed += r.missed;
			promoted += row[i].promoted && r.promoted;
		}
		show_errors(row[i].missed, missed, runs);
		if (row[i].promoted)
			show_errors(row[i].promoted, promoted, runs);
		all_missed += missed;
		all_promoted += promoted;
	}
	figure_share_at_most("T6_interval_misses", all_missed, n * runs, 100 * STREAMS_BETA);
	figure_share_at_most(
		"T6_false_promotion", all_promoted, (n - 1) * runs, 100 * STREAMS_BETA);
}

static double promotion_time(unsigned run, double tolerance)
{
	struct eproc_cs cs = { 0 };
	struct walk w;

	walk_start(&w, run, 1);
	while (w.e0 < E0_NEVER) {
		struct batch b = walk_next(&w);
		eproc_cs_add(&cs, &b, tolerance);
		if (eproc_cs_below(&cs) && eproc_cs_log(&cs) >= -log(STREAMS_BETA))
			break;
	}
	return w.e0;
}

/* Against ln(1/beta) / (r - 1 - ln r), what a test of one ratio against a vast control needs. */
void delay_promotion(unsigned runs)
{
	static const struct {
		const char *name;
		double tolerance;
	} row[] = {
		{ "T7_promotion_over_bound_1.25", 1.25 },
		{ "T7_promotion_over_bound_1.5", 1.5 },
		{ "T7_promotion_over_bound_2", 2 },
	};
	double *e0 = figure_values(runs);

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		double r = row[i].tolerance, bound = -log(STREAMS_BETA) / (r - 1 - log(r));
		char unit[64];
		for (unsigned run = 0; run < runs; run++)
			e0[run] = promotion_time(run, r);
		(void)snprintf(unit, sizeof(unit), "of E0 %.3g, median of %u runs", bound, runs);
		figure_at_most(row[i].name, figure_median(e0, runs) / bound, unit, 1.3);
	}
	free(e0);
}
