/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate knows of the rollout of fake_scenes.c, and a replay of another one. */
#include <math.h>
#include <string.h>

#include "fake_scenes.h"
#include "proto/crypto.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"
#include "server/core/capital.h"

#define HOUR     3600000ull
#define DAY      (24 * HOUR)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OPENED   6u /* stages of the story that have */
#define ROW      48u
#define ROWS     3u

/* clang-format off */
static const struct {
	const char *name;
	uint32_t weight_ppm;
	double log_e;
	uint64_t canary, control;
} streams[] = {
	{ "crashes", 400000, 2.3, 31, 281 },
	{ "crash loops", 100000, -0.2, 1, 9 },
	{ "failed boots", 66667, 0, 0, 0 },
	{ "failed installs", 66667, -0.9, 11, 0 },
	{ "rollbacks", 66666, 0, 0, 0 },
	{ "silent devices", 200000, -0.4, 12, 101 },
	{ "new signatures", 100000, 1.1, 9, 4 },
};
static const struct {
	const char *name;
	bool component;
	uint64_t offered, control, crashed, control_crashed, failed;
	double log_e;
} strata[] = {
	{ "modem-x55", true, 3000, 29000, 22, 95, 9, 3.6 },
	{ "phone-b", false, 3000, 29000, 22, 95, 9, 3.4 },
	{ "phone-a", false, 6000, 60000, 9, 186, 2, -0.8 },
};
static const struct {
	uint8_t first;
	double log_e;
	uint64_t canary, control;
	bool discovery;
} signatures[] = {
	{ 0xa1, 4.1, 6, 0, true }, { 0x5c, 0.4, 2, 1, false }, { 0x07, -0.3, 1, 3, false },
};
/* clang-format on */

static struct {
	Pb__GateView view;
	Pb__GateStage stage[OPENED], *stages[OPENED];
	Pb__GateStream stream[COUNT(streams)], *stream_list[COUNT(streams)];
	Pb__GateStratum stratum[COUNT(strata)], *stratum_list[COUNT(strata)];
	Pb__GateSignature signature[COUNT(signatures)], *signature_list[COUNT(signatures)];
	uint8_t hash[COUNT(signatures)][16];
} g;

static void tell_streams(Pb__GateStage *s)
{
	for (size_t i = 0; i < COUNT(streams); i++) {
		Pb__GateStream *x = &g.stream[i];
		*x = (Pb__GateStream)PB__GATE_STREAM__INIT;
		x->name = streams[i].name;
		x->weight_ppm = streams[i].weight_ppm;
		x->log_e = streams[i].log_e;
		x->canary = streams[i].canary;
		x->control = streams[i].control;
		g.stream_list[i] = x;
	}
	s->streams = g.stream_list;
	s->n_streams = COUNT(streams);
}

static void tell_strata(Pb__GateStage *s)
{
	for (size_t i = 0; i < COUNT(strata); i++) {
		Pb__GateStratum *x = &g.stratum[i];
		*x = (Pb__GateStratum)PB__GATE_STRATUM__INIT;
		x->name = strata[i].name;
		x->component = strata[i].component;
		x->offered = strata[i].offered;
		x->control = strata[i].control;
		x->crashed = strata[i].crashed;
		x->control_crashed = strata[i].control_crashed;
		x->failed = strata[i].failed;
		x->log_e = strata[i].log_e;
		g.stratum_list[i] = x;
	}
	s->strata = g.stratum_list;
	s->n_strata = COUNT(strata);
}

static void tell_signatures(Pb__GateStage *s, uint64_t now_ms)
{
	for (size_t i = 0; i < COUNT(signatures); i++) {
		Pb__GateSignature *x = &g.signature[i];
		memset(g.hash[i], signatures[i].first, sizeof(g.hash[i]));
		*x = (Pb__GateSignature)PB__GATE_SIGNATURE__INIT;
		x->signature = wire_data(g.hash[i], sizeof(g.hash[i]));
		x->log_e = signatures[i].log_e;
		x->canary = signatures[i].canary;
		x->control = signatures[i].control;
		x->discovery = signatures[i].discovery;
		x->first_ms = now_ms - (i + 1) * HOUR;
		g.signature_list[i] = x;
	}
	s->signatures = g.signature_list;
	s->n_signatures = COUNT(signatures);
}

static void tell_open(Pb__GateStage *s, uint64_t now_ms)
{
	s->log_e = 1.81;
	s->resolved = 8251;
	s->judged = 7400;
	s->silent = 12;
	s->control_judged = 71000;
	s->control_silent = 101;
	s->shown = 1.4;
	s->needed = log(20);
	tell_streams(s);
	tell_strata(s);
	tell_signatures(s, now_ms);
}

static void blind(Pb__StageView *s)
{
	s->ring_devices = 4000;
	s->offered = 360;
	s->control = 3600;
	s->crashed = 2;
	s->has_expected = s->has_ratio = 0;
}

bool scene_gate(const char *name, uint64_t now_ms, Pb__AdminReply *out)
{
	bool special = strcmp(name, "blind") == 0 || strcmp(name, "no-reports") == 0;

	if (!scene_fill(special ? "running" : name, 0, now_ms, out) || out->n_rollouts == 0)
		return false;
	g.view = (Pb__GateView)PB__GATE_VIEW__INIT;
	g.view.rollout = out->rollouts[0];
	g.view.rollout->n_stages = OPENED;
	g.view.log_k = g.view.rollout->log_k;
	g.view.rows = ROWS;
	g.view.has_baseline_per_day = 1;
	g.view.baseline_per_day = 0.0042;
	g.view.crash_reports = strcmp(name, "no-reports") != 0;
	for (uint32_t i = 0; i < OPENED; i++) {
		g.stage[i] = (Pb__GateStage)PB__GATE_STAGE__INIT;
		g.stage[i].step = i;
		g.stage[i].budget_ppm = i + 1 < OPENED ? 120000 : 250000;
		g.stage[i].log_e = -0.3 * i;
		g.stages[i] = &g.stage[i];
	}
	tell_open(&g.stage[OPENED - 1], now_ms);
	if (strcmp(name, "blind") == 0)
		blind(g.view.rollout->stages[OPENED - 1]);
	g.view.stages = g.stages;
	g.view.n_stages = OPENED;
	out->gate = &g.view;
	out->n_rollouts = 0;
	return true;
}

/* ---- replay ---- */

static struct {
	Pb__PlanSpec spec;
	Pb__StageSpec stage[OPENED], *stages[OPENED];
	uint8_t packed[512], rows[ROWS * ROW], decision[512], chain[SHA256_LEN];
	Pb__ReplayView view;
	Pb__ReplayEvent event[2], *events[2];
	struct capital capital;
} r;

static void tell_plan(void)
{
	static const uint32_t uppers[OPENED] = { 500000, 1000000, 300000, 1000000, 10000, 100000 };
	static const Pb__Ring rings[OPENED] = { 0, 0, 1, 1, 2, 2 };

	r.spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	for (size_t i = 0; i < OPENED; i++) {
		Pb__StageSpec *s = &r.stage[i];
		*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
		s->ring = rings[i];
		s->share_ppm = uppers[i];
		s->soak_ms = DAY;
		s->max_soak_ms = 3 * DAY;
		s->boot_ppm = s->install_ppm = s->rollback_ppm = s->s1_ppm = 10000;
		r.stages[i] = s;
	}
	r.spec.name = "weekly";
	r.spec.line = "default";
	r.spec.stages = r.stages;
	r.spec.n_stages = OPENED;
	r.spec.settle_ms = 6 * HOUR;
	r.spec.watch_ms = 7 * DAY;
	r.spec.batch_ms = HOUR / 6;
	r.spec.restart_ms = DAY;
	r.spec.s1_ms = 6 * HOUR;
	r.spec.silence_ms = 2 * HOUR;
	r.spec.silence_polls = 3;
	r.spec.holdback_ppm = 10000;
}

/* 50 devices, 20 of 30 do not boot: as the store keeps it. */
static void tell_rows(uint64_t closed_ms)
{
	static const struct {
		enum stream stream;
		uint32_t xc;
	} row[ROWS] = { { STREAM_ENTERED, 50 }, { STREAM_BOOT, 20 }, { STREAM_RESOLVED, 30 } };

	memset(r.rows, 0, sizeof(r.rows));
	memset(r.chain, 0, sizeof(r.chain));
	for (size_t i = 0; i < ROWS; i++) {
		uint8_t *p = r.rows + i * ROW, *v = p + 12;
		struct bytes part[] = { { r.chain, SHA256_LEN }, { p, ROW } };
		put_be32(p, 7);
		put_be64(p + 4, i);
		v[1] = (uint8_t)row[i].stream;
		put_be64(v + 8, closed_ms);
		put_be32(v + 16, row[i].xc);
		if (crypto_sha256(part, 2, r.chain) != 0)
			return;
	}
}

static double capital_now(void)
{
	struct plan_step step[LADDER_STEPS_MAX];
	struct gate_rules rules[LADDER_STEPS_MAX];
	size_t n;

	plan_steps(&r.spec, 1, step, &n);
	for (size_t i = 0; i < n; i++)
		rules[i] = capital_rules(&r.spec, &step[i]);
	memset(&r.capital, 0, sizeof(r.capital));
	for (size_t i = 0; i < ROWS; i++) {
		const uint8_t *v = r.rows + i * ROW + 12;
		struct evidence_row row = { .stream = (enum stream)v[1],
			.closed_ms = get_be64(v + 8),
			.xc = get_be32(v + 16) };
		gate_add(&r.capital.stage[0], &rules[0], &row);
	}
	return capital_log(&r.capital, rules, n);
}

static void tell_events(bool lie)
{
	static uint8_t id[16];
	Pb__Decision d = PB__DECISION__INIT;

	d.spec_version = 1;
	d.repository = "acme";
	d.kind = PB__DECISION_KIND__DECISION_HALT;
	d.has_rollout_id = d.has_step = d.has_evidence = d.has_log_k = d.has_rows = 1;
	d.rollout_id = wire_data(id, sizeof(id));
	d.evidence = wire_data(r.chain, SHA256_LEN);
	d.rows = ROWS;
	d.log_k = capital_now() + (lie ? 1e-12 : 0);
	for (size_t i = 0; i < 2; i++) {
		r.event[i] = (Pb__ReplayEvent)PB__REPLAY_EVENT__INIT;
		r.event[i].index = 10 + i;
		r.event[i].time_ms = DAY + i * HOUR;
		r.events[i] = &r.event[i];
	}
	r.event[0].has_act = 1;
	r.event[0].act = PB__ACT__ACT_START;
	r.event[1].has_decision = 1;
	r.event[1].decision = wire_data(r.decision, wire_write(&d, r.decision));
}

void scene_replay(const char *name, uint64_t from, Pb__AdminReply *out)
{
	uint64_t at = from < ROWS ? from : ROWS;

	tell_plan();
	tell_rows(DAY + HOUR / 2);
	tell_events(strcmp(name, "halted") != 0);
	r.view = (Pb__ReplayView)PB__REPLAY_VIEW__INIT;
	r.view.release = "2.4.1";
	r.view.spec = wire_data(r.packed, wire_write(&r.spec, r.packed));
	r.view.rows = ROWS;
	/* A page is two rows. */
	r.view.data = wire_data(r.rows + at * ROW, (ROWS - at > 2 ? 2 : ROWS - at) * ROW);
	r.view.events = r.events;
	r.view.n_events = 2;
	out->replay = &r.view;
}
