/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/proposal.h"

#include <stdio.h>

#include "proto/names.h"

#define AHEAD_S 300u /* how far the server's clock may be ahead of ours */

struct check {
	const Pb__Root *root;
	uint64_t now_s;
	struct arena *a;
	struct proposal *out;
	uint8_t spec_sha256[SHA256_LEN];
	char *error;
};

static int differs(struct check *c, const char *product, const char *what)
{
	(void)snprintf(c->error, PROPOSAL_ERROR_MAX,
		"%s%sthe plan's %s is not what this machine computes", product,
		product[0] != '\0' ? ": " : "", what);
	return ERR_MISMATCH;
}

static int broken(struct check *c, const char *what, int err)
{
	(void)snprintf(c->error, PROPOSAL_ERROR_MAX, "%s: %s", what, err_str(err));
	return err;
}

static int check_spec(struct check *c)
{
	const Pb__Proposal *m = c->out->m;
	struct bytes spec = wire_bytes(m->spec);
	struct plan_error e;
	int err;

	if (m->rollout_id.len != ID_LEN || m->audit_root.len != SHA256_LEN || m->n_builds == 0 ||
		m->n_builds > PROPOSAL_BUILDS_MAX)
		return broken(c, "the proposal", ERR_BAD_RANGE);
	/* A start in the past would let the server hurry; one ahead is a wrong clock.
	 */
	if (m->proposed_at > c->now_s + AHEAD_S)
		return broken(c, "the proposal's time", ERR_STALE);
	c->out->spec = wire_read(&pb__plan_spec__descriptor, spec, &wire_admin, c->a, &err);
	if (c->out->spec == NULL)
		return broken(c, "the plan", err);
	if (plan_check(c->out->spec, &e) != 0) {
		(void)snprintf(c->error, PROPOSAL_ERROR_MAX, "the plan: stage %d: %s %s",
			e.stage + 1, plan_fault_key(e.fault), plan_fault_str(e.fault));
		return ERR_BAD_PLAN;
	}
	plan_steps(c->out->spec, m->proposed_at, c->out->steps, &c->out->n_steps);
	return crypto_sha256(&spec, 1, c->spec_sha256);
}

/* The release keys signed it, and it is the build the proposal names. */
static int check_targets(struct check *c, size_t i)
{
	const Pb__ProposalBuild *b = c->out->m->builds[i];
	struct bytes payload;
	const Pb__Targets *t;
	int err = envelope_verify(crypto_openssl(), wire_bytes(b->targets), ENVELOPE_TARGETS,
		c->root, c->root->targets, c->a, &payload, &c->out->build[i].signers);

	if (err != 0)
		return broken(c, b->build_id, err);
	t = wire_read(&pb__targets__descriptor, payload, &wire_signed, c->a, &err);
	if (t == NULL)
		return broken(c, b->build_id, err);
	if (strcmp(t->repository, c->root->repository) != 0)
		return broken(c, b->build_id, ERR_WRONG_REPOSITORY);
	if (strcmp(t->product, b->product) != 0 || strcmp(t->build_id, b->build_id) != 0)
		return broken(c, b->build_id, ERR_MISMATCH);
	if (t->expires <= c->now_s)
		return broken(c, b->build_id, ERR_EXPIRED);
	for (size_t k = 0; k < i; k++)
		if (strcmp(c->out->build[k].targets->product, t->product) == 0)
			return broken(c, b->build_id, ERR_EXISTS);
	c->out->build[i].targets = t;
	return 0;
}

static bool same_steps(const Pb__RolloutPlan *plan, const struct proposal *p)
{
	if (plan->n_steps != p->n_steps)
		return false;
	for (size_t i = 0; i < p->n_steps; i++)
		if (plan->steps[i]->ring != p->steps[i].ring ||
			plan->steps[i]->upper != p->steps[i].upper ||
			plan->steps[i]->not_before != p->steps[i].not_before_s)
			return false;
	return true;
}

static bool same_fixes(const Pb__RolloutPlan *plan, const Pb__PlanSpec *spec)
{
	if (plan->n_from_build_ids != spec->n_fixes)
		return false;
	for (size_t i = 0; i < spec->n_fixes; i++)
		if (strcmp(plan->from_build_ids[i], spec->fixes[i]) != 0)
			return false;
	return true;
}

/* What differs, or NULL. */
static const char *difference(const struct check *c, size_t i, const Pb__RolloutPlan *plan,
	const uint8_t targets_sha256[SHA256_LEN], const uint8_t seed[SEED_LEN])
{
	const Pb__Proposal *m = c->out->m;
	const Pb__Targets *t = c->out->build[i].targets;
	char name_of[METADATA_NAME_MAX];
	const char *name = metadata_targets(name_of, t->product, t->build_id);
	const struct {
		const char *what;
		bool same;
	} field[] = {
		{ "format", plan->spec_version == 1 && plan->version > 0 },
		{ "repository", strcmp(plan->repository, c->root->repository) == 0 },
		{ "product", strcmp(plan->product, t->product) == 0 },
		{ "rollout", bytes_eq(wire_bytes(plan->rollout_id), wire_bytes(m->rollout_id)) },
		{ "build",
			strcmp(plan->targets->name, name) == 0 &&
				plan->targets->version == t->version &&
				plan->targets->length == m->builds[i]->targets.len &&
				bytes_eq(wire_bytes(plan->targets->sha256),
					bytes_of(targets_sha256, SHA256_LEN)) },
		{ "seed", bytes_eq(wire_bytes(plan->seed), bytes_of(seed, SEED_LEN)) },
		{ "list of steps", same_steps(plan, c->out) },
		{ "list of fixes", same_fixes(plan, c->out->spec) },
		{ "hash of soaks and limits",
			bytes_eq(wire_bytes(plan->spec_sha256),
				bytes_of(c->spec_sha256, SHA256_LEN)) },
		{ "expiry",
			plan->expires > c->now_s &&
				plan->expires <= c->now_s + PLAN_LIFE_S + AHEAD_S },
	};

	for (size_t k = 0; k < sizeof(field) / sizeof(field[0]); k++)
		if (!field[k].same)
			return field[k].what;
	return NULL;
}

/*
 * The seed was drawn when the rollout was proposed, from the log and the build as it was signed then;
 * a later version of the plan keeps it, even when the build was signed anew.
 */
static int find_seed(
	struct check *c, size_t i, const uint8_t targets_sha256[SHA256_LEN], uint8_t out[SEED_LEN])
{
	const Pb__ProposalBuild *b = c->out->m->builds[i];
	const Pb__RolloutPlan *old;
	struct bytes payload;
	int err;

	if (!b->has_in_force)
		return ladder_seed(c->out->m->audit_root.data, targets_sha256, out);
	err = envelope_open(
		crypto_openssl(), wire_bytes(b->in_force), ENVELOPE_PLAN, c->root, c->a, &payload);
	/* Of people who have left since: then it must be the build that the seed was drawn from. */
	if (err == ERR_BELOW_THRESHOLD)
		return ladder_seed(c->out->m->audit_root.data, targets_sha256, out);
	if (err != 0)
		return err;
	old = wire_read(&pb__rollout_plan__descriptor, payload, &wire_signed, c->a, &err);
	if (old == NULL)
		return err;
	if (!bytes_eq(wire_bytes(old->rollout_id), wire_bytes(c->out->m->rollout_id)) ||
		strcmp(old->product, b->product) != 0 || old->seed.len != SEED_LEN)
		return ERR_MISMATCH;
	memcpy(out, old->seed.data, SEED_LEN);
	c->out->build[i].renewed = old->targets->version < c->out->build[i].targets->version;
	return 0;
}

static int check_plan(struct check *c, size_t i)
{
	const Pb__ProposalBuild *b = c->out->m->builds[i];
	struct bytes targets = wire_bytes(b->targets);
	uint8_t sha256[SHA256_LEN], seed[SEED_LEN];
	const Pb__RolloutPlan *plan;
	const char *what;
	int err = crypto_sha256(&targets, 1, sha256);

	if (err == 0)
		err = find_seed(c, i, sha256, seed);
	if (err != 0)
		return broken(c, b->build_id, err);
	/* Strict: nobody signs a field that was not looked at. */
	plan = wire_read(
		&pb__rollout_plan__descriptor, wire_bytes(b->plan), &wire_admin, c->a, &err);
	if (plan == NULL)
		return broken(c, b->build_id, err);
	what = difference(c, i, plan, sha256, seed);
	if (what != NULL)
		return differs(c, b->product, what);
	c->out->build[i].expires = plan->expires;
	c->out->build[i].version = plan->version;
	return 0;
}

int proposal_check(const Pb__Proposal *m, const Pb__Root *root, uint64_t now_s, struct arena *a,
	struct proposal *out, char error[PROPOSAL_ERROR_MAX])
{
	struct check c = { .root = root, .now_s = now_s, .a = a, .out = out, .error = error };
	int err;

	memset(out, 0, sizeof(*out));
	out->m = m;
	err = check_spec(&c);
	for (size_t i = 0; err == 0 && i < m->n_builds; i++) {
		err = check_targets(&c, i);
		if (err == 0)
			err = check_plan(&c, i);
	}
	return err;
}
