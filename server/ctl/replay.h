/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every verdict once more: from the plan, the evidence rows and the events of the log, with the
 * gate's own code and nothing of what the server computed.  Pure, but for the memory it takes.
 */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"
#include "server/core/gate.h"

#define REPLAY_ROW      48u /* bytes of one record: key, then value */
#define REPLAY_TEXT     200u
#define REPLAY_DECISION 65536u /* arena that reading one takes, at most */

struct replay_input {
	const Pb__PlanSpec *spec; /* that plan_check() passed */
	uint64_t proposed_at_s;
	struct bytes rows; /* records, from the first one on */
	Pb__ReplayEvent *const *events;
	size_t n_events;
};

/* One decision of the log. */
struct replay_verdict {
	uint64_t index, time_ms;
	const Pb__Decision *decision;
	uint64_t rows; /* it rests on */
	double log_k;  /* recomputed */
	struct gate_judgement judged;
	bool same;
	char differs[REPLAY_TEXT]; /* what, when not the same */
};

struct replay_total {
	size_t verdicts, differ;
};

/*
 * Calls `tell` for each decision in the log's order.  0, or an error with a sentence when the rows
 * or events cannot be replayed at all.
 */
WARN_UNUSED int replay_run(const struct replay_input *in,
	void (*tell)(void *context, const struct replay_verdict *v), void *context,
	struct replay_total *total, char error[REPLAY_TEXT]);

/* "promote", "pause": what the log calls it. */
const char *replay_decision_str(Pb__DecisionKind kind);
