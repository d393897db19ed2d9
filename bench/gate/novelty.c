/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash signatures that the history of the baseline does not know.  Crashes of 1 000 canaries and
 * 9 000 of the control come from 20 000 latent signatures with Zipf's law; the history is so long
 * that a week brings a good build's canary about four that were never seen, and the rule "halt on
 * an unseen signature" halts nearly all good builds.  A bug adds one more, on the canary alone.
 * As in server/service/novelty.h a signature takes its number when a second device has it, and what
 * came before is carried along.
 */
#include "bench/gate/streams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gate/figure.h"
#include "bench/gate/random.h"
#include "server/core/eproc.h"

#define LATENT   20000u
#define CANARY   1000.0
#define CONTROL  9000.0
#define DAYS     7.0
#define BATCH    (1.0 / 144)
#define BASELINE .01 /* crashes a device and day */
#define BUG      .005
#define RARE     .001
#define HISTORY  1e7 /* device-days of the baseline that were watched */
#define NEW_MAX  400u

struct signature {
	struct eproc_signature e;
	double affected[2]; /* when the batch was opened */
	double events[2];   /* in it, and before it had a number */
	unsigned number;    /* from 1; 0: one device had it, or none */
};

/* How often a signature is drawn, and whether it was in the history of this run. */
struct tail {
	double up_to[LATENT];
	signed char seen[LATENT]; /* 0 not drawn yet, -1 in the history, 1 new */
	unsigned slot[LATENT];
};

struct stage {
	struct random random;
	struct tail *tail;
	double bug_rate, now;
	bool canary_saw_new;
	struct signature list[NEW_MAX];
	double log_e[NEW_MAX];     /* by number */
	unsigned n, numbered, bug; /* bug: its place, from 1 */
};

static void tail_init(struct tail *t)
{
	double sum = 0;

	for (unsigned i = 0; i < LATENT; i++)
		t->up_to[i] = sum += 1 / (i + 1.0);
	for (unsigned i = 0; i < LATENT; i++)
		t->up_to[i] /= sum;
}

static unsigned tail_draw(const struct tail *t, struct random *r)
{
	double u = random_uniform(r);
	unsigned low = 0, high = LATENT - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (t->up_to[middle] < u)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct signature *stage_new(struct stage *s)
{
	if (s->n == NEW_MAX)
		abort();
	s->list[s->n] = (struct signature){ 0 };
	return &s->list[s->n++];
}

static double left(const struct signature *s, int arm)
{
	return (arm == 0 ? CANARY : CONTROL) - s->affected[arm] - s->events[arm];
}

/* A crash somewhere in the fleet; NULL when its signature is known. */
static struct signature *latent_crash(struct stage *s)
{
	struct tail *t = s->tail;
	unsigned i = tail_draw(t, &s->random);
	double share = t->up_to[i] - (i > 0 ? t->up_to[i - 1] : 0);

	if (t->seen[i] == 0)
		t->seen[i] = random_chance(&s->random, exp(-share * BASELINE * HISTORY)) ? 1 : -1;
	if (t->seen[i] < 0)
		return NULL;
	if (t->seen[i] == 1) {
		t->seen[i] = 2;
		t->slot[i] = s->n;
		return stage_new(s);
	}
	return &s->list[t->slot[i]];
}

static void one_event(struct stage *s, double bug_share)
{
	struct signature *g;
	int arm = 0;

	if (random_chance(&s->random, bug_share)) {
		g = s->bug ? &s->list[s->bug - 1] : stage_new(s);
		if (s->bug == 0)
			s->bug = s->n;
	} else {
		g = latent_crash(s);
		if (g == NULL)
			return;
		arm = !random_chance(&s->random, left(g, 0) / (left(g, 0) + left(g, 1)));
		s->canary_saw_new |= arm == 0;
	}
	g->events[arm]++;
	if (g->number == 0 && g->events[0] + g->events[1] == 2) {
		g->number = ++s->numbered;
		s->log_e[g->number - 1] = 0;
	}
}

/* Events until the batch closes; true when there was one. */
static void fill_batch(struct stage *s, double closes)
{
	for (;;) {
		double bug = s->bug_rate * (s->bug ? left(&s->list[s->bug - 1], 0) : CANARY);
		double rate = bug + BASELINE * (CANARY + CONTROL);
		double wait = random_exponential(&s->random) / rate;
		/* The exponential forgets: what does not come before the close is drawn anew. */
		if (s->now + wait >= closes)
			break;
		s->now += wait;
		one_event(s, bug / rate);
	}
	s->now = closes;
}

static double close_batch(struct stage *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct signature *g = &s->list[i];
		struct batch b = { g->events[0], g->events[1], CANARY - g->affected[0],
			CONTROL - g->affected[1] };
		if (g->number == 0 || b.xc + b.xk == 0)
			continue;
		eproc_signature_add(&g->e, &b);
		s->log_e[g->number - 1] = eproc_signature_value(&g->e);
		for (int arm = 0; arm < 2; arm++) {
			g->affected[arm] += g->events[arm];
			g->events[arm] = 0;
		}
	}
	return eproc_signatures_log(s->log_e, s->numbered);
}

static bool halts(struct stage *s, struct tail *tail, unsigned run, double bug_rate)
{
	random_seed(&s->random, run);
	memset(tail->seen, 0, sizeof(tail->seen));
	s->tail = tail;
	s->bug_rate = bug_rate;
	s->now = 0;
	s->canary_saw_new = false;
	s->n = s->numbered = s->bug = 0;
	for (unsigned i = 1; i <= DAYS / BATCH; i++) {
		fill_batch(s, i * BATCH);
		if (close_batch(s) >= -log(STREAMS_ALPHA))
			return true;
	}
	return false;
}

static void rare_bug(struct tail *tail, struct stage *s, unsigned runs)
{
	double *hours = figure_values(runs);
	unsigned found = 0;

	for (unsigned run = 0; run < runs; run++) {
		bool halted = halts(s, tail, run, RARE);
		hours[run] = halted ? s->now * 24 : INFINITY;
		found += halted;
	}
	figure_share_shown("T10_rare_signature_found", found, runs);
	figure_shown("T10_rare_signature_hours", figure_median(hours, runs), "h, median");
	free(hours);
}

void novelty_bug(unsigned runs)
{
	static struct tail tail;
	static struct stage s;
	double *affected = figure_values(runs), *hours = figure_values(runs);
	char unit[64];

	tail_init(&tail);
	for (unsigned run = 0; run < runs; run++) {
		bool halted = halts(&s, &tail, run, BUG);
		affected[run] = halted && s.bug ? s.list[s.bug - 1].affected[0] : INFINITY;
		hours[run] = halted ? s.now * 24 : INFINITY;
	}
	(void)snprintf(unit, sizeof(unit), "devices at the halt, median of %u runs", runs);
	figure_at_most("T10_affected_by_new_signature", figure_median(affected, runs), unit, 4);
	figure_shown("T10_hours_to_halt", figure_median(hours, runs), "h, median");
	free(hours);
	free(affected);
	rare_bug(&tail, &s, runs / 2);
}

void novelty_good_builds(unsigned runs)
{
	static struct tail tail;
	static struct stage s;
	unsigned halted = 0, saw = 0;

	tail_init(&tail);
	for (unsigned run = 0; run < runs; run++) {
		halted += halts(&s, &tail, run, 0);
		saw += s.canary_saw_new;
	}
	figure_share_at_most("T10_false_halts", halted, runs, 100 * STREAMS_ALPHA);
	figure_share_shown("T10_negative_control_any_unseen", saw, runs);
}
