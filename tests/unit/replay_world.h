/* SPDX-License-Identifier: Apache-2.0 */
/* A server in small, that writes down what a replay reads. */
#pragma once

#include "unit.h"

#include "proto/bucket.h"
#include "proto/crypto.h"
#include "server/core/capital.h"
#include "server/ctl/replay.h"

#define HOUR     3600000ull
#define DAY      (24 * HOUR)
#define PROPOSED (1000 * DAY)
#define ROWS     64
#define EVENTS   16
#define PACKED   256

/* A server in small: it closes rows, judges and writes its log. */
struct world {
	Pb__PlanSpec spec;
	Pb__StageSpec stage[2], *stages[2];
	struct plan_step step[LADDER_STEPS_MAX];
	struct gate_rules rules[LADDER_STEPS_MAX];
	size_t n_steps;
	uint8_t rows[ROWS][REPLAY_ROW];
	size_t n_rows, read;
	Pb__ReplayEvent event[EVENTS], *events[EVENTS];
	Pb__Decision decision[EVENTS];
	uint8_t packed[EVENTS][PACKED], chain[EVENTS][SHA256_LEN];
	size_t n_events;
	struct capital capital;
	uint64_t now_ms, opened_ms[2], resumed_ms;
	uint32_t at;
	bool paused, complete;
	/* Of the replay. */
	uint64_t proposed_s;
	struct replay_total total;
	char error[REPLAY_TEXT], differs[REPLAY_TEXT];
	size_t told;
};

static void add_stage(struct world *w, uint32_t share, uint32_t tolerance)
{
	Pb__StageSpec *s = &w->stage[w->spec.n_stages];

	*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
	s->ring = PB__RING__RING_STABLE;
	s->share_ppm = share;
	s->soak_ms = DAY;
	s->max_soak_ms = 3 * DAY;
	s->tolerance_ppm = tolerance;
	s->boot_ppm = s->install_ppm = s->rollback_ppm = s->s1_ppm = 100000;
	w->stages[w->spec.n_stages++] = s;
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	w->spec.name = "test";
	w->spec.line = "default";
	w->spec.stages = w->stages;
	w->spec.settle_ms = HOUR;
	w->spec.watch_ms = DAY;
	w->spec.batch_ms = HOUR / 6;
	w->spec.restart_ms = DAY;
	w->spec.s1_ms = 6 * HOUR;
	w->spec.silence_ms = 2 * HOUR;
	w->spec.silence_polls = 3;
	add_stage(w, 100000, 2000000);
	add_stage(w, PPM, 0);
	plan_steps(&w->spec, PROPOSED / 1000, w->step, &w->n_steps);
	assert_int_equal(w->n_steps, 2);
	for (size_t i = 0; i < w->n_steps; i++)
		w->rules[i] = capital_rules(&w->spec, &w->step[i]);
	w->proposed_s = PROPOSED / 1000;
	w->now_ms = PROPOSED + HOUR;
}

/* ---- evidence ---- */

struct counts {
	enum stream stream;
	uint32_t xc, xk, ec, ek;
};

static void close_row(struct world *w, uint32_t batch, const struct counts *c)
{
	uint8_t *p = w->rows[w->n_rows], *v = p + 12;

	put_be32(p, 7);
	put_be64(p + 4, w->n_rows++);
	v[0] = (uint8_t)w->at;
	v[1] = (uint8_t)c->stream;
	put_be32(v + 4, batch);
	put_be64(v + 8, w->now_ms);
	put_be32(v + 16, c->xc);
	put_be32(v + 20, c->xk);
	put_be32(v + 24, c->ec);
	put_be32(v + 28, c->ek);
}

/* A batch in which all 100 canary devices come, boot and crash as often as told. */
static void batch(struct world *w, uint32_t number, uint32_t crashed, uint32_t control_crashed)
{
	bool first = number == 0, last = w->at == 1;
	struct counts c[] = {
		{ STREAM_ENTERED, first ? 100 : 0, first && !last ? 900 : 0, 0, 0 },
		{ STREAM_RESOLVED, first ? 100 : 0, 0, 0, 0 },
		{ STREAM_CRASH, crashed, control_crashed, 100, last ? 0 : 900 },
	};

	w->now_ms += HOUR;
	for (size_t i = 0; i < COUNT(c); i++)
		close_row(w, number, &c[i]);
}

/* ---- the log ---- */

static Pb__ReplayEvent *event(struct world *w)
{
	Pb__ReplayEvent *e = &w->event[w->n_events];

	*e = (Pb__ReplayEvent)PB__REPLAY_EVENT__INIT;
	e->index = 100 + w->n_events;
	e->time_ms = w->now_ms;
	w->events[w->n_events++] = e;
	return e;
}

static void person(struct world *w, Pb__Act act)
{
	Pb__ReplayEvent *e = event(w);

	e->has_act = 1;
	e->act = act;
	w->paused = act == PB__ACT__ACT_PAUSE;
	if (act == PB__ACT__ACT_START)
		w->opened_ms[0] = w->now_ms;
}

static void resume(struct world *w)
{
	Pb__ReplayEvent *e = event(w);

	e->has_resumed = e->resumed = 1;
	w->resumed_ms = w->now_ms;
	w->paused = w->complete = false;
}

static void forget(struct world *w)
{
	capital_resumed(&w->capital, w->n_steps, w->resumed_ms);
}

/* All that closed is read, as often as the gate runs. */
static void look(struct world *w)
{
	for (; w->read < w->n_rows; w->read++) {
		const uint8_t *v = w->rows[w->read] + 12;
		struct evidence_row row = { .stream = (enum stream)v[1],
			.batch = get_be32(v + 4),
			.closed_ms = get_be64(v + 8),
			.xc = get_be32(v + 16),
			.xk = get_be32(v + 20),
			.ec = get_be32(v + 24),
			.ek = get_be32(v + 28),
			.age = (enum age)v[32] };
		if (row.closed_ms > w->resumed_ms)
			forget(w);
		gate_add(&w->capital.stage[v[0]], &w->rules[v[0]], &row);
	}
	forget(w);
}

static void pack(struct world *w, size_t i)
{
	Pb__Decision *d = &w->decision[i];

	assert_true(wire_size(d) <= PACKED);
	w->event[i].has_decision = 1;
	w->event[i].decision = wire_data(w->packed[i], wire_write(d, w->packed[i]));
}

static void write_down(struct world *w, Pb__DecisionKind kind, double log_k)
{
	static uint8_t id[16];
	size_t i = w->n_events;
	Pb__Decision *d = &w->decision[i];

	*d = (Pb__Decision)PB__DECISION__INIT;
	d->spec_version = 1;
	d->repository = "acme";
	d->kind = kind;
	d->has_rollout_id = d->has_step = d->has_evidence = d->has_log_k = d->has_rows = 1;
	d->has_expected = d->has_crash_reports = 1;
	d->rollout_id = wire_data(id, sizeof(id));
	d->step = w->at;
	for (size_t k = 0; k < w->n_rows; k++) {
		struct bytes part[] = { { w->chain[i], SHA256_LEN }, { w->rows[k], REPLAY_ROW } };
		assert_int_equal(crypto_sha256(part, 2, w->chain[i]), 0);
	}
	d->evidence = wire_data(w->chain[i], SHA256_LEN);
	d->rows = w->n_rows;
	d->log_k = log_k;
	d->expected = 100;
	d->crash_reports = 1;
	(void)event(w);
	pack(w, i);
}

/* The gate runs, and must come to this. */
static void decide(struct world *w, Pb__DecisionKind kind)
{
	static const enum gate_verdict want[] = { [PB__DECISION_KIND__DECISION_PROMOTE] =
							  GATE_PROMOTE,
		[PB__DECISION_KIND__DECISION_PAUSE] = GATE_DO_PAUSE,
		[PB__DECISION_KIND__DECISION_HALT] = GATE_DO_HALT,
		[PB__DECISION_KIND__DECISION_COMPLETE] = GATE_PROMOTE };
	struct gate_facts f = { .now_ms = w->now_ms,
		.opened_ms = w->opened_ms[w->at],
		.not_before_ms = w->at == 0 ? w->step[1].not_before_s * 1000 : 0,
		.expected = 100,
		.paused = w->paused,
		.resumed_ms = w->resumed_ms,
		.crash_reports = true };
	struct gate_judgement j;

	look(w);
	f.log_k = capital_log(&w->capital, w->rules, w->n_steps);
	j = gate_judge(&w->capital.stage[w->at], &w->rules[w->at], &f);
	if (j.verdict != want[kind])
		fail_msg("verdict %d for reason %d: %g of %g", j.verdict, j.reason, j.have, j.need);
	write_down(w, kind, f.log_k);
	w->paused = kind == PB__DECISION_KIND__DECISION_PAUSE;
	if (kind == PB__DECISION_KIND__DECISION_PROMOTE)
		w->opened_ms[++w->at] = w->now_ms;
	w->complete = kind == PB__DECISION_KIND__DECISION_COMPLETE;
}
