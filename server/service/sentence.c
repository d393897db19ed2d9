/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/sentence.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/base/show.h"

static struct shown duration(double ms)
{
	return show_age((uint64_t)ms);
}

/* The stage that weighs most in the capital. */
static size_t loudest(const struct rollout *r, const struct gate_run *g)
{
	double best = -INFINITY, streams[GATE_STREAM__COUNT];
	size_t at = r->step;

	for (size_t i = 0; i < r->n_steps; i++) {
		struct gate_rules rules = rollout_rules(r, i);
		double log_e = gate_stage_log(&g->capital->stage[i], &rules, streams) +
			log(rules.budget > 0 ? rules.budget : 1e-300);
		if (log_e > best) {
			best = log_e;
			at = i;
		}
	}
	return at;
}

static const char *loudest_stream(const struct rollout *r, const struct gate_run *g, size_t step)
{
	struct gate_rules rules = rollout_rules(r, step);
	double streams[GATE_STREAM__COUNT], best = -INFINITY;
	unsigned at = 0;

	(void)gate_stage_log(&g->capital->stage[step], &rules, streams);
	for (unsigned i = 0; i < GATE_STREAM__COUNT; i++)
		if (streams[i] + log(gate_weight(i)) > best) {
			best = streams[i] + log(gate_weight(i));
			at = i;
		}
	return gate_stream_str(at);
}

static void stopped(const struct rollout *r, const struct gate_run *g, const char *verb,
	double line, char out[STATE_TEXT])
{
	size_t step = loudest(r, g);

	(void)snprintf(out, STATE_TEXT, "%s in %s: evidence %s against it, %s at %.0f : 1",
		loudest_stream(r, g, step), ring_str((enum ring)r->steps[step].ring),
		show_odds(g->log_k).s, verb, line);
}

/* What is said of a judgement, with its numbers; `out` has room for STATE_TEXT. */
static void reason_text(const struct gate_judgement *j, const char *mute, char *out)
{
	switch (j->reason) {
	case GATE_SPLIT_BAD:
		(void)snprintf(out, STATE_TEXT,
			"the arms are not split as they should be (%s): nothing can be compared",
			show_odds(log(j->have)).s);
		return;
	case GATE_SOAK:
		(void)snprintf(out, STATE_TEXT, "soaking: %s of %s", duration(j->have).s,
			duration(j->need).s);
		return;
	case GATE_NOBODY:
		(void)snprintf(out, STATE_TEXT, "none of about %.0f devices has come yet", j->need);
		return;
	case GATE_ADMITTING:
		(void)snprintf(out, STATE_TEXT, "taking devices in slowly: %.0f of %.0f resolved",
			j->have, j->need);
		return;
	case GATE_RESOLVING:
		(void)snprintf(
			out, STATE_TEXT, "waits for outcomes: %.0f of %.0f", j->have, j->need);
		return;
	case GATE_OVER_LIMIT:
		(void)snprintf(out, STATE_TEXT, "failures %.2f %% are above the limit of %.2f %%",
			j->have * 100, j->need * 100);
		return;
	case GATE_UNSHOWN:
		(void)snprintf(out, STATE_TEXT,
			"failures not yet shown to be below their limit: %.1f of %.1f nats",
			j->have, j->need);
		return;
	case GATE_TOLERANCE:
		(void)snprintf(out, STATE_TEXT,
			"not yet shown to be within the tolerance: %.1f of %.1f nats", j->have,
			j->need);
		return;
	case GATE_NO_CRASHES:
		if (mute[0] != '\0')
			(void)snprintf(out, STATE_TEXT, "no crash reports come from %.100s", mute);
		else
			(void)snprintf(
				out, STATE_TEXT, "these devices have never sent a crash report");
		return;
	case GATE_NOT_BEFORE:
		(void)snprintf(out, STATE_TEXT, "the approved plan opens the next step in %s",
			duration(j->need - j->have).s);
		return;
	case GATE_EVIDENCE:
	case GATE_PAUSED:
	case GATE_PASSED:
		out[0] = '\0';
		return;
	}
}

static void ask_person(const struct gate_judgement *j, const char *mute, char out[STATE_TEXT])
{
	char why[STATE_TEXT];

	reason_text(j, mute, why);
	(void)snprintf(out, STATE_TEXT, "a person must decide: %.150s", why);
}

void sentence_decision(
	const struct rollout *r, const struct gate_run *g, const char *mute, char out[STATE_TEXT])
{
	const struct gate_stage *s = &g->capital->stage[r->step];

	if (g->last.verdict == GATE_DO_HALT)
		stopped(r, g, "halt", GATE_HALT, out);
	else if (g->last.verdict == GATE_DO_PAUSE && g->last.reason == GATE_EVIDENCE)
		stopped(r, g, "pause", GATE_PAUSE, out);
	else if (g->last.verdict == GATE_DO_PAUSE)
		ask_person(&g->last, mute, out);
	else
		(void)snprintf(out, STATE_TEXT, "%u of %u offers resolved, evidence %s",
			s->resolved, s->offered, show_odds(g->log_k).s);
}

void sentence_gate(const struct rollout *r, const struct gate_run *g,
	const struct gate_judgement *j, const char *mute, char out[STATE_TEXT])
{
	if (j->reason == GATE_PAUSED && r->why[0] != '\0')
		(void)snprintf(out, STATE_TEXT, "%s", r->why);
	else if (j->reason == GATE_EVIDENCE || j->reason == GATE_PAUSED)
		stopped(r, g, "pause", GATE_PAUSE, out);
	else
		reason_text(j, mute, out);
}
