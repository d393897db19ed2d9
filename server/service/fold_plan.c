/* SPDX-License-Identifier: Apache-2.0 */
/* Builds, proposals and approvals. */
#include "server/base/mem.h"
#include "server/service/fold.h"
#include "server/service/proposal.h"

/* ---- publish ---- */

static int compare_builds(const void *a, const void *b)
{
	const struct build *x = *(struct build *const *)a, *y = *(struct build *const *)b;
	int product = strcmp(x->product, y->product);

	if (product != 0)
		return product;
	return x->release_counter < y->release_counter ? -1 : 1;
}

static const Pb__Targets *read_targets(struct bytes envelope, struct arena *a)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, a, &err);
	const Pb__Targets *t = e == NULL ? NULL
					 : wire_read(&pb__targets__descriptor,
						   wire_bytes(e->payload), &wire_signed, a, &err);

	return t == NULL || t->n_targets == 0 ? NULL : t;
}

static struct build *make_build(
	const struct entry *e, const Pb__Targets *t, struct bytes envelope, int *err)
{
	struct build *b = mem_zalloc(sizeof(*b));

	b->product = mem_strdup(t->product);
	b->build_id = mem_strdup(t->build_id);
	b->release = mem_strdup(t->release != NULL ? t->release : t->build_id);
	b->release_counter = t->release_counter;
	b->rollback_index = t->rollback_index;
	b->targets_version = t->version;
	b->expires = t->expires;
	b->length = t->targets[0]->length;
	memcpy(b->sha256, t->targets[0]->sha256.data, SHA256_LEN);
	b->published_ms = b->signed_ms = e->time_ms;
	buf_add(&b->targets, envelope.p, envelope.n);
	*err = crypto_sha256(&envelope, 1, b->targets_sha256);
	return b;
}

static void add_build(struct state *s, struct build *b)
{
	b->tag = (uint8_t)(1 + s->n_builds % 255);
	s->builds = mem_resize(s->builds, s->n_builds + 1, sizeof(struct build *));
	s->builds[s->n_builds++] = b;
	qsort(s->builds, s->n_builds, sizeof(struct build *), compare_builds);
}

/* The next version of each plan for it pins the new envelope. */
static void renew_rollouts(
	struct state *s, const struct entry *e, const struct build *old, const struct build *b)
{
	for (size_t i = 0; i < s->n_rollouts; i++) {
		struct rollout *r = s->rollouts[i];
		bool touched = false;
		for (size_t k = 0; k < r->n_builds; k++) {
			/* A proposal goes on with the envelope that its seed was drawn from. */
			if (r->builds[k].next != old || r->builds[k].plan.len == 0)
				continue;
			r->builds[k].next = b;
			touched = true;
		}
		if (!touched)
			continue;
		r->last_entry = e->index;
		proposal_renew(s, r);
	}
}

/* The older envelope stays as long as there may be a plan that pins it. */
static void replace_build(
	struct state *s, const struct entry *e, struct build *old, struct build *b)
{
	b->tag = old->tag;
	b->published_ms = old->published_ms;
	for (size_t i = 0; i < s->n_builds; i++)
		if (s->builds[i] == old)
			s->builds[i] = b;
	s->older = mem_resize(s->older, s->n_older + 1, sizeof(struct build *));
	s->older[s->n_older++] = old;
	renew_rollouts(s, e, old, b);
}

int fold_publish(struct state *s, const struct entry *e, const Pb__Publish *m)
{
	const Pb__Targets *t = read_targets(wire_bytes(m->targets), e->arena);
	struct build *b, *old;
	int err;

	if (t == NULL)
		return ERR_CORRUPT;
	b = make_build(e, t, wire_bytes(m->targets), &err);
	old = state_build(s, t->product, t->build_id);
	if (old == NULL)
		add_build(s, b);
	else
		replace_build(s, e, old, b);
	return err;
}

/* ---- propose, approve ---- */

static int find_builds(struct state *s, struct rollout *r, const Pb__Propose *m)
{
	r->builds = mem_zalloc(m->n_builds * sizeof(*r->builds));
	for (size_t i = 0; i < m->n_builds; i++) {
		const Pb__BuildRef *ref = m->builds[i];
		struct build *b = state_build(s, ref->product, ref->build_id);
		if (b == NULL)
			return ERR_CORRUPT;
		r->builds[r->n_builds].next = b;
		r->builds[r->n_builds++].build = b;
	}
	return 0;
}

int fold_propose(struct state *s, const struct entry *e, const Pb__Propose *m, const char *who,
	const char *why)
{
	struct rollout *r = mem_zalloc(sizeof(*r));
	int err;
	const Pb__PlanSpec *spec = wire_read(
		&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_signed, e->arena, &err);

	s->rollouts = mem_resize(s->rollouts, s->n_rollouts + 1, sizeof(struct rollout *));
	s->rollouts[s->n_rollouts++] = r;
	if (spec == NULL)
		return ERR_CORRUPT;
	r->no = (uint32_t)e->index;
	memcpy(r->id, e->leaf, ID_LEN);
	r->release = mem_strdup(m->release);
	r->line = mem_strdup(spec->line);
	r->proposer = mem_strdup(who);
	buf_add(&r->spec_bytes, m->spec.data, m->spec.len);
	r->proposed_ms = e->time_ms;
	memcpy(r->audit_root, state_root(s), SHA256_LEN);
	fold_note(r, e, why);
	err = find_builds(s, r, m);
	if (err == 0)
		proposal_draw(s, r);
	return err;
}

/* Adds an approver's signature to the plan it is for. */
static int take_signature(struct rollout *r, struct bytes plan, struct arena *a)
{
	int err;
	const Pb__Envelope *e = envelope_read(plan, a, &err);

	for (size_t i = 0; e != NULL && i < r->n_builds; i++) {
		struct rollout_build *b = &r->builds[i];
		struct bytes merged = plan;
		if (!bytes_eq(wire_bytes(e->payload), buf_bytes(&b->payload)))
			continue;
		if (b->pending.len > 0)
			err = envelope_merge(buf_bytes(&b->pending), plan, a, &merged);
		if (err != 0)
			return err;
		b->pending.len = 0;
		buf_add(&b->pending, merged.p, merged.n);
		return 0;
	}
	return ERR_CORRUPT;
}

static bool all_approved(const struct state *s, const struct rollout *r, struct arena *a)
{
	for (size_t i = 0; i < r->n_builds; i++) {
		const struct rollout_build *b = &r->builds[i];
		if (rollout_approvers(s, r, b, buf_bytes(&b->pending), a).n <
			s->root->approver->threshold)
			return false;
	}
	return true;
}

/* What approvers signed takes the place of what was in force. */
static int take_plans(const struct state *s, struct rollout *r)
{
	r->expires_s = proposal_expires_s(r);
	for (size_t i = 0; i < r->n_builds; i++) {
		struct rollout_build *b = &r->builds[i];
		struct buf empty = { 0 };
		struct bytes plan = buf_bytes(&b->pending);
		int err = crypto_sha256(&plan, 1, b->plan_sha256);
		if (err != 0)
			return err;
		buf_release(&b->plan);
		b->plan = b->pending;
		b->pending = empty;
		b->build = b->next;
		b->next = state_build(s, b->build->product, b->build->build_id);
	}
	r->plan_version++;
	return 0;
}

/* Evidence counts from now on.  While it was halted others may have opened its ring. */
static void resume(struct state *s, struct rollout *r, const struct entry *e)
{
	r->resumed_ms = e->time_ms;
	r->resumes = mem_resize(r->resumes, r->n_resumes + 1, sizeof(*r->resumes));
	r->resumes[r->n_resumes++] = e->index;
	fold_resume(s, r, e);
}

/* The approved version comes into force, and with it what it was asked for. */
static int come_into_force(
	struct state *s, struct rollout *r, const struct entry *e, const char *why)
{
	enum rollout_event event = r->state == ROLLOUT_PROPOSED ? ROLLOUT_APPROVE : ROLLOUT_RESUME;
	bool renewal = rollout_is_renewal(r);
	int err = take_plans(s, r);

	if (err == 0 && !renewal) {
		fold_note(r, e, why);
		/* One that was halted before its start is only approved again. */
		if (event == ROLLOUT_RESUME && r->opened_ms[0] == 0)
			r->state = ROLLOUT_APPROVED;
		else if (!rollout_next(&r->state, event))
			err = ERR_CORRUPT;
		else if (event == ROLLOUT_RESUME)
			resume(s, r, e);
	}
	proposal_renew(s, r);
	return err;
}

int fold_approve(struct state *s, const struct entry *e, const Pb__Approve *m, const char *why)
{
	struct rollout *r = state_rollout_id(s, m->rollout_id.data);
	int err = r == NULL ? ERR_CORRUPT : 0;

	for (size_t i = 0; err == 0 && i < m->n_plans; i++)
		err = take_signature(r, wire_bytes(m->plans[i]), e->arena);
	if (err != 0)
		return err;
	r->last_entry = e->index;
	return all_approved(s, r, e->arena) ? come_into_force(s, r, e, why) : 0;
}
