/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/gate.h"

#include <assert.h>
#include <math.h>

/* Of a relative stream: what goes on, and what a new build stirs up at first. */
static const double age_weight[AGE__COUNT] = { [AGE_STEADY] = .9, [AGE_YOUNG] = .1 };

/* Where a limit can be shown to hold with less than a tenth of the share, it must be. */
#define SHOWN_FROM 100.0

static const struct {
	double weight;
	const char *word;
} streams[GATE_STREAM_SYMPTOM + 1] = {
	[GATE_STREAM_CRASH] = { .38, "crashes" },
	[GATE_STREAM_LOOP] = { .10, "crash loops" },
	[GATE_STREAM_BOOT] = { .05, "failed boots" },
	[GATE_STREAM_INSTALL] = { .05, "failed installs" },
	[GATE_STREAM_ROLLBACK] = { .05, "rollbacks" },
	[GATE_STREAM_S1] = { .05, "no boot in time" },
	[GATE_STREAM_SILENT] = { .20, "silence" },
	[GATE_STREAM_SIGNATURES] = { .10, "new crashes" },
	[GATE_STREAM_SYMPTOM] = { .02 / SYMPTOMS, "symptoms" },
};

double gate_weight(enum gate_stream stream)
{
	return streams[stream < GATE_STREAM_SYMPTOM ? stream : GATE_STREAM_SYMPTOM].weight;
}

const char *gate_stream_str(enum gate_stream stream)
{
	return streams[stream < GATE_STREAM_SYMPTOM ? stream : GATE_STREAM_SYMPTOM].word;
}

/* ---- adding up ---- */

static void add_ratio(struct gate_ratio *r, const struct evidence_row *row, const struct batch *b)
{
	if (row->age == AGE_YOUNG)
		eproc_halt_add(&r->young, b, GATE_YOUNG_RATIO);
	else
		eproc_halt_add(&r->steady, b, 1);
}

/* Each day begins with what was known before; a past without crashes hides nothing later. */
static void begin_days(struct gate_stage *s, const struct gate_rules *rules, uint64_t now_ms)
{
	uint64_t day = now_ms < s->first_ms ? 0 : (now_ms - s->first_ms) / rules->restart_ms;

	while (s->days <= day && s->days < GATE_DAYS)
		s->before[s->days++] = s->crash.steady;
}

static void add_crash(struct gate_stage *s, const struct gate_rules *rules,
	const struct evidence_row *row, const struct batch *b)
{
	s->crashed += b->xc;
	s->control_crashed += b->xk;
	if (row->age == AGE_STEADY) {
		begin_days(s, rules, row->closed_ms);
		if (rules->tolerance > 0)
			eproc_cs_add(&s->ratio, b, rules->tolerance);
	}
	add_ratio(&s->crash, row, b);
}

static void add_signature(
	struct gate_stage *s, const struct evidence_row *row, const struct batch *b)
{
	if (row->signature >= GATE_SIGNATURES)
		return;
	eproc_signature_add(&s->signature[row->signature], b);
	if (row->signature >= s->n_signatures)
		s->n_signatures = row->signature + 1;
}

static void add_batch(struct gate_stage *s, const struct evidence_row *row)
{
	s->offered += row->xc;
	s->control += row->xk;
	if (row->batch + 1 > s->batches)
		s->batches = row->batch + 1;
}

void gate_add(struct gate_stage *s, const struct gate_rules *rules, const struct evidence_row *row)
{
	struct batch b = { row->xc, row->xk, row->ec, row->ek };
	unsigned stream = row->stream;

	assert(rules->restart_ms > 0);
	if (s->first_ms == 0)
		s->first_ms = row->closed_ms;
	if (stream == STREAM_CRASH)
		add_crash(s, rules, row, &b);
	else if (stream == STREAM_CRASH_LOOP)
		add_ratio(&s->loop, row, &b);
	else if (stream < STREAM_COMPARED)
		add_ratio(&s->symptom[stream - STREAM_SYMPTOM], row, &b);
	else if (stream == STREAM_SILENT)
		eproc_halt_add(&s->silent, &b, 1);
	else if (stream == STREAM_SIGNATURE)
		add_signature(s, row, &b);
	else if (stream >= STREAM_BOOT && stream <= STREAM_S1)
		s->failed[GATE_BOOT + (stream - STREAM_BOOT)] += row->xc;
	else if (stream == STREAM_S1_DUE)
		s->s1_due += row->xc;
	else if (stream == STREAM_RESOLVED) {
		s->attempts += row->xc;
		s->resolved += row->xc;
	} else if (stream == STREAM_ENTERED)
		add_batch(s, row);
	else if (stream == STREAM_HELD)
		s->held_batch = row->batch + 1;
}

void gate_forget(struct gate_stage *s)
{
	struct gate_stage fresh = {
		.ratio = s->ratio,
		.crashed = s->crashed,
		.control_crashed = s->control_crashed,
		.offered = s->offered,
		.resolved = s->resolved,
		.control = s->control,
		.batches = s->batches,
		/* While it was paused nobody was held back: that says nothing. */
		.held_batch = s->batches,
		.n_signatures = s->n_signatures,
	};

	*s = fresh;
}

bool gate_admitting(const struct gate_stage *s)
{
	return s->batches == 0 || s->held_batch == s->batches;
}

/* ---- evidence ---- */

/* A device may fail after it booted once: it is an attempt all the same. */
static double attempts(const struct gate_stage *s, enum gate_limit l)
{
	return fmax(l == GATE_S1 ? s->s1_due : s->attempts, s->failed[l]);
}

static double ages_log(const struct gate_rules *rules, double steady, double young)
{
	double v[AGE__COUNT] = { [AGE_STEADY] = steady, [AGE_YOUNG] = young };

	return rules->settles ? eproc_average_log(v, age_weight, AGE__COUNT) : steady;
}

static double ratio_log(const struct gate_rules *rules, const struct gate_ratio *r)
{
	return ages_log(rules, eproc_halt_log(&r->steady), eproc_halt_log(&r->young));
}

static double crash_log(const struct gate_stage *s, const struct gate_rules *rules)
{
	double steady = s->days == 0 ? 0 : eproc_restart_log(&s->crash.steady, s->before, s->days);

	return ages_log(rules, steady, eproc_halt_log(&s->crash.young));
}

static double signatures_log(const struct gate_stage *s)
{
	double v[GATE_SIGNATURES];

	for (uint32_t k = 0; k < s->n_signatures; k++)
		v[k] = eproc_signature_value(&s->signature[k]);
	return eproc_signatures_log(v, s->n_signatures);
}

double gate_stage_log(const struct gate_stage *s, const struct gate_rules *rules,
	double stream[GATE_STREAM__COUNT])
{
	double weight[GATE_STREAM__COUNT];

	stream[GATE_STREAM_CRASH] = crash_log(s, rules);
	stream[GATE_STREAM_LOOP] = ratio_log(rules, &s->loop);
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++)
		stream[GATE_STREAM_BOOT + l] =
			eproc_limit_log(s->failed[l], attempts(s, l), rules->limit[l]);
	stream[GATE_STREAM_SILENT] = eproc_halt_log(&s->silent);
	stream[GATE_STREAM_SIGNATURES] = signatures_log(s);
	for (unsigned k = 0; k < SYMPTOMS; k++)
		stream[GATE_STREAM_SYMPTOM + k] = ratio_log(rules, &s->symptom[k]);
	for (unsigned i = 0; i < GATE_STREAM__COUNT; i++)
		weight[i] = gate_weight(i);
	return eproc_average_log(stream, weight, GATE_STREAM__COUNT);
}

double gate_split_log(const struct gate_stage *s, const struct gate_rules *rules)
{
	struct batch b = { s->offered, s->control, rules->canary, rules->control };

	return eproc_split_log(&b);
}

/* ---- the verdict ---- */

static struct gate_judgement say(
	enum gate_verdict verdict, enum gate_reason reason, double have, double need)
{
	return (struct gate_judgement){ verdict, reason, have, need };
}

static struct gate_judgement hold(enum gate_reason reason, double have, double need)
{
	return say(GATE_HOLD, reason, have, need);
}

/* So many may be missing, or fail: one of a few dozen is no rate yet. */
static double allowed(double share, double n)
{
	return n < GATE_MANY ? share * n : ceil(share * n - 1e-9);
}

/* Everybody in the share has been asked: GATE_PASSED, or who is missing. */
static struct gate_judgement asked(const struct gate_stage *s, const struct gate_facts *f)
{
	if (s->offered == 0 && f->expected >= GATE_MANY)
		return hold(GATE_NOBODY, 0, (double)f->expected);
	/* Beyond what the plan offers to, phones are told to wait for ever. */
	if (gate_admitting(s) && (f->expected == 0 || s->offered < f->expected))
		return hold(GATE_ADMITTING, s->resolved, s->offered);
	return hold(GATE_PASSED, 0, 0);
}

/* What people must decide when time does not: GATE_PASSED, or what is missing. */
static struct gate_judgement missing(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *f)
{
	double shown = eproc_cs_log(&s->ratio), nats = -log(GATE_BETA);

	/* 1. Silence is no pass: nearly all have answered. */
	if (s->offered - s->resolved > allowed(1 - GATE_RESOLVED_PPM / 1e6, s->offered))
		return hold(GATE_RESOLVING, s->resolved,
			ceil(s->offered - allowed(1 - GATE_RESOLVED_PPM / 1e6, s->offered)));
	/* 2. No absolute limit is exceeded by what was seen; in a large share that is shown. */
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++) {
		double n = attempts(s, l), q0 = rules->limit[l], safe;
		if (n > 0 && s->failed[l] > allowed(q0, n))
			return hold(GATE_OVER_LIMIT, s->failed[l] / n, q0);
		if (q0 >= 1 || (double)f->expected * q0 < SHOWN_FROM)
			continue;
		safe = eproc_safe_log(s->failed[l], n, q0);
		if (safe < nats)
			return hold(GATE_UNSHOWN, safe, nats);
	}
	/* 3. The ratio is shown to lie below the tolerance. */
	if (rules->tolerance > 0 && (shown < nats || !eproc_cs_below(&s->ratio)))
		return hold(GATE_TOLERANCE, shown, nats);
	return hold(GATE_PASSED, 0, 0);
}

bool gate_resumed(uint64_t opened_ms, uint64_t resumed_ms)
{
	return resumed_ms != 0 && resumed_ms >= opened_ms;
}

struct gate_judgement gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *f)
{
	bool waived = gate_resumed(f->opened_ms, f->resumed_ms);
	uint64_t since_ms = waived ? f->resumed_ms : f->opened_ms;
	uint64_t age = f->now_ms > since_ms ? f->now_ms - since_ms : 0;
	struct gate_judgement j;
	double split;

	/* 1. Evidence against the build comes before everything. */
	if (f->log_k >= log(GATE_HALT))
		return say(GATE_DO_HALT, GATE_EVIDENCE, exp(f->log_k), GATE_HALT);
	if (f->log_k >= log(GATE_PAUSE) && !f->paused)
		return say(GATE_DO_PAUSE, GATE_EVIDENCE, exp(f->log_k), GATE_PAUSE);
	/* 2. A paused rollout waits for people, whatever the evidence says later. */
	if (f->paused)
		return hold(GATE_PAUSED, exp(f->log_k), GATE_PAUSE);
	/* 3. Without a fair split there is no comparison. */
	split = gate_split_log(s, rules);
	if (split >= log(GATE_SPLIT) && !waived)
		return say(GATE_DO_PAUSE, GATE_SPLIT_BAD, exp(split), GATE_SPLIT);
	/* 4. Time: a soak is never shortened.  Everybody in the share has been asked. */
	if (age < rules->soak_ms)
		return hold(GATE_SOAK, (double)age, (double)rules->soak_ms);
	j = asked(s, f);
	if (j.reason != GATE_PASSED && waived && age < rules->max_soak_ms)
		return j;
	/* 5. What is missing at the longest soak is for people. */
	if (waived)
		j = hold(GATE_PASSED, 0, 0);
	else if (j.reason == GATE_PASSED)
		j = missing(s, rules, f);
	if (j.reason != GATE_PASSED)
		return say(age < rules->max_soak_ms ? GATE_HOLD : GATE_DO_PAUSE, j.reason, j.have,
			j.need);
	if (!f->crash_reports && !rules->no_crash_reports && !waived)
		return say(GATE_DO_PAUSE, GATE_NO_CRASHES, 0, 0);
	/* 6. The phones would refuse the next step before its time. */
	if (f->now_ms < f->not_before_ms)
		return hold(GATE_NOT_BEFORE, (double)f->now_ms, (double)f->not_before_ms);
	return say(GATE_PROMOTE, GATE_PASSED, 0, 0);
}
