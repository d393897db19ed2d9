/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/crypto.h"
#include "server/base/mem.h"
#include "server/core/capital.h"
#include "server/core/rollout.h"

#define KEY_LEN 12u

struct replay {
	const struct replay_input *in;
	struct plan_step step[LADDER_STEPS_MAX];
	struct gate_rules rules[LADDER_STEPS_MAX];
	size_t n_steps;
	struct capital *capital;
	uint64_t rows; /* taken in */
	uint8_t chain[SHA256_LEN];
	enum rollout_state state;
	uint32_t at; /* the step that is open */
	uint64_t opened_ms[LADDER_STEPS_MAX];
	uint64_t resumed_ms; /* by people; what counted against it before is gone */
	char *error;
};

struct row {
	struct evidence_row row;
	uint32_t step;
};

/* ---- rows ---- */

static struct row parse(const uint8_t *v)
{
	return (struct row){
		.step = v[0],
		.row = { .stream = (enum stream)v[1],
			.batch = get_be32(v + 4),
			.closed_ms = get_be64(v + 8),
			.xc = get_be32(v + 16),
			.xk = get_be32(v + 20),
			.ec = get_be32(v + 24),
			.ek = get_be32(v + 28),
			.age = (enum age)v[32],
			.signature = get_be16(v + 34) },
	};
}

static bool is_sound(const struct replay *r, const struct row *row)
{
	return row->step < r->n_steps && row->row.stream < STREAM__COUNT &&
		row->row.age < AGE__COUNT;
}

static int add_row(struct replay *r, struct bytes record)
{
	struct row row = parse(record.p + KEY_LEN);
	struct bytes part[] = { bytes_of(r->chain, SHA256_LEN), record };
	int err = crypto_sha256(part, 2, r->chain);

	if (err != 0 || get_be64(record.p + 4) != r->rows || !is_sound(r, &row)) {
		(void)snprintf(r->error, REPLAY_TEXT, "row %llu is not one of evidence",
			(unsigned long long)r->rows);
		return err != 0 ? err : ERR_CORRUPT;
	}
	if (row.row.closed_ms > r->resumed_ms)
		capital_resumed(r->capital, r->n_steps, r->resumed_ms);
	gate_add(&r->capital->stage[row.step], &r->rules[row.step], &row.row);
	r->rows++;
	return 0;
}

static bool has_rows(const struct replay *r, uint64_t until)
{
	return r->in->rows.n / REPLAY_ROW >= until;
}

static int add_rows(struct replay *r, uint64_t until)
{
	int err = 0;

	while (err == 0 && r->rows < until)
		err = add_row(r, bytes_of(r->in->rows.p + r->rows * REPLAY_ROW, REPLAY_ROW));
	return err;
}

/* ---- verdicts ---- */

static struct gate_judgement judge(const struct replay *r, const struct replay_verdict *v)
{
	uint32_t next = r->at + 1;
	struct gate_facts f = {
		.now_ms = v->time_ms,
		.opened_ms = r->opened_ms[r->at],
		.not_before_ms = next < r->n_steps ? r->step[next].not_before_s * 1000 : 0,
		.expected = v->decision->expected,
		.log_k = v->log_k,
		.paused = r->state == ROLLOUT_PAUSED,
		.resumed_ms = r->resumed_ms,
		.crash_reports = v->decision->crash_reports,
	};

	if (r->state != ROLLOUT_COMPLETE)
		return gate_judge(&r->capital->stage[r->at], &r->rules[r->at], &f);
	/* Still watched: it can be halted, there is nothing left to open. */
	if (v->log_k >= log(GATE_HALT))
		return (struct gate_judgement){ GATE_DO_HALT, GATE_EVIDENCE, exp(v->log_k),
			GATE_HALT };
	return (struct gate_judgement){ .reason = GATE_PASSED };
}

static const struct {
	const char *word;
	enum gate_verdict verdict;
	enum rollout_event event;
} kinds[] = {
	[PB__DECISION_KIND__DECISION_PROMOTE] = { "promote", GATE_PROMOTE, ROLLOUT_PROMOTE },
	[PB__DECISION_KIND__DECISION_PAUSE] = { "pause", GATE_DO_PAUSE, ROLLOUT_PAUSE },
	[PB__DECISION_KIND__DECISION_HALT] = { "halt", GATE_DO_HALT, ROLLOUT_HALT },
	[PB__DECISION_KIND__DECISION_COMPLETE] = { "complete", GATE_PROMOTE, ROLLOUT_FINISH },
};

static bool is_kind(Pb__DecisionKind kind)
{
	return kind > 0 && (size_t)kind < sizeof(kinds) / sizeof(kinds[0]);
}

const char *replay_decision_str(Pb__DecisionKind kind)
{
	return is_kind(kind) ? kinds[kind].word : "unknown";
}

static const char *verdict_str(enum gate_verdict verdict)
{
	static const char *const word[] = { [GATE_HOLD] = "hold",
		[GATE_PROMOTE] = "promote",
		[GATE_DO_PAUSE] = "pause",
		[GATE_DO_HALT] = "halt" };

	return word[verdict];
}

/* The last step completes, the others promote. */
static bool is_verdict(const struct replay *r, const struct replay_verdict *v)
{
	bool last = r->at + 1 == r->n_steps;
	Pb__DecisionKind kind = v->decision->kind;

	return v->judged.verdict == kinds[kind].verdict &&
		(v->judged.verdict != GATE_PROMOTE ||
			last == (kind == PB__DECISION_KIND__DECISION_COMPLETE));
}

/* The first thing that differs; log_k to the last bit. */
static void compare(const struct replay *r, struct replay_verdict *v)
{
	const Pb__Decision *d = v->decision;

	if (d->step != r->at)
		(void)snprintf(v->differs, REPLAY_TEXT, "step %u was open, not %u", r->at + 1,
			d->step + 1);
	else if (!bytes_eq(wire_bytes(d->evidence), bytes_of(r->chain, SHA256_LEN)))
		(void)snprintf(v->differs, REPLAY_TEXT,
			"the rows are not those it was taken on: their hash chain differs (rows "
			"closed since a backup are lost when it is restored)");
	else if (memcmp(&d->log_k, &v->log_k, sizeof(double)) != 0)
		(void)snprintf(v->differs, REPLAY_TEXT, "log K is %.17g, the log says %.17g",
			v->log_k, d->log_k);
	else if (!is_verdict(r, v))
		(void)snprintf(v->differs, REPLAY_TEXT, "the verdict is %s, the log says %s",
			verdict_str(v->judged.verdict), replay_decision_str(d->kind));
	else
		v->same = true;
}

/* ---- events ---- */

static int impossible(struct replay *r, const Pb__ReplayEvent *e)
{
	(void)snprintf(r->error, REPLAY_TEXT, "entry %llu of the log cannot follow those before it",
		(unsigned long long)e->index);
	return ERR_CORRUPT;
}

static int take_person(struct replay *r, const Pb__ReplayEvent *e)
{
	static const enum rollout_event event[] = {
		[PB__ACT__ACT_START] = ROLLOUT_START,
		[PB__ACT__ACT_PAUSE] = ROLLOUT_PAUSE,
		[PB__ACT__ACT_HALT] = ROLLOUT_HALT,
	};
	bool known = (size_t)e->act < sizeof(event) / sizeof(event[0]) && e->act > 0;

	if (e->resumed) {
		r->resumed_ms = e->time_ms;
		return rollout_next(&r->state, ROLLOUT_RESUME) ? 0 : impossible(r, e);
	}
	/* Halted before it, it was only approved again, of which nothing is told. */
	if (e->act == PB__ACT__ACT_START && r->opened_ms[0] == 0)
		r->state = ROLLOUT_APPROVED;
	if (!known || !rollout_next(&r->state, event[e->act]))
		return impossible(r, e);
	if (e->act == PB__ACT__ACT_START)
		r->opened_ms[0] = e->time_ms;
	return 0;
}

/* Where a backup was restored, rows that were closed since are gone; what was decided on them stands. */
static int take_rows(struct replay *r, struct replay_verdict *v)
{
	if (has_rows(r, v->decision->rows))
		return add_rows(r, v->decision->rows);
	(void)snprintf(v->differs, REPLAY_TEXT,
		"cannot be recomputed: it rests on %llu rows, and %zu are left (rows closed since a "
		"backup are lost when it is restored)",
		(unsigned long long)v->decision->rows, r->in->rows.n / REPLAY_ROW);
	return 0;
}

static int take_decision(struct replay *r, const Pb__ReplayEvent *e, struct replay_verdict *v)
{
	int err = take_rows(r, v);

	if (err != 0)
		return err;
	v->index = e->index;
	v->time_ms = e->time_ms;
	capital_resumed(r->capital, r->n_steps, r->resumed_ms);
	v->rows = r->rows;
	v->log_k = capital_log(r->capital, r->rules, r->n_steps);
	v->judged = judge(r, v);
	if (v->differs[0] == '\0')
		compare(r, v);
	if (!rollout_next(&r->state, kinds[v->decision->kind].event))
		return impossible(r, e);
	if (v->decision->kind == PB__DECISION_KIND__DECISION_PROMOTE) {
		if (r->at + 1 == r->n_steps)
			return impossible(r, e);
		r->opened_ms[++r->at] = e->time_ms;
	}
	return 0;
}

static int read_decision(
	struct replay *r, const Pb__ReplayEvent *e, struct arena *a, const Pb__Decision **out)
{
	int err;

	*out = wire_read(&pb__decision__descriptor, wire_bytes(e->decision), &wire_signed, a, &err);
	if (*out == NULL || !is_kind((*out)->kind))
		return impossible(r, e);
	return 0;
}

static int start(struct replay *r, const struct replay_input *in, char error[REPLAY_TEXT])
{
	struct plan_error fault;

	*r = (struct replay){ .in = in, .state = ROLLOUT_APPROVED, .error = error };
	if (plan_check(in->spec, &fault) != 0) {
		(void)snprintf(error, REPLAY_TEXT, "the plan: %s %s", plan_fault_key(fault.fault),
			plan_fault_str(fault.fault));
		return ERR_BAD_PLAN;
	}
	plan_steps(in->spec, in->proposed_at_s, r->step, &r->n_steps);
	for (size_t i = 0; i < r->n_steps; i++)
		r->rules[i] = capital_rules(in->spec, &r->step[i]);
	r->capital = mem_zalloc(sizeof(*r->capital));
	return 0;
}

int replay_run(const struct replay_input *in,
	void (*tell)(void *context, const struct replay_verdict *v), void *context,
	struct replay_total *total, char error[REPLAY_TEXT])
{
	uint8_t *memory = mem_alloc(REPLAY_DECISION);
	struct replay r;
	int err = start(&r, in, error);

	*total = (struct replay_total){ 0 };
	for (size_t i = 0; err == 0 && i < in->n_events; i++) {
		const Pb__ReplayEvent *e = in->events[i];
		struct arena a = { memory, REPLAY_DECISION, 0 };
		struct replay_verdict v = { 0 };
		if (!e->has_decision) {
			err = take_person(&r, e);
			continue;
		}
		err = read_decision(&r, e, &a, &v.decision);
		if (err == 0)
			err = take_decision(&r, e, &v);
		if (err != 0)
			continue;
		total->verdicts++;
		total->differ += !v.same;
		tell(context, &v);
	}
	free(r.capital);
	free(memory);
	return err;
}
