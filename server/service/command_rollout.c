/* SPDX-License-Identifier: Apache-2.0 */
/* Proposals, and what approvers sign. */
#include "proto/names.h"
#include "server/service/command_private.h"
#include "server/trust/authority.h"

/* ---- propose ---- */

static int check_proposed_build(
	const struct state *s, const Pb__Propose *m, const Pb__PlanSpec *spec, size_t i, char *text)
{
	const Pb__BuildRef *ref = m->builds[i];
	const struct build *b = state_build(s, ref->product, ref->build_id);
	const struct rollout *r;

	if (!s->knows_product(s->ctx, spec->line, ref->product))
		return command_refuse(text, ERR_NOT_FOUND,
			"rollout %s: line '%s' has no product '%s'", m->release, spec->line,
			ref->product);
	if (b == NULL)
		return command_refuse(text, ERR_NOT_FOUND, "build %s: not published for %s",
			ref->build_id, ref->product);
	if (state_is_below_floor(s, b->product, b->release_counter))
		return command_floor(s, b->product, b->build_id, b->release_counter, text);
	for (size_t k = 0; k < i; k++)
		if (strcmp(m->builds[k]->product, ref->product) == 0)
			return command_refuse(text, ERR_BAD_PLAN,
				"rollout %s: two builds for product %s", m->release, ref->product);
	r = state_rollout_of(s, b);
	if (r == NULL || r->state == ROLLOUT_SUPERSEDED)
		return 0;
	return command_refuse(text, r->state == ROLLOUT_HALTED ? ERR_BUILD_HALTED : ERR_EXISTS,
		"build %s: its rollout is %s", b->build_id, rollout_str(r->state));
}

int check_propose(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Propose *m = c->message->propose;
	struct plan_error fault;
	int err;
	const Pb__PlanSpec *spec =
		wire_read(&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_signed, a, &err);

	if (spec == NULL)
		return command_refuse(text, err, "plan: %s", err_str(err));
	/* Of two, each could say that the other proposed it, and approve. */
	if (c->who.n != 1)
		return command_refuse(
			text, ERR_MALFORMED, "rollout %s: one person proposes", m->release);
	if (plan_check(spec, &fault) != 0 && fault.stage >= 0)
		return command_refuse(text, ERR_BAD_PLAN, "plan %s: stage %d: %s: %s", spec->name,
			fault.stage + 1, plan_fault_key(fault.fault), plan_fault_str(fault.fault));
	if (fault.fault != PLAN_OK)
		return command_refuse(text, ERR_BAD_PLAN, "plan %s: %s: %s", spec->name,
			plan_fault_key(fault.fault), plan_fault_str(fault.fault));
	if (!name_ok(m->release) || m->n_builds == 0)
		return command_refuse(text, ERR_BAD_PLAN, "rollout: needs a name and a build");
	for (size_t i = 0; i < m->n_builds; i++) {
		err = check_proposed_build(s, m, spec, i, text);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- approve ---- */

static bool same_person(const Pb__Root *root, unsigned a, unsigned b)
{
	return strcmp(authority_name(root, a), authority_name(root, b)) == 0;
}

/* One key of each person; in profile maker not the one who proposed it. */
static struct signers persons(
	const struct state *s, const struct rollout *r, const struct signers *all)
{
	bool proposer_counts = strcmp(s->root->profile, "maker") != 0;
	struct signers out = { 0 };

	for (unsigned i = 0; i < all->n; i++) {
		bool counts = proposer_counts ||
			strcmp(authority_name(s->root, all->key[i]), r->proposer) != 0;
		for (unsigned k = 0; k < out.n; k++)
			counts &= !same_person(s->root, out.key[k], all->key[i]);
		if (counts)
			out.key[out.n++] = all->key[i];
	}
	return out;
}

struct signers rollout_approvers(const struct state *s, const struct rollout *r,
	const struct rollout_build *b, struct bytes plan, struct arena *a)
{
	const char *product[] = { b->build->product };
	struct authority_ask ask = { AUTHORITY_APPROVE, product, 1, 0 };
	struct signers all = { 0 }, none = { 0 };
	struct bytes payload;
	int err;

	if (plan.n == 0)
		return none;
	for (size_t i = 0; i < r->n_steps; i++)
		ask.rings |= 1u << r->steps[i].ring;
	err = envelope_verify(crypto_openssl(), plan, ENVELOPE_PLAN, s->root, s->root->approver, a,
		&payload, &all);
	if (err == 0 || err == ERR_BELOW_THRESHOLD)
		err = authority_of(crypto_openssl(), s->root, &ask, &all, &all);
	return err != 0 ? none : persons(s, r, &all);
}

/* One approval: the plans of a rollout, and whose signatures on them count. */
struct approval {
	const struct state *state;
	const struct rollout *rollout;
	struct arena *arena;
	struct signers who;
	char *text;
};

static bool same_people(const Pb__Root *root, const struct signers *a, const struct signers *b)
{
	for (unsigned i = 0; i < a->n; i++) {
		bool found = false;
		for (unsigned k = 0; k < b->n; k++)
			found |= same_person(root, a->key[i], b->key[k]);
		if (!found)
			return false;
	}
	return a->n == b->n;
}

/* The very bytes we would have them sign, in our order, by people who count and signed them all. */
static int check_plan(struct approval *p, size_t i, struct bytes plan)
{
	const struct rollout *r = p->rollout;
	struct signers who;
	int err;
	const Pb__Envelope *e = envelope_read(plan, p->arena, &err);

	if (e == NULL)
		return command_refuse(p->text, err, "plan: %s", err_str(err));
	if (!bytes_eq(wire_bytes(e->payload), buf_bytes(&r->builds[i].payload)))
		return command_refuse(p->text, ERR_CONFLICT,
			"rollout %s: not the plan that is to be approved", r->release);
	who = rollout_approvers(p->state, r, &r->builds[i], plan, p->arena);
	if (who.n == 0)
		return command_refuse(p->text, ERR_NOT_AUTHORISED,
			"rollout %s: no approver's signature that counts (%s proposed it)",
			r->release, r->proposer);
	if (i > 0 && !same_people(p->state->root, &p->who, &who))
		return command_refuse(p->text, ERR_BAD_PLAN,
			"rollout %s: the same people sign the plans of all its products",
			r->release);
	p->who = who;
	return 0;
}

int check_approve(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Approve *m = c->message->approve;
	struct approval p = { .state = s, .arena = a, .text = text };
	const struct rollout *r;
	int err = command_rollout(s, m->rollout_id, c, &r, text);

	if (err != 0)
		return err;
	if (!rollout_is_pending(r, c->now_s * 1000))
		return command_refuse(text, ERR_WRONG_STATE,
			"rollout %s: is %s; there is nothing to approve", r->release,
			rollout_str(r->state));
	if (m->n_plans != r->n_builds)
		return command_refuse(text, ERR_BAD_PLAN,
			"rollout %s: sign the plans of all its %zu products", r->release,
			r->n_builds);
	p.rollout = r;
	for (size_t i = 0; err == 0 && i < m->n_plans; i++)
		err = check_plan(&p, i, wire_bytes(m->plans[i]));
	return err;
}
