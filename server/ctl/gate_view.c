/* SPDX-License-Identifier: Apache-2.0 */
/* What is computed of a GateView, and its JSON. */
#include "server/ctl/gate_view.h"

#include <math.h>

#include "proto/bucket.h"
#include "server/core/plan.h"
#include "server/ctl/rollout_view.h"

const Pb__StageView *gate_view_stage(const struct gate_view *v, size_t i)
{
	static const Pb__StageView none = PB__STAGE_VIEW__INIT;
	const Pb__RolloutView *r = v->m->rollout;
	size_t at = r->n_stages == v->m->n_stages ? i : v->m->stages[i]->step;

	return at < r->n_stages ? r->stages[at] : &none;
}

bool gate_view_is_open(const struct gate_view *v, size_t i)
{
	Pb__StageState state = gate_view_stage(v, i)->state;

	return state == PB__STAGE_STATE__STAGE_OPEN || state == PB__STAGE_STATE__STAGE_STOPPED;
}

const Pb__StageSpec *gate_view_spec(const struct gate_view *v, const Pb__GateStage *s)
{
	return v->spec != NULL && s->step < v->spec->n_stages ? v->spec->stages[s->step] : NULL;
}

static double devices(const Pb__StageView *stage, const Pb__StageSpec *spec)
{
	double n = (double)stage->ring_devices * (stage->upper - stage->lower) / PPM;

	if (spec != NULL && spec->has_devices && n > spec->devices)
		n = spec->devices;
	return n > (double)stage->offered ? n : (double)stage->offered;
}

bool gate_view_outlook(const struct gate_view *v, size_t i, struct outlook *out)
{
	const Pb__StageView *stage = gate_view_stage(v, i);
	const Pb__GateStage *s = v->m->stages[i];
	const Pb__StageSpec *spec = gate_view_spec(v, s);
	uint64_t since_ms = stage_since_ms(stage);
	struct outlook_facts f = {
		.tolerance = stage->tolerance_ppm / 1e6,
		.baseline_per_day = v->m->baseline_per_day,
		.devices = devices(stage, spec),
		.shown = s->shown,
		.needed = s->needed,
		.age_ms = v->now_ms > since_ms ? v->now_ms - since_ms : 0,
		.soak_ms = stage->soak_ms,
		.max_soak_ms = spec != NULL ? spec->max_soak_ms : 0,
	};

	if (!v->m->has_baseline_per_day || v->m->baseline_per_day <= 0 || stage->control == 0 ||
		!v->m->crash_reports)
		return false;
	*out = outlook_of(&f);
	return true;
}

double gate_view_part(
	const struct gate_view *v, const Pb__GateStage *s, const Pb__GateStream *stream)
{
	double log_e = stream != NULL ? stream->log_e : s->log_e;
	double weight = stream != NULL ? stream->weight_ppm / 1e6 : 1;

	return s->budget_ppm / 1e6 * weight * exp(log_e - v->m->log_k);
}

static void json_streams(struct json *j, const struct gate_view *v, const Pb__GateStage *s)
{
	json_array(j, "streams");
	for (size_t i = 0; i < s->n_streams; i++) {
		const Pb__GateStream *e = s->streams[i];
		json_object(j, NULL);
		json_str(j, "name", e->name);
		json_u64(j, "weight_ppm", e->weight_ppm);
		json_u64(j, "canary", e->canary);
		json_u64(j, "control", e->control);
		json_double(j, "log_e", e->log_e);
		json_double(j, "share_of_k", gate_view_part(v, s, e));
		json_end_object(j);
	}
	json_end_array(j);
}

static void json_strata(struct json *j, const Pb__GateStage *s)
{
	json_array(j, "strata");
	for (size_t i = 0; i < s->n_strata; i++) {
		const Pb__GateStratum *e = s->strata[i];
		json_object(j, NULL);
		json_str(j, "name", e->name);
		json_bool(j, "component", e->component);
		json_u64(j, "offered", e->offered);
		json_u64(j, "control", e->control);
		json_u64(j, "crashed", e->crashed);
		json_u64(j, "control_crashed", e->control_crashed);
		json_u64(j, "failed", e->failed);
		json_double(j, "log_e", e->log_e);
		json_end_object(j);
	}
	json_end_array(j);
}

static void json_signatures(struct json *j, const Pb__GateStage *s)
{
	json_array(j, "signatures");
	for (size_t i = 0; i < s->n_signatures; i++) {
		const Pb__GateSignature *e = s->signatures[i];
		json_object(j, NULL);
		json_hex(j, "signature", wire_bytes(e->signature));
		json_bool(j, "discovery", e->discovery);
		json_u64(j, "canary", e->canary);
		json_u64(j, "control", e->control);
		json_double(j, "log_e", e->log_e);
		json_time(j, "first", e->first_ms);
		json_end_object(j);
	}
	json_end_array(j);
}

static void json_outlook(struct json *j, const struct gate_view *v, size_t i)
{
	struct outlook o;

	if (!gate_view_is_open(v, i) || !gate_view_outlook(v, i, &o))
		return;
	json_object(j, "outlook");
	json_bool(j, "tells_twice", !o.blind);
	json_double(j, "crashes_expected", o.crashes);
	if (o.verdict_ms != UINT64_MAX)
		json_u64(j, "verdict_ms", o.verdict_ms);
	json_bool(j, "after_max_soak", o.too_late);
	json_end_object(j);
}

static void json_stage(struct json *j, const struct gate_view *v, size_t i)
{
	const Pb__GateStage *s = v->m->stages[i];

	json_object(j, NULL);
	json_u64(j, "step", s->step);
	json_u64(j, "budget_ppm", s->budget_ppm);
	json_double(j, "log_e", s->log_e);
	json_double(j, "share_of_k", gate_view_part(v, s, NULL));
	json_u64(j, "resolved", s->resolved);
	json_u64(j, "judged", s->judged);
	json_u64(j, "silent", s->silent);
	json_u64(j, "control_judged", s->control_judged);
	json_u64(j, "control_silent", s->control_silent);
	json_double(j, "shown", s->shown);
	json_double(j, "needed", s->needed);
	json_streams(j, v, s);
	json_strata(j, s);
	json_signatures(j, s);
	json_outlook(j, v, i);
	json_end_object(j);
}

void gate_json(struct buf *out, const struct gate_view *v, const char *repository)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.gate/1");
	json_str(&j, "repository", repository);
	json_time(&j, "time", v->now_ms);
	rollout_json_one(&j, "rollout", v->m->rollout);
	json_double(&j, "log_k", v->m->log_k);
	json_u64(&j, "rows", v->m->rows);
	json_bool(&j, "crash_reports", v->m->crash_reports);
	if (v->m->has_baseline_per_day)
		json_double(&j, "baseline_per_day", v->m->baseline_per_day);
	json_array(&j, "stages");
	for (size_t i = 0; i < v->m->n_stages; i++)
		json_stage(&j, v, i);
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}
