/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ladder.h"

#include "proto/bucket.h"
#include "proto/crypto.h"
#include "proto/wire.h"

int ladder_seed(const uint8_t log_root[SHA256_LEN], const uint8_t targets_sha256[SHA256_LEN],
	uint8_t out[SEED_LEN])
{
	static const char domain[] = "huidu/seed/v1"; /* its NUL is part of it */
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(log_root, SHA256_LEN),
		bytes_of(targets_sha256, SHA256_LEN) };

	return crypto_sha256(part, 3, out);
}

static bool same_file(const Pb__MetaFile *a, const Pb__MetaFile *b)
{
	return strcmp(a->name, b->name) == 0 && a->version == b->version &&
		a->length == b->length && bytes_eq(wire_bytes(a->sha256), wire_bytes(b->sha256));
}

/* Devices on the builds the plan names come first, whatever their bucket. */
static bool is_fix(const Pb__RolloutPlan *plan, const Pb__Selector *s)
{
	if (s->n_from_build_ids != plan->n_from_build_ids)
		return false;
	for (size_t i = 0; i < s->n_from_build_ids; i++)
		if (strcmp(s->from_build_ids[i], plan->from_build_ids[i]) != 0)
			return false;
	return true;
}

int ladder_allows(
	const Pb__RolloutPlan *plan, const Pb__Offer *offer, uint32_t ring, uint64_t now_s)
{
	const Pb__Selector *s = offer->selector;
	const Pb__Step *step;
	uint32_t upper;

	if (offer->step >= plan->n_steps)
		return ERR_PLAN_EXCEEDED;
	step = plan->steps[offer->step];
	if (!same_file(plan->targets, offer->targets) ||
		!bytes_eq(wire_bytes(plan->rollout_id), wire_bytes(offer->rollout_id)) ||
		!bytes_eq(wire_bytes(plan->seed), wire_bytes(s->seed)) || s->seed.len != SEED_LEN)
		return ERR_PLAN_EXCEEDED;
	if (s->n_from_build_ids > 0 && !is_fix(plan, s))
		return ERR_PLAN_EXCEEDED;
	upper = s->n_from_build_ids > 0 ? PPM : step->upper;
	/* An inner ring may see what an outer one sees, not the other way round. */
	if (ring > step->ring || s->lower > s->upper || s->upper > upper)
		return ERR_PLAN_EXCEEDED;
	return now_s < step->not_before ? ERR_TOO_EARLY : 0;
}
