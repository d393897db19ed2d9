/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/gate.h"

#include <math.h>

const double gate_weight[GATE_STREAM__COUNT] = {
	[GATE_STREAM_CRASH] = .40,
	[GATE_STREAM_BOOT] = .20 / 3,
	[GATE_STREAM_INSTALL] = .20 / 3,
	[GATE_STREAM_ROLLBACK] = .20 / 3,
};

static void add_batch(struct gate_stage *s, const struct evidence_row *row)
{
	s->offered += row->xc;
	s->control += row->xk;
	if (row->batch + 1 > s->batches)
		s->batches = row->batch + 1;
}

static void add_crash(
	struct gate_stage *s, const struct gate_rules *rules, const struct evidence_row *row)
{
	struct batch b = { row->xc, row->xk, row->ec, row->ek };

	eproc_halt_add(&s->crash, &b, 1);
	if (rules->tolerance > 0)
		eproc_cs_add(&s->ratio, &b, rules->tolerance);
}

void gate_add(struct gate_stage *s, const struct gate_rules *rules, const struct evidence_row *row)
{
	switch (row->stream) {
	case STREAM_CRASH:
		add_crash(s, rules, row);
		break;
	case STREAM_BOOT:
		s->failed[GATE_BOOT] += row->xc;
		break;
	case STREAM_INSTALL:
		s->failed[GATE_INSTALL] += row->xc;
		break;
	case STREAM_ROLLBACK:
		s->failed[GATE_ROLLBACK] += row->xc;
		break;
	case STREAM_RESOLVED:
		s->attempts += row->xc;
		s->resolved += row->xc;
		break;
	case STREAM_ENTERED:
		add_batch(s, row);
		break;
	case STREAM_HELD:
		s->held_batch = row->batch + 1;
		break;
	case STREAM_CRASH_LOOP:
	case STREAM_S1:
	case STREAM_SILENT:
	case STREAM_SYMPTOM:
	case STREAM_DOWNLOADED:
	case STREAM_INSTALLING:
	case STREAM_INSTALLED:
	case STREAM_BOOT_OK:
	case STREAM__COUNT:
		break;
	}
}

void gate_forget(struct gate_stage *s)
{
	s->crash = (struct eproc_halt){ 0 };
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++)
		s->failed[l] = 0;
	s->attempts = 0;
}

bool gate_admitting(const struct gate_stage *s)
{
	return s->batches == 0 || s->held_batch == s->batches;
}

/* A device may fail after it booted once: it is an attempt all the same. */
static double attempts(const struct gate_stage *s, enum gate_limit l)
{
	return fmax(s->attempts, s->failed[l]);
}

double gate_stage_log(const struct gate_stage *s, const struct gate_rules *rules,
	double stream[GATE_STREAM__COUNT])
{
	stream[GATE_STREAM_CRASH] = eproc_halt_log(&s->crash);
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++)
		stream[GATE_STREAM_BOOT + l] =
			eproc_limit_log(s->failed[l], attempts(s, l), rules->limit[l]);
	return eproc_average_log(stream, gate_weight, GATE_STREAM__COUNT);
}

static struct gate_judgement hold(enum gate_reason reason, double have, double need)
{
	return (struct gate_judgement){ GATE_HOLD, reason, have, need };
}

struct gate_judgement gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *f)
{
	uint64_t age = f->now_ms > f->opened_ms ? f->now_ms - f->opened_ms : 0;
	double shown;

	/* 1. Evidence against the build comes before everything. */
	if (f->log_k >= log(GATE_HALT))
		return (struct gate_judgement){ GATE_DO_HALT, GATE_EVIDENCE, exp(f->log_k),
			GATE_HALT };
	if (f->log_k >= log(GATE_PAUSE) && !f->paused)
		return (struct gate_judgement){ GATE_DO_PAUSE, GATE_EVIDENCE, exp(f->log_k),
			GATE_PAUSE };
	/* 2. A paused rollout waits for people, whatever the evidence says later. */
	if (f->paused)
		return hold(GATE_PAUSED, exp(f->log_k), GATE_PAUSE);
	/* 3. Time: a soak is never shortened. */
	if (age < rules->soak_ms)
		return hold(GATE_SOAK, (double)age, (double)rules->soak_ms);
	/* 4. Silence is no pass.  Everybody in the share has been asked, and nearly all have answered. */
	if (s->offered == 0 && f->expected >= GATE_MANY)
		return hold(GATE_NOBODY, 0, (double)f->expected);
	if (gate_admitting(s))
		return hold(GATE_ADMITTING, s->resolved, s->offered);
	if ((uint64_t)s->resolved * 1000000 < (uint64_t)s->offered * GATE_RESOLVED_PPM)
		return hold(GATE_RESOLVING, s->resolved, ceil(s->offered * .95));
	/* 5. No absolute limit is exceeded by what was seen. */
	for (unsigned l = 0; l < GATE_LIMIT__COUNT; l++) {
		double n = attempts(s, l);
		if (n > 0 && s->failed[l] / n > rules->limit[l])
			return hold(GATE_OVER_LIMIT, s->failed[l] / n, rules->limit[l]);
	}
	/* 6. The ratio is shown to lie below the tolerance. */
	shown = eproc_cs_log(&s->ratio);
	if (rules->tolerance > 0 && (shown < -log(GATE_BETA) || !eproc_cs_below(&s->ratio)))
		return hold(age < rules->max_soak_ms ? GATE_TOLERANCE : GATE_UNDECIDED, shown,
			-log(GATE_BETA));
	/* 7. The phones would refuse the next step before its time. */
	if (f->now_ms < f->not_before_ms)
		return hold(GATE_NOT_BEFORE, (double)f->now_ms, (double)f->not_before_ms);
	return (struct gate_judgement){ GATE_PROMOTE, GATE_PASSED, 0, 0 };
}
