/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this device have a build now, and if not, why.  Evaluates what the directive says, as the
 * device will, and what the server may add: "not now".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/bytes.h"
#include "proto/ladder.h"
#include "server/core/evidence.h"

#define OFFERS_MAX LADDER_OFFERS_MAX

/* Numbers are those of device.proto. */
enum answer {
	ANSWER_UP_TO_DATE = 1,
	ANSWER_OFFER = 2,
	ANSWER_STAGED_OUT = 3,
	ANSWER_ADMISSION = 4,
	ANSWER_PAUSED = 5,
	ANSWER_FAILED_HERE = 6,
	ANSWER_YOUNG = 7,
	ANSWER_HALTED = 8
};

/* One offer of a directive. */
struct offer_rule {
	uint8_t seed[SEED_LEN];
	uint32_t lower, upper;
	const char *const *from_builds; /* not NULL: exactly the devices on these */
	size_t n_from_builds;
	uint64_t release_counter;
	uint8_t tag; /* of the build, 1..255; a device remembers the last that failed on it */
	bool paused;
	bool for_young;    /* the ring's rollout is complete */
	uint32_t last_day; /* ids enrolled after this day are young; 0: nobody is */
};

/* The stage that is open in a ring, if any.  It belongs to offers[offer]. */
struct offer_stage {
	size_t offer;
	uint32_t lower;        /* canary: [lower, upper of the offer) */
	uint32_t control_from; /* control: [control_from, 1 000 000); at least upper */
	/* Where the ring's later steps open up to, rising. */
	uint32_t group_upper[EVIDENCE_GROUPS];
	uint32_t n_groups;
};

struct offer_rules {
	struct offer_rule offers[OFFERS_MAX];
	size_t n;
	bool has_stage;
	struct offer_stage stage;
	uint64_t halted_counter; /* the newest build on the directive's halted list; 0: none */
};

struct offer_device {
	const uint8_t *id; /* ID_LEN bytes; NULL: anonymous */
	const char *product;
	const char *build_id;
	uint64_t release_counter;
	uint32_t enrolled_day;
	uint8_t failed_tag;
	bool entered;       /* is in an arm of the open stage already */
	uint32_t admit_ppm; /* of the open stage, now */
};

struct offer_decision {
	enum answer answer;
	size_t offer;     /* when answer is ANSWER_OFFER */
	bool needs_token; /* it is an offer only if a token of the stage can be had */
	enum arm enters;  /* of the open stage, now; ARM_NONE: neither */
	uint32_t group;   /* when it enters as control */
};

struct offer_decision offer_decide(const struct offer_rules *rules, const struct offer_device *d);
