/* SPDX-License-Identifier: Apache-2.0 */
/* A stage whose evidence passes the gate, to be broken in one way or another. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "server/core/gate.h"

#define HOUR 3600000ull

static const struct gate_rules rules = {
	.tolerance = 2,
	.limit = { .01, .02, .03, .04 },
	.budget = .2,
	.soak_ms = 24 * HOUR,
	.max_soak_ms = 72 * HOUR,
	.restart_ms = 24 * HOUR,
	.canary = .1,
	.control = .9,
};

/* A stage that passes, and the facts around it; cases break one thing or several. */
struct fixture {
	struct gate_rules rules;
	struct gate_stage stage;
	struct gate_facts facts;
};

static inline void add(
	struct fixture *f, enum stream stream, uint32_t batch, uint32_t xc, uint32_t xk)
{
	struct evidence_row row = {
		.batch = batch, .stream = stream, .xc = xc, .xk = xk, .ec = 10000, .ek = 90000
	};

	gate_add(&f->stage, &f->rules, &row);
}

static inline void make(struct fixture *f)
{
	*f = (struct fixture){ .rules = rules };
	add(f, STREAM_ENTERED, 0, 1000, 9000);
	add(f, STREAM_HELD, 0, 12, 0);
	add(f, STREAM_RESOLVED, 1, 950, 0);
	add(f, STREAM_CRASH, 1, 50, 500);
	add(f, STREAM_BOOT, 1, 10, 0);
	add(f, STREAM_INSTALL, 1, 19, 0);
	add(f, STREAM_ROLLBACK, 1, 29, 0);
	add(f, STREAM_ENTERED, 1, 0, 0);
	f->facts = (struct gate_facts){
		.now_ms = 100 * HOUR,
		.opened_ms = 76 * HOUR,
		.not_before_ms = 100 * HOUR,
		.log_k = 0,
		.crash_reports = true,
	};
}

static inline void check(const char *why, size_t i, const struct fixture *f,
	enum gate_verdict verdict, enum gate_reason reason)
{
	struct gate_judgement j = gate_judge(&f->stage, &f->rules, &f->facts);

	if (j.verdict != verdict || j.reason != reason)
		fail_msg("%s %zu: verdict %d, reason %d", why, i, j.verdict, j.reason);
}

static inline void set_worse(struct fixture *f)
{
	f->stage.ratio = (struct eproc_cs){ .tol_ll = 0 };
	add(f, STREAM_CRASH, 1, 95, 500);
}
