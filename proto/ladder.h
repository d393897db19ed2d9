/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The approved ladder, checked alike by the signer before it signs a directive and by the phone
 * before it believes one.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"
#include "proto/trust.pb-c.h"

#define LADDER_STEPS_MAX  32u
#define LADDER_OFFERS_MAX 8u /* in one directive */

/* SHA-256("huidu/seed/v1\0" || log root at the proposal || SHA-256 of the Targets envelope) */
WARN_UNUSED int ladder_seed(const uint8_t log_root[SHA256_LEN],
	const uint8_t targets_sha256[SHA256_LEN], uint8_t out[SEED_LEN]);

/*
 * 0 when the plan allows this offer in a directive for `ring` at `now_s` (unix seconds):
 * ERR_PLAN_EXCEEDED when build, seed, ring or share go beyond it, ERR_TOO_EARLY before not_before.
 * The caller has verified that both envelopes are the ones the offer names.
 */
WARN_UNUSED int ladder_allows(
	const Pb__RolloutPlan *plan, const Pb__Offer *offer, uint32_t ring, uint64_t now_s);
