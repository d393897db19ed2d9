/* SPDX-License-Identifier: Apache-2.0 */
/* What must come out the same however it is computed, and what computing it costs. */
#include "bench/gate/streams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/gate/figure.h"
#include "bench/gate/random.h"
#include "server/core/eproc.h"

#define HOURS       168
#define HOURS_A_DAY 24
#define REPORTS_MAX 16384
#define TOLERANCE   1.5
#define RATIO       1.3

struct log {
	struct batch row[REPORTS_MAX];
	size_t n;
};

/* A week of hourly batches; devices that crashed are not at risk any more. */
static void log_week(struct log *log, struct random *r)
{
	double ec = 1000, ek = 9000, rate = .01 / HOURS_A_DAY;

	log->n = 0;
	for (unsigned hour = 0; hour < HOURS; hour++) {
		double xc = (double)random_binomial(r, (uint64_t)ec, RATIO * rate);
		double xk = (double)random_binomial(r, (uint64_t)ek, rate);
		log->row[log->n++] = (struct batch){ xc, xk, ec, ek };
		ec -= xc;
		ek -= xk;
	}
}

/* Each report a batch of its own, at the numbers at risk of its hour, in any order. */
static void log_shuffle(const struct log *from, struct log *to, struct random *r)
{
	to->n = 0;
	for (size_t i = 0; i < from->n; i++) {
		struct batch b = from->row[i];
		for (double k = 0; k < b.xc + b.xk && to->n < REPORTS_MAX; k++)
			to->row[to->n++] = (struct batch){ k < b.xc, k >= b.xc, b.ec, b.ek };
	}
	for (size_t i = to->n; i > 1; i--) {
		size_t j = random_below(r, (uint32_t)i);
		struct batch t = to->row[i - 1];
		to->row[i - 1] = to->row[j];
		to->row[j] = t;
	}
}

/* All that a verdict rests on. */
enum { V_HALT, V_SIGNATURE, V_PROMOTE, V_MIX, V_MLE, V_LOWER, V_UPPER, V_RESTART, V__COUNT };

static void verdict(const struct log *log, double v[V__COUNT])
{
	struct eproc_halt halt = { 0 }, before[HOURS / HOURS_A_DAY] = { 0 };
	struct eproc_signature signature = { 0 };
	struct eproc_cs cs = { 0 };
	struct eproc_interval interval = eproc_cs_interval(log->row, log->n, STREAMS_BETA);
	size_t days = 0;

	for (size_t i = 0; i < log->n; i++) {
		if (log->n == HOURS && i % HOURS_A_DAY == 0)
			before[days++] = halt;
		eproc_halt_add(&halt, &log->row[i], 1);
		eproc_signature_add(&signature, &log->row[i]);
		eproc_cs_add(&cs, &log->row[i], TOLERANCE);
	}
	v[V_HALT] = eproc_halt_log(&halt);
	v[V_SIGNATURE] = eproc_signature_value(&signature);
	v[V_PROMOTE] = eproc_cs_log(&cs);
	v[V_MIX] = interval.log_mix;
	v[V_MLE] = interval.mle;
	v[V_LOWER] = interval.lower;
	v[V_UPPER] = interval.upper;
	/* Which day a shuffled report belongs to is not told by its place. */
	v[V_RESTART] = days ? eproc_restart_log(&halt, before, days) : 0;
}

void exact_replay(unsigned runs)
{
	static struct log week, copy, reports;
	unsigned same = 0;
	double worst = 0;
	char unit[64];

	for (unsigned run = 0; run < runs; run++) {
		double first[V__COUNT], again[V__COUNT], single[V__COUNT];
		struct random r;
		random_seed(&r, run);
		log_week(&week, &r);
		copy = week;
		verdict(&week, first);
		verdict(&copy, again);
		same += memcmp(first, again, sizeof(first)) == 0;
		log_shuffle(&week, &reports, &r);
		verdict(&reports, single);
		for (int i = 0; i < V_RESTART; i++)
			worst = fmax(worst, fabs(single[i] - first[i]) / fmax(1, fabs(first[i])));
	}
	figure_share_at_least("T13_replay_equal_to_the_bit", same, runs, 100);
	(void)snprintf(unit, sizeof(unit), "relative, worst of %u runs", runs);
	figure_at_most("T13_shuffled_reports_differ", worst, unit, 1e-9);
}

#define ADDS       20000
#define ROUNDS_MAX 101

static double halt_cost_us(void)
{
	struct batch b = { 1, 12, 1000, 9000 };
	struct eproc_halt e = { 0 };
	double start = figure_cpu_us();

	for (unsigned i = 0; i < ADDS; i++) {
		b.ec = 1000 - (i & 63);
		eproc_halt_add(&e, &b, 1);
	}
	return isfinite(eproc_halt_log(&e)) ? (figure_cpu_us() - start) / ADDS : NAN;
}

static double cs_cost_us(void)
{
	struct batch b = { 1, 12, 1000, 9000 };
	struct eproc_cs cs = { 0 };
	double start = figure_cpu_us();

	for (unsigned i = 0; i < ADDS; i++) {
		b.ec = 1000 - (i & 63);
		eproc_cs_add(&cs, &b, TOLERANCE);
	}
	return isfinite(eproc_cs_log(&cs)) ? (figure_cpu_us() - start) / ADDS : NAN;
}

static double look_cost_us(void)
{
	struct batch b = { 1, 12, 1000, 9000 };
	struct eproc_cs cs = { 0 };
	double start, sum = 0;

	eproc_cs_add(&cs, &b, TOLERANCE);
	start = figure_cpu_us();
	for (unsigned i = 0; i < ADDS; i++) {
		cs.ll[i & 63] += 1e-9;
		sum += eproc_cs_log(&cs);
	}
	return isfinite(sum) ? (figure_cpu_us() - start) / ADDS : NAN;
}

void exact_cost(unsigned runs)
{
	static const struct {
		const char *name;
		double (*cost_us)(void);
		double target;
	} row[] = {
		{ "T14_cost_eproc_halt_add", halt_cost_us, 1 },
		{ "T14_cost_eproc_cs_add", cs_cost_us, 5 },
		{ "T14_cost_eproc_cs_log", look_cost_us, NAN },
	};
	double us[ROUNDS_MAX];
	char unit[64];

	runs = runs < ROUNDS_MAX ? runs : ROUNDS_MAX;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		for (unsigned run = 0; run < runs; run++)
			us[run] = row[i].cost_us();
		(void)snprintf(unit, sizeof(unit), "us of CPU, median of %u rounds", runs);
		if (isfinite(row[i].target))
			figure_at_most(row[i].name, figure_median(us, runs), unit, row[i].target);
		else
			figure_shown(row[i].name, figure_median(us, runs), unit);
	}
}
