/* SPDX-License-Identifier: Apache-2.0 */
/* state_apply(): the only place where the state changes. */
#include "server/service/state.h"

#include <assert.h>
#include <stdio.h>

#include "server/base/mem.h"
#include "server/service/proposal.h"

/* One entry on its way in. */
struct entry {
	uint64_t index, time_ms;
	uint8_t leaf[SHA256_LEN];
	struct arena *arena;
};

static void note(struct rollout *r, const struct entry *e, const char *why)
{
	r->last_entry = e->index;
	r->since_ms = e->time_ms;
	(void)snprintf(r->why, sizeof(r->why), "%s", why != NULL ? why : "");
}

/* ---- publish ---- */

static int compare_builds(const void *a, const void *b)
{
	const struct build *x = *(struct build *const *)a, *y = *(struct build *const *)b;
	int product = strcmp(x->product, y->product);

	if (product != 0)
		return product;
	return x->release_counter < y->release_counter ? -1 : 1;
}

static int apply_publish(struct state *s, const struct entry *e, const Pb__Publish *m)
{
	struct bytes envelope = wire_bytes(m->targets);
	int err;
	const Pb__Envelope *env = envelope_read(envelope, e->arena, &err);
	const Pb__Targets *t = env == NULL
		? NULL
		: wire_read(&pb__targets__descriptor, wire_bytes(env->payload), &wire_signed,
			  e->arena, &err);
	struct build *b;

	if (t == NULL || t->n_targets == 0)
		return ERR_CORRUPT;
	b = mem_zalloc(sizeof(*b));
	b->product = mem_strdup(t->product);
	b->build_id = mem_strdup(t->build_id);
	b->release = mem_strdup(t->release != NULL ? t->release : t->build_id);
	b->release_counter = t->release_counter;
	b->rollback_index = t->rollback_index;
	b->targets_version = t->version;
	b->expires = t->expires;
	b->length = t->targets[0]->length;
	memcpy(b->sha256, t->targets[0]->sha256.data, SHA256_LEN);
	b->published_ms = e->time_ms;
	b->tag = (uint8_t)(1 + s->n_builds % 255);
	buf_add(&b->targets, envelope.p, envelope.n);
	s->builds = mem_resize(s->builds, s->n_builds + 1, sizeof(struct build *));
	s->builds[s->n_builds++] = b;
	err = crypto_sha256(&envelope, 1, b->targets_sha256);
	qsort(s->builds, s->n_builds, sizeof(struct build *), compare_builds);
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
		r->builds[r->n_builds++].build = b;
	}
	return 0;
}

static int apply_propose(struct state *s, const struct entry *e, const Pb__Propose *m,
	const char *who, const char *why)
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
	note(r, e, why);
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
		struct bytes pending = buf_bytes(&r->builds[i].pending);
		if (rollout_approvers(s, r, pending, a).n < s->root->approver->threshold)
			return false;
	}
	return true;
}

/* The approved version comes into force, and with it what it was asked for. */
static int come_into_force(struct state *s, struct rollout *r, const struct entry *e)
{
	enum rollout_event event = r->state == ROLLOUT_PROPOSED ? ROLLOUT_APPROVE : ROLLOUT_RESUME;

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
	}
	r->plan_version++;
	proposal_renew(s, r);
	if (event == ROLLOUT_RESUME) {
		/* One that was halted before its start is only approved again. */
		if (r->opened_ms[0] == 0) {
			r->state = ROLLOUT_APPROVED;
			return 0;
		}
		r->resumed_ms = e->time_ms;
		r->resumes = mem_resize(r->resumes, r->n_resumes + 1, sizeof(*r->resumes));
		r->resumes[r->n_resumes++] = e->index;
	}
	return rollout_next(&r->state, event) ? 0 : ERR_CORRUPT;
}

static int apply_approve(
	struct state *s, const struct entry *e, const Pb__Approve *m, const char *why)
{
	struct rollout *r = state_rollout_id(s, m->rollout_id.data);
	int err = r == NULL ? ERR_CORRUPT : 0;

	for (size_t i = 0; err == 0 && i < m->n_plans; i++)
		err = take_signature(r, wire_bytes(m->plans[i]), e->arena);
	if (err != 0)
		return err;
	r->last_entry = e->index;
	if (!all_approved(s, r, e->arena))
		return 0;
	note(r, e, why);
	return come_into_force(s, r, e);
}

/* ---- steps ---- */

/* A ring of a line has one open stage: opening another ends the older rollout there. */
static void open_step(struct state *s, struct rollout *r, const struct entry *e, uint32_t step)
{
	r->step = step;
	r->opened_ms[step] = e->time_ms;
	for (size_t i = 0; i < s->n_rollouts; i++) {
		struct rollout *other = s->rollouts[i];
		char why[STATE_TEXT];
		if (other == r || strcmp(other->line, r->line) != 0 ||
			rollout_ring(other) != rollout_ring(r))
			continue;
		if (!rollout_next(&other->state, ROLLOUT_SUPERSEDE))
			continue;
		(void)snprintf(
			why, sizeof(why), "%s opened %s", r->release, ring_str(rollout_ring(r)));
		note(other, e, why);
	}
}

static int apply_act(
	struct state *s, const struct entry *e, const Pb__RolloutAct *m, const char *why)
{
	static const enum rollout_event event[] = {
		[PB__ACT__ACT_START] = ROLLOUT_START,
		[PB__ACT__ACT_PAUSE] = ROLLOUT_PAUSE,
		[PB__ACT__ACT_HALT] = ROLLOUT_HALT,
	};
	struct rollout *r = state_rollout_id(s, m->rollout_id.data);

	if (r == NULL || !rollout_next(&r->state, event[m->act]))
		return ERR_CORRUPT;
	note(r, e, why);
	if (m->act == PB__ACT__ACT_START)
		open_step(s, r, e, 0);
	return 0;
}

static int apply_decision(struct state *s, const struct entry *e, const Pb__Decision *m)
{
	static const enum rollout_event event[] = {
		[PB__DECISION_KIND__DECISION_PROMOTE] = ROLLOUT_PROMOTE,
		[PB__DECISION_KIND__DECISION_PAUSE] = ROLLOUT_PAUSE,
		[PB__DECISION_KIND__DECISION_HALT] = ROLLOUT_HALT,
		[PB__DECISION_KIND__DECISION_COMPLETE] = ROLLOUT_FINISH,
	};
	struct rollout *r;

	if (m->kind == PB__DECISION_KIND__DECISION_FILL)
		return 0; /* seats are not part of this state */
	r = m->rollout_id.len == ID_LEN ? state_rollout_id(s, m->rollout_id.data) : NULL;
	if (r == NULL || r->step != m->step || !rollout_next(&r->state, event[m->kind]))
		return ERR_CORRUPT;
	note(r, e, m->why);
	if (m->kind != PB__DECISION_KIND__DECISION_PROMOTE)
		return 0;
	if (r->step + 1 >= r->n_steps)
		return ERR_CORRUPT;
	open_step(s, r, e, r->step + 1);
	return 0;
}

/* ---- directors ---- */

static struct logged *find_logged(struct state *s, const Pb__Director *d)
{
	struct logged *l;

	for (size_t i = 0; i < s->n_directors; i++)
		if (s->directors[i].ring == d->ring &&
			strcmp(s->directors[i].product, d->product) == 0)
			return &s->directors[i];
	s->directors = mem_resize(s->directors, s->n_directors + 1, sizeof(*s->directors));
	l = &s->directors[s->n_directors++];
	*l = (struct logged){ .product = mem_strdup(d->product), .ring = d->ring };
	return l;
}

/* Changes nothing that is decided: its place is remembered, for the proof that it is logged. */
static int apply_director(
	struct state *s, const struct entry *e, const Pb__Envelope *env, struct bytes envelope)
{
	int err;
	const Pb__Director *d = wire_read(
		&pb__director__descriptor, wire_bytes(env->payload), &wire_signed, e->arena, &err);
	struct logged *l;

	if (d == NULL || d->ring >= RING__COUNT)
		return ERR_CORRUPT;
	l = find_logged(s, d);
	l->index = e->index;
	l->time_ms = e->time_ms;
	return crypto_sha256(&envelope, 1, l->sha256);
}

/* ---- entries ---- */

static void remember_nonce(struct state *s, const Pb__AdminCommand *m, uint64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_nonces; i++)
		if (s->nonces[i].expires_s * 1000 >= now_ms)
			s->nonces[kept++] = s->nonces[i];
	s->nonces = mem_resize(s->nonces, kept + 1, sizeof(*s->nonces));
	memcpy(s->nonces[kept].nonce, m->nonce.data, ID_LEN);
	s->nonces[kept].expires_s = m->expires;
	s->n_nonces = kept + 1;
}

static const char *first_name(const struct state *s, const Pb__Envelope *e)
{
	for (size_t i = 0; e->n_signatures > 0 && i < s->root->n_keys; i++) {
		uint8_t keyid[SHA256_LEN];
		const Pb__Key *key = s->root->keys[i];
		if (envelope_keyid(crypto_openssl(), key, keyid) == 0 &&
			bytes_eq(wire_bytes(e->signatures[0]->keyid), bytes_of(keyid, SHA256_LEN)))
			return key->name != NULL ? key->name : "?";
	}
	return "?";
}

static int apply_command(struct state *s, const struct entry *e, const Pb__Envelope *env)
{
	int err;
	const Pb__AdminCommand *m = wire_read(&pb__admin_command__descriptor,
		wire_bytes(env->payload), &wire_signed, e->arena, &err);

	if (m == NULL || m->nonce.len != ID_LEN)
		return ERR_CORRUPT;
	remember_nonce(s, m, e->time_ms);
	if (m->publish != NULL)
		return apply_publish(s, e, m->publish);
	if (m->propose != NULL)
		return apply_propose(s, e, m->propose, first_name(s, env), m->reason);
	if (m->approve != NULL && m->approve->rollout_id.len == ID_LEN)
		return apply_approve(s, e, m->approve, m->reason);
	if (m->act != NULL && m->act->rollout_id.len == ID_LEN)
		return apply_act(s, e, m->act, m->reason);
	return ERR_CORRUPT;
}

static int apply_envelope(struct state *s, const struct entry *e, struct bytes envelope)
{
	enum envelope_type type;
	int err;
	const Pb__Envelope *env = envelope_read(envelope, e->arena, &err);
	const Pb__Decision *d;

	if (env == NULL || !envelope_type_of(env, &type))
		return ERR_CORRUPT;
	if (type == ENVELOPE_ROOT)
		return e->index == 0 ? 0 : ERR_CORRUPT;
	if (type == ENVELOPE_COMMAND)
		return apply_command(s, e, env);
	if (type == ENVELOPE_DIRECTOR)
		return apply_director(s, e, env, envelope);
	if (type != ENVELOPE_DECISION)
		return ERR_CORRUPT;
	d = wire_read(
		&pb__decision__descriptor, wire_bytes(env->payload), &wire_signed, e->arena, &err);
	return d == NULL ? ERR_CORRUPT : apply_decision(s, e, d);
}

int state_apply(struct state *s, struct bytes entry, struct arena *a)
{
	struct entry e = { .index = s->log.size, .arena = a };
	int err;
	const Pb__LogEntry *m = wire_read(&pb__log_entry__descriptor, entry, &wire_signed, a, &err);

	if (m == NULL)
		return ERR_CORRUPT;
	e.time_ms = m->time_ms;
	err = merkle_leaf(crypto_openssl(), entry, a, e.leaf);
	if (err == 0)
		err = logtree_add(s->tree, e.leaf);
	s->log.size = logtree_size(s->tree);
	if (err == 0)
		err = logtree_root(s->tree, s->log.size, s->log.root);
	return err != 0 ? err : apply_envelope(s, &e, wire_bytes(m->envelope));
}
