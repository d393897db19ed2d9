/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health gate of one stage: from evidence to hold, promote, pause or halt.  A pure function of
 * closed batches, so that every verdict can be recomputed from the store to the last digit.
 *
 * It halts at most 1 % of good builds however often it looks, as long as the absolute limits lie
 * above a good build's true rates: each stream is an e-process, a stage's value their weighted
 * average, the build's capital (capital.h) the average over stages; all are valid under any
 * dependence.
 */
#pragma once

#include "server/core/eproc.h"
#include "server/core/evidence.h"

#define GATE_PAUSE        20.0 /* build capital K at which admission stops and a person is called */
#define GATE_HALT         100.0  /* and at which the build is withdrawn */
#define GATE_BETA         0.05   /* chance to promote a build exactly at the tolerance, per stage */
#define GATE_SPLIT        1000.0 /* odds against the split between the arms that call a person */
#define GATE_MANY         10u    /* so many devices in a share cannot all be missing by chance */
#define GATE_RESOLVED_PPM 950000u /* of the offers, before a stage may pass */
#define GATE_YOUNG_RATIO  3.0     /* what a build may stir up while it settles */
#define GATE_DAYS         32u  /* restarts of the crash stream; what turns bad later stays cash */
#define GATE_SIGNATURES   128u /* new ones a stage follows */

enum gate_limit { GATE_BOOT, GATE_INSTALL, GATE_ROLLBACK, GATE_S1, GATE_LIMIT__COUNT };

/* What the plan asks of a stage. */
struct gate_rules {
	double tolerance;                /* of the crash ratio; 0: none */
	double limit[GATE_LIMIT__COUNT]; /* shares in (0, 1] */
	double budget;                   /* the stage's share of the build's capital */
	uint64_t soak_ms, max_soak_ms;
	uint64_t restart_ms;    /* of the crash stream: a day */
	bool settles;           /* young devices are counted apart */
	bool no_crash_reports;  /* the approvers know that there are none */
	double canary, control; /* shares of the ring; control 0: there is none */
};

/* A stream compared with the control. */
struct gate_ratio {
	struct eproc_halt steady, young;
};

/* What the closed batches of a stage add up to, over all its strata; { 0 } at its start. */
struct gate_stage {
	struct gate_ratio crash, loop, symptom[SYMPTOMS];
	struct eproc_halt before[GATE_DAYS]; /* crash.steady when each day began */
	uint32_t days;                       /* begun */
	uint64_t first_ms;                   /* when the first batch closed */
	struct eproc_halt silent;
	struct eproc_cs ratio; /* of crashes, steady only */
	struct eproc_signature signature[GATE_SIGNATURES];
	uint32_t n_signatures;
	double failed[GATE_LIMIT__COUNT];
	double attempts;                 /* with an outcome, since evidence began to count */
	double s1_due;                   /* the same, whose time for boot_ok is over */
	double crashed, control_crashed; /* devices with a first crash, ever */
	uint32_t offered, resolved;      /* canary devices, ever */
	uint32_t control;                /* control devices, ever */
	uint32_t batches;                /* closed */
	uint32_t held_batch; /* one more than the last batch in which admission held any back */
};

/* Rows of one stage, in the order in which they were closed. */
void gate_add(struct gate_stage *s, const struct gate_rules *rules, const struct evidence_row *row);
/* People looked and went on: evidence against the build starts anew, what was shown stays. */
void gate_forget(struct gate_stage *s);
/* Devices of the share were still being taken in when the last batch closed. */
bool gate_admitting(const struct gate_stage *s);

enum gate_stream {
	GATE_STREAM_CRASH,
	GATE_STREAM_LOOP,
	GATE_STREAM_BOOT,
	GATE_STREAM_INSTALL,
	GATE_STREAM_ROLLBACK,
	GATE_STREAM_S1,
	GATE_STREAM_SILENT,
	GATE_STREAM_SIGNATURES,
	GATE_STREAM_SYMPTOM, /* SYMPTOMS of them */
	GATE_STREAM__COUNT = GATE_STREAM_SYMPTOM + SYMPTOMS
};
double gate_weight(enum gate_stream stream); /* all of them: 1 */
/* "crashes", "failed boots"; "symptoms" of each of these. */
const char *gate_stream_str(enum gate_stream stream);

/* Log evidence of each stream, and of the stage: their weighted average. */
double gate_stage_log(const struct gate_stage *s, const struct gate_rules *rules,
	double stream[GATE_STREAM__COUNT]);
/* Log evidence that devices are not split between the arms as the shares say. */
double gate_split_log(const struct gate_stage *s, const struct gate_rules *rules);

enum gate_verdict { GATE_HOLD, GATE_PROMOTE, GATE_DO_PAUSE, GATE_DO_HALT };

/* Why; in the order in which they are looked at. */
enum gate_reason {
	GATE_EVIDENCE,   /* K is at or above its line */
	GATE_PAUSED,     /* waits for a person */
	GATE_SPLIT_BAD,  /* have, need: odds against the split; the comparison is worth nothing */
	GATE_SOAK,       /* have, need: ms since the stage opened */
	GATE_NOBODY,     /* the share has devices (need), and none of them has come yet */
	GATE_ADMITTING,  /* devices of the share are still being taken in */
	GATE_RESOLVING,  /* have, need: offers resolved */
	GATE_OVER_LIMIT, /* have, need: share of failures and its limit */
	GATE_UNSHOWN,    /* have, need: log evidence that a rate of failures is below its limit */
	GATE_TOLERANCE,  /* have, need: log evidence that the ratio is below the tolerance */
	GATE_NO_CRASHES, /* these devices have never sent a crash report: that is no pass */
	GATE_NOT_BEFORE, /* have, need: ms; the approved plan opens the next step later */
	GATE_PASSED
};

struct gate_facts {
	uint64_t now_ms;
	uint64_t opened_ms;     /* of the stage */
	uint64_t resumed_ms;    /* by people, the last time; 0: never */
	uint64_t not_before_ms; /* of the next step; 0 when there is none */
	uint64_t expected;      /* devices it may be offered to, as far as known: share and cap */
	double log_k;           /* build capital over all stages */
	bool paused;
	bool crash_reports; /* devices of these products have sent some, ever */
};

struct gate_judgement {
	enum gate_verdict verdict;
	enum gate_reason reason;
	double have, need;
};

/* People let the stage go on after it opened: its evidence and its time begin anew, then. */
bool gate_resumed(uint64_t opened_ms, uint64_t resumed_ms);

/*
 * Pauses, with the reason, what has not been decided by max_soak, what crash reports are missing
 * for, and a bad split: a person must look, and resuming waives the reason for this stage.
 */
struct gate_judgement gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *facts);
