/* SPDX-License-Identifier: Apache-2.0 */
/* state_apply(): the only place where the state changes. */
#include <assert.h>
#include <stdio.h>

#include "proto/root.h"
#include "server/base/mem.h"
#include "server/service/fold.h"
#include "server/service/proposal.h"
#include "server/trust/authority.h"

void fold_note(struct rollout *r, const struct entry *e, const char *why)
{
	r->last_entry = e->index;
	r->since_ms = e->time_ms;
	(void)snprintf(r->why, sizeof(r->why), "%s", why != NULL ? why : "");
}

/* ---- steps ---- */

static bool is_newer(const struct rollout *a, const struct rollout *b)
{
	for (size_t i = 0; i < a->n_builds; i++)
		for (size_t k = 0; k < b->n_builds; k++)
			if (strcmp(a->builds[i].build->product, b->builds[k].build->product) == 0 &&
				a->builds[i].build->release_counter >
					b->builds[k].build->release_counter)
				return true;
	return false;
}

/* What goes on by itself, or again, must not take a ring from a newer build that was started there. */
static bool is_overtaken(struct state *s, struct rollout *r, const struct entry *e, enum ring ring)
{
	for (size_t i = 0; i < s->n_rollouts; i++) {
		const struct rollout *other = s->rollouts[i];
		char why[STATE_TEXT];
		if ((other->state != ROLLOUT_RUNNING && other->state != ROLLOUT_PAUSED) ||
			strcmp(other->line, r->line) != 0 || rollout_ring(other) != ring ||
			!is_newer(other, r) || !rollout_next(&r->state, ROLLOUT_SUPERSEDE))
			continue;
		(void)snprintf(why, sizeof(why), "%s, which is newer, is open in %s",
			other->release, ring_str(ring));
		fold_note(r, e, why);
		return true;
	}
	return false;
}

/* A ring of a line has one open stage: opening another ends the older rollout there. */
static void take_ring(struct state *s, const struct rollout *r, const struct entry *e)
{
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
		fold_note(other, e, why);
	}
}

static void open_step(struct state *s, struct rollout *r, const struct entry *e, uint32_t step)
{
	r->step = step;
	r->opened_ms[step] = e->time_ms;
	take_ring(s, r, e);
}

void fold_resume(struct state *s, struct rollout *r, const struct entry *e)
{
	if (!is_overtaken(s, r, e, rollout_ring(r)))
		take_ring(s, r, e);
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
	fold_note(r, e, why);
	if (m->act == PB__ACT__ACT_START)
		open_step(s, r, e, 0);
	else
		proposal_renew(s, r);
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
	fold_note(r, e, m->why);
	if (m->kind == PB__DECISION_KIND__DECISION_PAUSE ||
		m->kind == PB__DECISION_KIND__DECISION_HALT)
		proposal_renew(s, r);
	if (m->kind != PB__DECISION_KIND__DECISION_PROMOTE)
		return 0;
	if (r->step + 1 >= r->n_steps)
		return ERR_CORRUPT;
	if (!is_overtaken(s, r, e, (enum ring)r->steps[r->step + 1].ring))
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

static int apply_withdraw(
	struct state *s, const struct entry *e, const Pb__Withdraw *m, const char *who)
{
	char why[STATE_TEXT];
	struct rollout *r;

	if (m->has_command && m->command.len == SHA256_LEN) {
		pending_drop(s, m->command.data);
		return 0;
	}
	r = m->rollout_id.len == ID_LEN ? state_rollout_id(s, m->rollout_id.data) : NULL;
	if (r == NULL || !rollout_next(&r->state, ROLLOUT_WITHDRAW))
		return ERR_CORRUPT;
	(void)snprintf(why, sizeof(why), "withdrawn by %.64s", who);
	fold_note(r, e, why);
	return 0;
}

static int apply_change(
	struct state *s, const struct entry *e, const Pb__AdminCommand *m, const char *who)
{
	if (m->publish != NULL)
		return fold_publish(s, e, m->publish);
	if (m->propose != NULL)
		return fold_propose(s, e, m->propose, who, m->reason);
	if (m->approve != NULL && m->approve->rollout_id.len == ID_LEN)
		return fold_approve(s, e, m->approve, m->reason);
	if (m->act != NULL && m->act->rollout_id.len == ID_LEN)
		return apply_act(s, e, m->act, m->reason);
	if (m->withdraw != NULL)
		return apply_withdraw(s, e, m->withdraw, who);
	if (m->seat != NULL || m->confirm != NULL || m->import != NULL)
		return 0; /* devices, seats and the signer's clock are not part of this state */
	return ERR_CORRUPT;
}

/* Signed by too few it changes nothing: it waits. */
static int apply_command(struct state *s, const struct entry *e, struct bytes envelope)
{
	uint8_t id[SHA256_LEN];
	struct signers who;
	unsigned missing;
	struct bytes payload;
	int err;
	const Pb__Envelope *env = envelope_read(envelope, e->arena, &err);
	const Pb__AdminCommand *m = env == NULL
		? NULL
		: wire_read(&pb__admin_command__descriptor, wire_bytes(env->payload), &wire_signed,
			  e->arena, &err);

	if (m == NULL)
		return ERR_CORRUPT;
	payload = wire_bytes(env->payload);
	err = crypto_sha256(&payload, 1, id);
	if (err == 0)
		err = command_signers(s->root, envelope, e->arena, &who);
	if (err == 0)
		err = command_missing(s->root, m, &who, &missing);
	if (err != 0)
		return ERR_CORRUPT;
	pending_expire(s, e->time_ms);
	if (missing > 0) {
		pending_keep(s, id, envelope, authority_name(s->root, who.key[0]), m->expires);
		return 0;
	}
	pending_drop(s, id);
	return apply_change(s, e, m, authority_name(s->root, who.key[0]));
}

/* ---- roots ---- */

/*
 * The first is the log's own; each other follows the one before.  What waits was asked for by people
 * of the old one, and is asked for anew.
 */
static int apply_root(struct state *s, const struct entry *e, struct bytes envelope)
{
	struct rootfile *next;
	int err;

	if (s->n_chain > 0 &&
		root_next(crypto_openssl(), s->root, envelope, e->arena, &err) == NULL)
		return ERR_CORRUPT;
	if (rootfile_parse(envelope, &next) != 0)
		return ERR_CORRUPT;
	s->chain = mem_resize(s->chain, s->n_chain + 1, sizeof(struct rootfile *));
	s->chain[s->n_chain++] = next;
	s->root = next->root;
	while (s->n_pending > 0)
		pending_drop(s, s->pending[0].id);
	return 0;
}

static int apply_decision_envelope(struct state *s, const struct entry *e, const Pb__Envelope *env)
{
	int err;
	const Pb__Decision *d = wire_read(
		&pb__decision__descriptor, wire_bytes(env->payload), &wire_signed, e->arena, &err);

	return d == NULL ? ERR_CORRUPT : apply_decision(s, e, d);
}

static int apply_envelope(struct state *s, const struct entry *e, struct bytes envelope)
{
	enum envelope_type type;
	int err;
	const Pb__Envelope *env = envelope_read(envelope, e->arena, &err);

	if (env == NULL || !envelope_type_of(env, &type) ||
		(s->n_chain == 0 && type != ENVELOPE_ROOT))
		return ERR_CORRUPT;
	if (type == ENVELOPE_ROOT)
		return apply_root(s, e, envelope);
	if (type == ENVELOPE_COMMAND)
		return apply_command(s, e, envelope);
	if (type == ENVELOPE_DIRECTOR)
		return apply_director(s, e, env, envelope);
	return type == ENVELOPE_DECISION ? apply_decision_envelope(s, e, env) : ERR_CORRUPT;
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
