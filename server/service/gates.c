/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's runs: closed rows in, decisions out. */
#include <math.h>
#include <stdio.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/service/sentence.h"

#define KEPT 64u /* rollouts whose sums are kept, half a megabyte each, besides those at work */

static void run_free(struct gate_run *g)
{
	free(g->capital);
	free(g);
}

void gates_release(struct control *c)
{
	for (size_t i = 0; i < c->n_gates; i++)
		run_free(c->gates[i]);
	free(c->gates);
}

/* Rows may still come: it is open, or complete and watched. */
static bool is_at_work(const struct control *c, const struct rollout *r)
{
	if (r->state != ROLLOUT_COMPLETE)
		return rollout_is_live(r);
	for (size_t i = 0; i < c->n_follows; i++)
		if (c->follows[i].key.rollout == r->no)
			return true;
	return false;
}

static bool is_idle(const struct control *c, const struct gate_run *g)
{
	for (size_t i = 0; i < c->state.n_rollouts; i++)
		if (c->state.rollouts[i]->no == g->rollout)
			return !is_at_work(c, c->state.rollouts[i]);
	return true;
}

/* The oldest that are over go first; what they said is in the rows. */
static void make_room(struct control *c)
{
	for (size_t i = 0; c->n_gates >= KEPT && i < c->n_gates;) {
		if (!is_idle(c, c->gates[i])) {
			i++;
			continue;
		}
		run_free(c->gates[i]);
		memmove(&c->gates[i], &c->gates[i + 1],
			(--c->n_gates - i) * sizeof(struct gate_run *));
	}
}

static struct gate_run *run_of(struct control *c, const struct rollout *r)
{
	struct gate_run *g;

	for (size_t i = 0; i < c->n_gates; i++)
		if (c->gates[i]->rollout == r->no)
			return c->gates[i];
	make_room(c);
	g = mem_zalloc(sizeof(*g));
	g->rollout = r->no;
	g->capital = mem_zalloc(sizeof(*g->capital));
	c->gates = mem_resize(c->gates, c->n_gates + 1, sizeof(struct gate_run *));
	c->gates[c->n_gates++] = g;
	return g;
}

void gates_mute(const struct control *c, const struct rollout *r, char out[STATE_TEXT])
{
	unsigned n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < r->n_builds; i++) {
		const char *name = r->builds[i].build->product;
		unsigned protocol = config_protocol(c->server->config, name);
		if (protocol != 0 && n++ == 0)
			(void)snprintf(out, STATE_TEXT, "%s (%s)", name,
				foreign_protocol_str((enum foreign_protocol)protocol));
	}
	if (n > 1)
		(void)snprintf(out + strlen(out), STATE_TEXT - strlen(out),
			" and %u more product%s", n - 1, n == 2 ? "" : "s");
}

bool gates_crash_reports(const struct control *c, const struct rollout *r)
{
	bool some = false;

	for (size_t i = 0; i < r->n_builds; i++) {
		const char *name = r->builds[i].build->product;
		const struct product *p = registry_product(&c->server->registry, name);
		if (config_is_foreign(c->server->config, name))
			return false; /* what others report says nothing of these */
		if (p != NULL && atomic_load(&c->server->registry.crashes[p->number]))
			some = true;
	}
	return some;
}

static void add_row(struct gate_run *g, const struct rollout *r, const struct stored_row *row)
{
	struct gate_rules rules;

	if (row->stage.step >= r->n_steps)
		return;
	if (row->row.closed_ms > r->resumed_ms)
		capital_resumed(g->capital, r->n_steps, r->resumed_ms);
	rules = rollout_rules(r, row->stage.step);
	gate_add(&g->capital->stage[row->stage.step], &rules, &row->row);
}

static void read_rows(struct control *c, struct gate_run *g, const struct rollout *r)
{
	uint8_t prefix[4], from[12];
	struct store_cursor cursor;
	struct store_txn t;

	put_be32(prefix, r->no);
	store_begin(c->server->store, &t, false);
	store_seek_from(&cursor, &t, STORE_ROW, bytes_of(prefix, 4), row_key(r->no, g->rows, from));
	while (store_next(&cursor)) {
		struct stored_row row;
		uint64_t number;
		if (!row_read(&cursor, &number, &row))
			continue; /* the error ends the loop */
		add_row(g, r, &row);
		g->rows = number + 1;
	}
	if (t.err != 0)
		log_error("rollout %s: evidence cannot be read: %s", r->release, err_str(t.err));
	store_abort(&t);
}

static double capital(const struct gate_run *g, const struct rollout *r)
{
	struct gate_rules rules[LADDER_STEPS_MAX];

	for (size_t i = 0; i < r->n_steps; i++)
		rules[i] = rollout_rules(r, i);
	return capital_log(g->capital, rules, r->n_steps);
}

static void catch_up(struct control *c, struct gate_run *g, const struct rollout *r)
{
	read_rows(c, g, r);
	capital_resumed(g->capital, r->n_steps, r->resumed_ms);
	g->log_k = capital(g, r);
}

/* Those at work are caught up with at each tick, the others when somebody asks. */
struct gate_run *gates_of(struct control *c, const struct rollout *r)
{
	struct gate_run *g = run_of(c, r);

	if (!is_at_work(c, r))
		catch_up(c, g, r);
	return g;
}

/* Its share, or as many as the plan offers to. */
static uint64_t expected(const struct control *c, const struct rollout *r)
{
	uint64_t share = follow_expected(c, r, r->step);
	int stage = r->steps[r->step].stage;
	const Pb__StageSpec *s = stage >= 0 ? r->spec->stages[stage] : NULL;

	return s != NULL && s->has_devices && s->devices < share ? s->devices : share;
}

struct gate_judgement gates_judge(
	const struct control *c, const struct gate_run *g, const struct rollout *r, uint64_t now_ms)
{
	struct gate_rules rules = rollout_rules(r, r->step);
	struct gate_facts facts = {
		.now_ms = now_ms,
		.opened_ms = r->opened_ms[r->step],
		.not_before_ms =
			r->step + 1 < r->n_steps ? r->steps[r->step + 1].not_before_s * 1000 : 0,
		.expected = expected(c, r),
		.log_k = g->log_k,
		.paused = r->state == ROLLOUT_PAUSED,
		.resumed_ms = r->resumed_ms,
		.crash_reports = gates_crash_reports(c, r),
	};

	return gate_judge(&g->capital->stage[r->step], &rules, &facts);
}

/* Binds the decision to the rows it rests on: a hash chain over all of them, in their order. */
static int chain(struct control *c, const struct gate_run *g, uint8_t out[SHA256_LEN])
{
	struct store_cursor cursor;
	struct store_txn t;
	uint8_t prefix[4];
	int err = 0;

	memset(out, 0, SHA256_LEN);
	put_be32(prefix, g->rollout);
	store_begin(c->server->store, &t, false);
	store_foreach(&cursor, &t, STORE_ROW, bytes_of(prefix, 4)) {
		struct bytes part[] = { bytes_of(out, SHA256_LEN), cursor.key, cursor.value };
		if (err == 0 && get_be64(cursor.key.p + 4) < g->rows)
			err = crypto_sha256(part, 3, out);
	}
	err = err != 0 ? err : t.err;
	store_abort(&t);
	return err;
}

static int decide(struct control *c, struct rollout *r, struct gate_run *g, Pb__DecisionKind kind,
	uint64_t now_ms)
{
	Pb__Decision d = PB__DECISION__INIT;
	uint8_t evidence[SHA256_LEN];
	char why[STATE_TEXT], mute[STATE_TEXT];
	int err;

	gates_mute(c, r, mute);
	sentence_decision(r, g, mute, why);
	err = chain(c, g, evidence);
	if (err != 0)
		return err;
	d.kind = kind;
	d.has_rollout_id = 1;
	d.rollout_id = wire_data(r->id, ID_LEN);
	d.has_step = 1;
	d.step = r->step;
	d.has_evidence = 1;
	d.evidence = wire_data(evidence, SHA256_LEN);
	d.has_rows = 1;
	d.rows = g->rows;
	d.has_log_k = 1;
	d.log_k = g->log_k;
	d.has_expected = 1;
	d.expected = expected(c, r);
	d.has_crash_reports = 1;
	d.crash_reports = gates_crash_reports(c, r);
	d.why = why;
	return control_decide(c, &d, now_ms);
}

static bool act(struct control *c, struct rollout *r, struct gate_run *g, uint64_t now_ms)
{
	static const struct {
		Pb__DecisionKind kind;
		enum metric metric;
		const char *word;
	} actions[] = {
		[GATE_PROMOTE] = { PB__DECISION_KIND__DECISION_PROMOTE, METRIC_PROMOTIONS,
			"passed" },
		[GATE_DO_PAUSE] = { PB__DECISION_KIND__DECISION_PAUSE, METRIC_PAUSES_GATE,
			"paused" },
		[GATE_DO_HALT] = { PB__DECISION_KIND__DECISION_HALT, METRIC_HALTS_GATE, "halted" },
	};
	enum gate_verdict v = g->last.verdict;
	Pb__DecisionKind kind = actions[v].kind;
	uint32_t step = r->step;

	if (v == GATE_PROMOTE && step + 1 == r->n_steps)
		kind = PB__DECISION_KIND__DECISION_COMPLETE;
	if (decide(c, r, g, kind, now_ms) != 0)
		return false;
	metric_add(actions[v].metric, 1);
	log_info("rollout %s: step %u of %zu %s: %s", r->release, step + 1, r->n_steps,
		actions[v].word, r->why);
	return true;
}

/* True when it decided something. */
static bool run(struct control *c, struct rollout *r, uint64_t now_ms)
{
	struct gate_run *g = run_of(c, r);

	catch_up(c, g, r);
	if (r->state == ROLLOUT_COMPLETE) {
		/* Still watched: it can be halted, there is nothing left to open. */
		g->last = (struct gate_judgement){ .reason = GATE_PASSED };
		if (g->log_k >= log(GATE_HALT))
			g->last = (struct gate_judgement){ GATE_DO_HALT, GATE_EVIDENCE,
				exp(g->log_k), GATE_HALT };
	} else {
		g->last = gates_judge(c, g, r, now_ms);
	}
	return g->last.verdict != GATE_HOLD && act(c, r, g, now_ms);
}

void gates_run(struct control *c, uint64_t now_ms)
{
	bool decided = false;

	for (size_t i = 0; i < c->state.n_rollouts; i++)
		if (is_at_work(c, c->state.rollouts[i]))
			decided |= run(c, c->state.rollouts[i], now_ms);
	if (!decided)
		return;
	if (follow_update(c, now_ms) != 0)
		log_error("evidence: stages cannot be opened or closed");
	publish(c, now_ms, false);
}
