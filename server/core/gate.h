/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health gate: from evidence to hold, promote, pause or halt.  A pure function of closed
 * batches, so that every verdict can be recomputed from the store to the last digit.
 *
 * It halts at most 1 % of good builds however often it looks, as long as the absolute limits lie
 * above a good build's true rates.
 */
#pragma once

#include "server/core/eproc.h"
#include "server/core/evidence.h"

#define GATE_PAUSE        20.0 /* build capital K at which admission stops and a person is called */
#define GATE_HALT         100.0 /* and at which the build is withdrawn */
#define GATE_BETA         0.05  /* chance to promote a build exactly at the tolerance, per stage */
#define GATE_MANY         10u   /* so many devices in a share cannot all be missing by chance */
#define GATE_RESOLVED_PPM 950000u /* of the offers, before a stage may pass */

enum gate_limit { GATE_BOOT, GATE_INSTALL, GATE_ROLLBACK, GATE_LIMIT__COUNT };

/* What the plan asks of a stage. */
struct gate_rules {
	double tolerance;                /* of the crash ratio; 0: none */
	double limit[GATE_LIMIT__COUNT]; /* shares in (0, 1] */
	double budget;                   /* the stage's share of the build's capital */
	uint64_t soak_ms, max_soak_ms;
};

/* What the closed batches of a stage add up to, over all its strata; { 0 } at its start. */
struct gate_stage {
	struct eproc_halt crash;
	struct eproc_cs ratio;
	double failed[GATE_LIMIT__COUNT];
	double attempts;            /* with an outcome, since evidence began to count */
	uint32_t offered, resolved; /* canary devices, ever */
	uint32_t control;           /* control devices, ever */
	uint32_t batches;           /* closed */
	uint32_t held_batch; /* one more than the last batch in which admission held any back */
};

void gate_add(struct gate_stage *s, const struct gate_rules *rules, const struct evidence_row *row);
/* People looked and went on: evidence against the build starts anew, what was shown stays. */
void gate_forget(struct gate_stage *s);
/* Devices of the share were still being taken in when the last batch closed. */
bool gate_admitting(const struct gate_stage *s);

enum gate_stream {
	GATE_STREAM_CRASH,
	GATE_STREAM_BOOT,
	GATE_STREAM_INSTALL,
	GATE_STREAM_ROLLBACK,
	GATE_STREAM__COUNT
};
extern const double gate_weight[GATE_STREAM__COUNT];

/* Log evidence of each stream, and of the stage: their weighted average. */
double gate_stage_log(const struct gate_stage *s, const struct gate_rules *rules,
	double stream[GATE_STREAM__COUNT]);

enum gate_verdict { GATE_HOLD, GATE_PROMOTE, GATE_DO_PAUSE, GATE_DO_HALT };

/* Why it holds; in the order in which they are looked at. */
enum gate_reason {
	GATE_EVIDENCE,   /* K is at or above its line */
	GATE_PAUSED,     /* waits for a person */
	GATE_SOAK,       /* have, need: ms since the stage opened */
	GATE_NOBODY,     /* the share has devices (need), and none of them has come yet */
	GATE_ADMITTING,  /* devices of the share are still being taken in */
	GATE_RESOLVING,  /* have, need: offers resolved */
	GATE_OVER_LIMIT, /* have, need: share of failures and its limit */
	GATE_TOLERANCE,  /* have, need: log evidence that the ratio is below the tolerance */
	GATE_UNDECIDED,  /* the same, and max_soak is over: a person must decide */
	GATE_NOT_BEFORE, /* have, need: ms; the approved plan opens the next step later */
	GATE_PASSED
};

struct gate_facts {
	uint64_t now_ms;
	uint64_t opened_ms;     /* of the stage */
	uint64_t not_before_ms; /* of the next step; 0 when there is none */
	uint64_t expected;      /* devices in the share, as far as known */
	double log_k;           /* build capital over all stages */
	bool paused;
};

struct gate_judgement {
	enum gate_verdict verdict;
	enum gate_reason reason;
	double have, need;
};

struct gate_judgement gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *facts);
