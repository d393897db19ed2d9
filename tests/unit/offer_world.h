/* SPDX-License-Identifier: Apache-2.0 */
/* One directive, and a device that can be put anywhere in it. */
#pragma once

#include "proto/bucket.h"
#include "rng.h"
#include "server/core/offer.h"

/*
 * One directive for all cases: build 2.0 (counter 20) is open to [0, 100 000), of which
 * [10 000, ..) is the canary of the open stage, and the control begins at 200 000; 1.0
 * (counter 10) is open to all.
 */
struct fixture {
	struct offer_rules rules;
	struct offer_device device;
	uint8_t id[ID_LEN];
};

static inline void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->rules.offers[0].seed, 1, SEED_LEN);
	memset(f->rules.offers[1].seed, 2, SEED_LEN);
	f->rules.offers[0].upper = 100000;
	f->rules.offers[0].release_counter = 20;
	f->rules.offers[0].tag = 2;
	f->rules.offers[1].upper = PPM;
	f->rules.offers[1].release_counter = 10;
	f->rules.offers[1].tag = 1;
	f->rules.n = 2;
	f->rules.has_stage = true;
	f->rules.stage = (struct offer_stage){ .offer = 0,
		.lower = 10000,
		.control_from = 200000,
		.group_upper = { 300000, 990000 },
		.n_groups = 2 };
	f->device = (struct offer_device){ .id = f->id,
		.product = "phone-a",
		.build_id = "1.4",
		.release_counter = 10,
		.enrolled_day = 20000,
		.admit_ppm = 500000 };
}

/* Draws ids until the device is in these buckets of the newest offer. */
static inline void place(struct fixture *f, uint32_t low, uint32_t high, bool asked)
{
	const uint8_t *seed = f->rules.offers[f->rules.stage.offer].seed;
	struct rng r = { 8 };
	uint32_t bucket;

	do {
		rng_fill(&r, f->id, ID_LEN);
		bucket = bucket_of(seed, f->id, "phone-a");
	} while (bucket < low || bucket >= high ||
		(bucket_admission(seed, f->id, "phone-a") < 500000) != asked);
}

static inline void check(
	const char *why, const struct offer_decision *have, const struct offer_decision *want)
{
	if (have->answer != want->answer || have->offer != want->offer ||
		have->needs_token != want->needs_token || have->enters != want->enters ||
		have->group != want->group)
		fail_msg("%s: answer %u of offer %zu, token %d, arm %u, group %u", why,
			have->answer, have->offer, have->needs_token, have->enters, have->group);
}

static inline void stage_of_older(struct fixture *f)
{
	f->rules.stage.offer = 1;
	f->rules.stage.lower = 0;
	f->rules.stage.control_from = PPM;
	f->device.release_counter = 0;
}
