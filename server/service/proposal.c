/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/proposal.h"

#include <assert.h>

#include "proto/ladder.h"
#include "proto/names.h"
#include "server/base/mem.h"

/*
 * What is published anew lives as long as something new.  A plan that is only approved anew gets as
 * much more as may have passed by then, so that never more than PLAN_LIFE_S lie ahead; what goes on
 * after a pause or a halt keeps its end.
 */
uint64_t proposal_expires_s(const struct rollout *r)
{
	uint64_t from_ms = r->proposed_ms;

	for (size_t i = 0; i < r->n_builds; i++)
		if (r->builds[i].next != r->builds[i].build &&
			r->builds[i].next->signed_ms > from_ms)
			from_ms = r->builds[i].next->signed_ms;
	if (r->plan_version == 0 || rollout_is_renewed(r))
		return from_ms / 1000 + PLAN_LIFE_S;
	return r->expires_s + (rollout_is_renewal(r) ? PLAN_LIFE_S - RENEW_S : 0);
}

static void write_plan(const struct state *s, struct rollout *r, struct rollout_build *b)
{
	Pb__RolloutPlan plan = PB__ROLLOUT_PLAN__INIT;
	Pb__MetaFile targets = PB__META_FILE__INIT;
	Pb__Step step[LADDER_STEPS_MAX], *list[LADDER_STEPS_MAX];
	char name[METADATA_NAME_MAX];
	uint8_t spec_sha256[SHA256_LEN];
	struct bytes spec = buf_bytes(&r->spec_bytes);
	int err = crypto_sha256(&spec, 1, spec_sha256);

	assert(err == 0);
	for (size_t i = 0; i < r->n_steps; i++) {
		step[i] = (Pb__Step)PB__STEP__INIT;
		step[i].ring = r->steps[i].ring;
		step[i].upper = r->steps[i].upper;
		step[i].not_before = r->steps[i].not_before_s;
		list[i] = &step[i];
	}
	targets.name = metadata_targets(name, b->build->product, b->build->build_id);
	targets.version = b->next->targets_version;
	targets.length = (uint32_t)b->next->targets.len;
	targets.sha256 = wire_data(b->next->targets_sha256, SHA256_LEN);
	plan.spec_version = 1;
	plan.version = r->plan_version + 1;
	plan.expires = proposal_expires_s(r);
	plan.repository = s->root->repository;
	plan.product = b->build->product;
	plan.rollout_id = wire_data(r->id, ID_LEN);
	plan.targets = &targets;
	plan.seed = wire_data(b->seed, SEED_LEN);
	plan.steps = list;
	plan.n_steps = r->n_steps;
	plan.from_build_ids = r->spec->fixes;
	plan.n_from_build_ids = r->spec->n_fixes;
	plan.spec_sha256 = wire_data(spec_sha256, SHA256_LEN);
	b->payload.len = wire_write(&plan, buf_room(&b->payload, wire_size(&plan)));
}

void proposal_renew(const struct state *s, struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++) {
		r->builds[i].payload.len = 0;
		r->builds[i].pending.len = 0;
		write_plan(s, r, &r->builds[i]);
	}
}

void proposal_draw(const struct state *s, struct rollout *r)
{
	int err;

	r->spec_arena.size = 64 * r->spec_bytes.len + 65536;
	r->spec_arena.base = mem_alloc(r->spec_arena.size);
	r->spec = wire_read(&pb__plan_spec__descriptor, buf_bytes(&r->spec_bytes), &wire_signed,
		&r->spec_arena, &err);
	assert(r->spec != NULL); /* command_check() read it before */
	plan_steps(r->spec, r->proposed_ms / 1000, r->steps, &r->n_steps);
	for (size_t i = 0; i < r->n_builds; i++) {
		err = ladder_seed(
			r->audit_root, r->builds[i].build->targets_sha256, r->builds[i].seed);
		assert(err == 0);
	}
	proposal_renew(s, r);
}
