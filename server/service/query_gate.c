/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate knows of one rollout. */
#include <math.h>
#include <stdlib.h>

#include "server/service/query_strata.h"
#include "server/store/novel.h"

#define SIGNATURES_SHOWN 32u
#define DISCOVERY_RATE   0.1

/* ---- streams ---- */

/* NULL: a symptom that has no name here. */
static const char *stream_name(struct query *q, enum gate_stream s)
{
	if (s < GATE_STREAM_SYMPTOM)
		return gate_stream_str(s);
	return config_symptom(q->server->config, s - GATE_STREAM_SYMPTOM);
}

/* Devices with a first event, from the strata's records: those of the open batch too. */
struct totals {
	uint64_t n[ARM__COUNT][STREAM__COUNT];
};

static void read_totals(struct query *q, const struct rollout *r, size_t step, struct totals *out)
{
	struct store_txn t;

	memset(out, 0, sizeof(*out));
	store_begin(q->server->store, &t, false);
	for (size_t i = 0; i < r->n_builds; i++) {
		const struct product *p =
			registry_product(&q->server->registry, r->builds[i].build->product);
		struct evidence e;
		if (p == NULL ||
			!stage_get(&t, (struct stage_key){ r->no, (uint8_t)step }, p->number, &e))
			continue;
		for (unsigned a = 0; a < ARM__COUNT; a++)
			for (unsigned s = 0; s < STREAM__COUNT; s++)
				out->n[a][s] += e.total[a][s];
	}
	store_abort(&t);
}

static enum stream counted(enum gate_stream s)
{
	static const enum stream of[GATE_STREAM_SYMPTOM] = {
		[GATE_STREAM_CRASH] = STREAM_CRASH,
		[GATE_STREAM_LOOP] = STREAM_CRASH_LOOP,
		[GATE_STREAM_BOOT] = STREAM_BOOT,
		[GATE_STREAM_INSTALL] = STREAM_INSTALL,
		[GATE_STREAM_ROLLBACK] = STREAM_ROLLBACK,
		[GATE_STREAM_S1] = STREAM_S1,
		[GATE_STREAM_SILENT] = STREAM_SILENT,
		[GATE_STREAM_SIGNATURES] = STREAM_SIGNATURE,
	};

	return s < GATE_STREAM_SYMPTOM ? of[s] : STREAM_SYMPTOM + (s - GATE_STREAM_SYMPTOM);
}

static void add_streams(
	struct query *q, const struct totals *n, const double *log_e, Pb__GateStage *v)
{
	v->streams = query_alloc(q, GATE_STREAM__COUNT * sizeof(*v->streams));
	for (unsigned s = 0; s < GATE_STREAM__COUNT && stream_name(q, s) != NULL; s++) {
		Pb__GateStream *x = query_alloc(q, sizeof(*x));
		*x = (Pb__GateStream)PB__GATE_STREAM__INIT;
		x->name = stream_name(q, s);
		x->weight_ppm = (uint32_t)lround(gate_weight(s) * 1e6);
		x->log_e = log_e[s];
		x->canary = n->n[ARM_CANARY][counted(s)];
		x->control = n->n[ARM_CONTROL][counted(s)];
		v->streams[v->n_streams++] = x;
	}
}

/* ---- signatures ---- */

static int most_first(const void *a, const void *b)
{
	const Pb__GateSignature *const *x = a, *const *y = b;

	return (*x)->log_e > (*y)->log_e ? -1 : (*x)->log_e < (*y)->log_e;
}

static Pb__GateSignature *view_signature(struct query *q, const struct gate_stage *s,
	const uint8_t signature[SIGNATURE_LEN], const struct novel *n)
{
	Pb__GateSignature *x = query_alloc(q, sizeof(*x));
	uint8_t *copy = query_alloc(q, SIGNATURE_LEN);

	memcpy(copy, signature, SIGNATURE_LEN);
	*x = (Pb__GateSignature)PB__GATE_SIGNATURE__INIT;
	x->signature = wire_data(copy, SIGNATURE_LEN);
	x->log_e =
		n->number < s->n_signatures ? eproc_signature_value(&s->signature[n->number]) : 0;
	x->canary = n->total[ARM_CANARY];
	x->control = n->total[ARM_CONTROL];
	x->first_ms = n->first_ms;
	return x;
}

static void mark_discoveries(Pb__GateStage *v)
{
	double loges[GATE_SIGNATURES], threshold;

	for (size_t i = 0; i < v->n_signatures; i++)
		loges[i] = v->signatures[i]->log_e;
	if (v->n_signatures == 0 ||
		eproc_ebh(loges, v->n_signatures, DISCOVERY_RATE, &threshold) == 0)
		return;
	for (size_t i = 0; i < v->n_signatures; i++)
		v->signatures[i]->discovery = v->signatures[i]->log_e >= threshold;
}

/* A device counts once for each signature it had. */
static void count_hits(Pb__GateStage *v)
{
	for (size_t i = 0; i < v->n_signatures; i++) {
		v->streams[GATE_STREAM_SIGNATURES]->canary += v->signatures[i]->canary;
		v->streams[GATE_STREAM_SIGNATURES]->control += v->signatures[i]->control;
	}
}

static void add_signatures(
	struct query *q, const struct gate_stage *s, struct stage_key key, Pb__GateStage *v)
{
	struct store_cursor c;
	struct store_txn t;
	uint8_t prefix[5];

	v->signatures = query_alloc(q, GATE_SIGNATURES * sizeof(*v->signatures));
	store_begin(q->server->store, &t, false);
	store_foreach(&c, &t, STORE_NOVEL, novel_prefix(key, prefix)) {
		uint8_t signature[SIGNATURE_LEN];
		struct novel n;
		if (novel_read(&c, signature, &n) && n.number < GATE_SIGNATURES &&
			v->n_signatures < GATE_SIGNATURES)
			v->signatures[v->n_signatures++] = view_signature(q, s, signature, &n);
	}
	store_abort(&t);
	count_hits(v);
	qsort(v->signatures, v->n_signatures, sizeof(*v->signatures), most_first);
	mark_discoveries(v);
	if (v->n_signatures > SIGNATURES_SHOWN)
		v->n_signatures = SIGNATURES_SHOWN;
}

/* ---- all of it ---- */

static Pb__GateStage *view_stage(struct reading *x, size_t step)
{
	const struct gate_run *g = gates_of(x->q->server->control, x->r);
	const struct gate_stage *s = &g->capital->stage[step];
	struct gate_rules rules = rollout_rules(x->r, step);
	double streams[GATE_STREAM__COUNT];
	Pb__GateStage *v = query_alloc(x->q, sizeof(*v));
	struct totals n;

	*v = (Pb__GateStage)PB__GATE_STAGE__INIT;
	v->step = (uint32_t)step;
	v->budget_ppm = (uint32_t)lround(rules.budget * 1e6);
	v->log_e = gate_stage_log(s, &rules, streams);
	read_totals(x->q, x->r, step, &n);
	add_streams(x->q, &n, streams, v);
	v->resolved = n.n[ARM_CANARY][STREAM_RESOLVED];
	v->judged = n.n[ARM_CANARY][STREAM_JUDGED];
	v->silent = n.n[ARM_CANARY][STREAM_SILENT];
	v->control_judged = n.n[ARM_CONTROL][STREAM_JUDGED];
	v->control_silent = n.n[ARM_CONTROL][STREAM_SILENT];
	v->shown = rules.tolerance > 0 ? eproc_cs_log(&s->ratio) : 0;
	v->needed = rules.tolerance > 0 ? -log(GATE_BETA) : 0;
	strata_add(x, step, v);
	add_signatures(x->q, s, (struct stage_key){ x->r->no, (uint8_t)step }, v);
	return v;
}

static Pb__GateView *view(struct reading *x)
{
	const struct gate_run *g = gates_of(x->q->server->control, x->r);
	Pb__GateView *v = query_alloc(x->q, sizeof(*v));
	double crashed = g->capital->stage[x->r->step].control_crashed;

	*v = (Pb__GateView)PB__GATE_VIEW__INIT;
	v->rollout = query_rollout_view(x->q, x->r);
	v->log_k = g->log_k;
	v->rows = g->rows;
	v->crash_reports = gates_crash_reports(x->q->server->control, x->r);
	v->has_baseline_per_day = x->control_days[x->r->step] > 0;
	if (v->has_baseline_per_day)
		v->baseline_per_day = crashed / x->control_days[x->r->step];
	v->stages = query_alloc(x->q, x->r->n_steps * sizeof(*v->stages));
	for (size_t i = 0; i < x->r->n_steps; i++)
		if (x->r->opened_ms[i] != 0)
			v->stages[v->n_stages++] = view_stage(x, i);
	return v;
}

int query_gate(struct query *q, Pb__AdminReply *reply)
{
	struct reading x = { .q = q };
	int err = query_find(q, &x.r);

	if (err != 0)
		return err;
	err = reading_open(&x);
	if (err == 0)
		reply->gate = view(&x);
	reading_close(&x);
	return err;
}
