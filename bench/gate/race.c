/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole gate's crash stream against the test that knows the true ratio, the fastest there is
 * (Wald and Wolfowitz 1948): how many times longer until pause and halt.  Both see the same phones.
 */
#include <math.h>
#include <stdio.h>

#include "bench/gate/figure.h"
#include "bench/gate/rollouts.h"
#include "server/base/mem.h"

/*
 * 1.6 without the young stratum, the restart of each day and the symptoms' share of the weight:
 * together they cost the steady crashes .35 nats, a twentieth of the way to the pause.
 */
#define PAUSE_TARGET 1.7

#define CANARY  100000u
#define CONTROL 900000u
#define BUDGET  .2
#define LOOKS   20000u

struct race {
	double sprt, pause, halt; /* looks */
};

static double race_k(const struct gate_stage *s, const struct gate_rules *rules)
{
	double streams[GATE_STREAM__COUNT], e = gate_stage_log(s, rules, streams), w = BUDGET;

	return eproc_average_log(&e, &w, 1);
}

/* `step`: canary crashes of the old build that a look brings; ten of them are a day. */
static struct race run(struct chance *r, double ratio, double step)
{
	struct gate_rules rules = { .limit = { .01, .01, .01, .06 },
		.restart_ms = (uint64_t)(10 / step * 1000),
		.settles = true,
		.canary = .1,
		.control = .9 };
	struct race out = { NAN, NAN, NAN };
	struct gate_stage *s = mem_zalloc(sizeof(*s));
	uint32_t risk[ARM__COUNT] = { CANARY, CONTROL };
	double log_sprt = 0;

	for (unsigned i = 0; i < LOOKS && isnan(out.halt); i++) {
		struct evidence_row row = { .closed_ms = 1 + 1000ull * (i + 1),
			.stream = STREAM_CRASH,
			.ec = risk[ARM_CANARY],
			.ek = risk[ARM_CONTROL] };
		double w = (double)row.ec / row.ek, k;
		row.xc = chance_binomial(r, risk[ARM_CANARY], step / CANARY * ratio);
		row.xk = chance_binomial(r, risk[ARM_CONTROL], step / CANARY);
		risk[ARM_CANARY] -= row.xc;
		risk[ARM_CONTROL] -= row.xk;
		gate_add(s, &rules, &row);
		log_sprt += row.xc * log(ratio) - (row.xc + row.xk) * (log1p(ratio * w) - log1p(w));
		if (isnan(out.sprt) && log_sprt >= log(100))
			out.sprt = i + 1;
		k = race_k(s, &rules);
		if (isnan(out.pause) && k >= log(GATE_PAUSE))
			out.pause = i + 1;
		if (k >= log(GATE_HALT))
			out.halt = i + 1;
	}
	free(s);
	return out;
}

/* Medians of a few hundred runs say 5 % more or less: too rough to be judged. */
static void judge(const char *name, double value, double target, unsigned runs)
{
	if (runs < 2000)
		figure_shown(name, value, "of the SPRT");
	else
		figure_at_most(name, value, "of the SPRT", target);
}

static void race_all(unsigned runs, double ratio, double step, const char *word)
{
	double *sprt = figure_values(runs), *pause = figure_values(runs),
	       *halt = figure_values(runs), m;
	struct chance r;
	char name[64];

	chance_init(&r, 1);
	for (unsigned i = 0; i < runs; i++) {
		struct race one = run(&r, ratio, step);
		sprt[i] = isnan(one.sprt) ? LOOKS : one.sprt;
		pause[i] = isnan(one.pause) ? LOOKS : one.pause;
		halt[i] = isnan(one.halt) ? LOOKS : one.halt;
	}
	m = figure_median(sprt, runs);
	(void)snprintf(name, sizeof(name), "T4_%s_pause", word);
	judge(name, figure_median(pause, runs) / m, PAUSE_TARGET, runs);
	(void)snprintf(name, sizeof(name), "T4_%s_halt", word);
	judge(name, figure_median(halt, runs) / m, 2.1, runs);
	free(sprt);
	free(pause);
	free(halt);
}

void bench_delay(unsigned runs)
{
	race_all(runs, 1.5, .5, "1.5x");
	race_all(runs, 2, .2, "2x");
	race_all(runs, 5, .02, "5x");
}
