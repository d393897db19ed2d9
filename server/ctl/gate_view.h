/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate knows of a rollout, for people and scripts. */
#pragma once

#include "proto/admin.pb-c.h"
#include "server/base/json.h"
#include "server/ctl/outlook.h"
#include "server/ctl/term.h"

struct gate_view {
	const Pb__GateView *m;
	const Pb__PlanSpec *spec; /* NULL: not known, and neither is how long a stage may take */
	uint64_t now_ms;          /* the server's */
};

/* The stage of the rollout that m->stages[i] is about; never NULL. */
const Pb__StageView *gate_view_stage(const struct gate_view *v, size_t i);
/* The stage as the plan has it; NULL when the plan is not known, and for a holdback. */
const Pb__StageSpec *gate_view_spec(const struct gate_view *v, const Pb__GateStage *s);
/* Nobody waits for anything in a stage that is not open any more. */
bool gate_view_is_open(const struct gate_view *v, size_t i);
/* False when the control's rate is not known, or the stage has no control: nothing to say. */
bool gate_view_outlook(const struct gate_view *v, size_t i, struct outlook *out);
/* Share of the build's capital that a stream holds, or with `stream` NULL the whole stage. */
double gate_view_part(
	const struct gate_view *v, const Pb__GateStage *s, const Pb__GateStream *stream);

/* The whole screen. */
void gate_screen(struct buf *out, const struct term *t, const struct gate_view *v);
/* One document. */
void gate_json(struct buf *out, const struct gate_view *v, const char *repository);
