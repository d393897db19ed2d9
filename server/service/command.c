/* SPDX-License-Identifier: Apache-2.0 */
/* What people may ask for: everything is checked here, before it becomes an entry of the log. */
#include "server/service/state.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/names.h"

#define COMMAND_LIFE_S (15 * 60)
#define CLOCK_SKEW_S   60

__attribute__((format(printf, 3, 4))) static int refuse(
	char *text, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, STATE_TEXT, format, args);
	va_end(args);
	return err;
}

static bool in_role(const Pb__Role *role, const uint8_t keyid[SHA256_LEN])
{
	for (size_t i = 0; i < role->n_keyids; i++)
		if (bytes_eq(wire_bytes(role->keyids[i]), bytes_of(keyid, SHA256_LEN)))
			return true;
	return false;
}

/* All keys of people: releasers and approvers. */
static int people(const Pb__Root *root, ProtobufCBinaryData *list, size_t max, Pb__Role *out)
{
	const Pb__Role *role[] = { root->targets, root->approver };
	size_t n = 0;

	for (size_t r = 0; r < 2; r++)
		for (size_t i = 0; i < role[r]->n_keyids; i++) {
			if (n == max)
				return ERR_NO_ROOM;
			list[n++] = role[r]->keyids[i];
		}
	*out = (Pb__Role)PB__ROLE__INIT;
	out->threshold = 1;
	out->keyids = list;
	out->n_keyids = n;
	return 0;
}

static int check_time(const Pb__AdminCommand *m, uint64_t now_s)
{
	if (m->expires < now_s || m->issued_at > now_s + CLOCK_SKEW_S ||
		m->expires > m->issued_at + COMMAND_LIFE_S)
		return ERR_STALE;
	return 0;
}

/* The log the signer saw must be a beginning of ours. */
static int check_prefix(const struct state *s, const Pb__AdminCommand *m)
{
	uint8_t root[SHA256_LEN];
	int err;

	if (m->audit_size == 0 || m->audit_size > s->log.size)
		return ERR_CONFLICT;
	err = logtree_root(s->tree, m->audit_size, root);
	if (err != 0)
		return err;
	return bytes_eq(wire_bytes(m->audit_root), bytes_of(root, SHA256_LEN)) ? 0 : ERR_CONFLICT;
}

static int check_nonce(const struct state *s, const Pb__AdminCommand *m)
{
	if (m->nonce.len != ID_LEN)
		return ERR_BAD_RANGE;
	for (size_t i = 0; i < s->n_nonces; i++)
		if (memcmp(s->nonces[i].nonce, m->nonce.data, ID_LEN) == 0)
			return ERR_REPLAYED;
	return 0;
}

int command_open(const struct state *s, struct bytes envelope, uint64_t now_ms, struct arena *a,
	struct command *out, char *text)
{
	ProtobufCBinaryData keyids[64];
	Pb__Role anybody;
	struct bytes payload;
	uint8_t keyid[SHA256_LEN];
	int err = people(s->root, keyids, 64, &anybody);

	*out = (struct command){ .name = "?" };
	if (err == 0)
		err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_COMMAND, s->root,
			&anybody, a, &payload, &out->who);
	if (err != 0)
		return refuse(text, err, "command: %s", err_str(err));
	out->message = wire_read(&pb__admin_command__descriptor, payload, &wire_signed, a, &err);
	if (out->message == NULL)
		return refuse(text, err, "command: %s", err_str(err));
	for (unsigned i = 0; err == 0 && i < out->who.n; i++) {
		const Pb__Key *key = s->root->keys[out->who.key[i]];
		err = envelope_keyid(crypto_openssl(), key, keyid);
		out->releaser |= err == 0 && in_role(s->root->targets, keyid);
		out->approver |= err == 0 && in_role(s->root->approver, keyid);
		if (i == 0 && key->name != NULL)
			out->name = key->name;
	}
	if (err == 0 && strcmp(out->message->repository, s->root->repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	if (err == 0)
		err = check_time(out->message, now_ms / 1000);
	if (err == 0)
		err = check_prefix(s, out->message);
	if (err == 0)
		err = check_nonce(s, out->message);
	return err == 0 ? 0 : refuse(text, err, "command: %s", err_str(err));
}

/* ---- publish ---- */

static const Pb__Target *full_file(const Pb__Targets *t)
{
	if (t->n_targets == 0 || t->targets[0]->base_build_id != NULL ||
		t->targets[0]->sha256.len != SHA256_LEN || t->targets[0]->length == 0)
		return NULL;
	return t->targets[0];
}

static int check_targets(const struct state *s, const Pb__Targets *t, char *text)
{
	if (strcmp(t->repository, s->root->repository) != 0)
		return refuse(
			text, ERR_WRONG_REPOSITORY, "build: %s", err_str(ERR_WRONG_REPOSITORY));
	if (!name_ok(t->build_id) || (t->release != NULL && !name_ok(t->release)) ||
		t->release_counter == 0)
		return refuse(text, ERR_BAD_BUILD,
			"build: ids are 1 to 63 of A-Z a-z 0-9 . _ -, counters start at 1");
	if (!s->knows_product(s->ctx, NULL, t->product))
		return refuse(text, ERR_NOT_FOUND,
			"build %s: the configuration knows no product '%s'", t->build_id,
			t->product);
	if (full_file(t) == NULL)
		return refuse(text, ERR_BAD_BUILD, "build %s: its first file must be a whole one",
			t->build_id);
	if (!s->has_file(s->ctx, t->targets[0]->sha256.data))
		return refuse(text, ERR_NO_ARTIFACT, "build %s: %s", t->build_id,
			err_str(ERR_NO_ARTIFACT));
	return 0;
}

static int check_order(const struct state *s, const Pb__Targets *t, char *text)
{
	for (size_t i = 0; i < s->n_builds; i++) {
		const struct build *b = s->builds[i];
		if (strcmp(b->product, t->product) != 0)
			continue;
		if (strcmp(b->build_id, t->build_id) == 0)
			return refuse(text, ERR_EXISTS, "build %s: published already", t->build_id);
		if (b->release_counter >= t->release_counter)
			return refuse(text, ERR_BAD_BUILD,
				"build %s: counter %llu is not above %llu of %s", t->build_id,
				(unsigned long long)t->release_counter,
				(unsigned long long)b->release_counter, b->build_id);
		if (b->rollback_index > t->rollback_index)
			return refuse(text, ERR_BAD_BUILD,
				"build %s: rollback index %llu is below %llu of %s", t->build_id,
				(unsigned long long)t->rollback_index,
				(unsigned long long)b->rollback_index, b->build_id);
	}
	return 0;
}

static int check_publish(
	const struct state *s, const struct command *c, struct arena *a, char *text)
{
	struct bytes payload;
	const Pb__Targets *t;
	int err;

	if (!c->releaser)
		return refuse(text, ERR_NOT_AUTHORISED, "publish: needs a release key");
	err = envelope_open(crypto_openssl(), wire_bytes(c->message->publish->targets),
		ENVELOPE_TARGETS, s->root, a, &payload);
	if (err == ERR_BELOW_THRESHOLD)
		return refuse(text, err, "build: needs the signatures of %u release keys",
			s->root->targets->threshold);
	if (err != 0)
		return refuse(text, err, "build: %s", err_str(err));
	t = wire_read(&pb__targets__descriptor, payload, &wire_signed, a, &err);
	if (t == NULL)
		return refuse(text, err, "build: %s", err_str(err));
	err = check_targets(s, t, text);
	return err != 0 ? err : check_order(s, t, text);
}

/* ---- propose ---- */

static const struct rollout *rollout_of_build(const struct state *s, const struct build *b)
{
	for (size_t i = s->n_rollouts; i > 0; i--)
		for (size_t k = 0; k < s->rollouts[i - 1]->n_builds; k++)
			if (s->rollouts[i - 1]->builds[k].build == b)
				return s->rollouts[i - 1];
	return NULL;
}

static int check_proposed_build(
	const struct state *s, const Pb__Propose *m, const Pb__PlanSpec *spec, size_t i, char *text)
{
	const Pb__BuildRef *ref = m->builds[i];
	const struct build *b = state_build(s, ref->product, ref->build_id);
	const struct rollout *r;

	if (!s->knows_product(s->ctx, spec->line, ref->product))
		return refuse(text, ERR_NOT_FOUND, "rollout %s: line '%s' has no product '%s'",
			m->release, spec->line, ref->product);
	if (b == NULL)
		return refuse(text, ERR_NOT_FOUND, "build %s: not published for %s", ref->build_id,
			ref->product);
	for (size_t k = 0; k < i; k++)
		if (strcmp(m->builds[k]->product, ref->product) == 0)
			return refuse(text, ERR_BAD_PLAN, "rollout %s: two builds for product %s",
				m->release, ref->product);
	r = rollout_of_build(s, b);
	if (r == NULL || r->state == ROLLOUT_SUPERSEDED)
		return 0;
	return refuse(text, r->state == ROLLOUT_HALTED ? ERR_BUILD_HALTED : ERR_EXISTS,
		"build %s: its rollout is %s", b->build_id, rollout_str(r->state));
}

static int check_propose(
	const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Propose *m = c->message->propose;
	struct plan_error fault;
	int err;
	const Pb__PlanSpec *spec =
		wire_read(&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_signed, a, &err);

	if (spec == NULL)
		return refuse(text, err, "plan: %s", err_str(err));
	if (plan_check(spec, &fault) != 0 && fault.stage >= 0)
		return refuse(text, ERR_BAD_PLAN, "plan %s: stage %d: %s: %s", spec->name,
			fault.stage + 1, plan_fault_key(fault.fault), plan_fault_str(fault.fault));
	if (fault.fault != PLAN_OK)
		return refuse(text, ERR_BAD_PLAN, "plan %s: %s: %s", spec->name,
			plan_fault_key(fault.fault), plan_fault_str(fault.fault));
	if (!name_ok(m->release) || m->n_builds == 0)
		return refuse(text, ERR_BAD_PLAN, "rollout: needs a name and a build");
	for (size_t i = 0; i < m->n_builds; i++) {
		err = check_proposed_build(s, m, spec, i, text);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- approve ---- */

struct signers rollout_approvers(
	const struct state *s, const struct rollout *r, struct bytes plan, struct arena *a)
{
	struct signers all = { 0 }, out = { 0 };
	bool proposer_counts = strcmp(s->root->profile, "maker") != 0;
	struct bytes payload;
	int err;

	if (plan.n == 0)
		return out;
	err = envelope_verify(crypto_openssl(), plan, ENVELOPE_PLAN, s->root, s->root->approver, a,
		&payload, &all);
	if (err != 0 && err != ERR_BELOW_THRESHOLD)
		return out;
	for (unsigned i = 0; i < all.n; i++) {
		const char *name = s->root->keys[all.key[i]]->name;
		if (proposer_counts || name == NULL || strcmp(name, r->proposer) != 0)
			out.key[out.n++] = all.key[i];
	}
	return out;
}

/* The very bytes we would have them sign, with a signature that counts. */
static int check_plan(const struct state *s, const struct rollout *r, struct bytes plan,
	struct arena *a, char *text)
{
	int err;
	const Pb__Envelope *e = envelope_read(plan, a, &err);

	if (e == NULL)
		return refuse(text, err, "plan: %s", err_str(err));
	for (size_t i = 0; i < r->n_builds; i++)
		if (bytes_eq(wire_bytes(e->payload), buf_bytes(&r->builds[i].payload)))
			return rollout_approvers(s, r, plan, a).n > 0
				? 0
				: refuse(text, ERR_NOT_AUTHORISED,
					  "rollout %s: no approver's signature "
					  "that counts (%s proposed it)",
					  r->release, r->proposer);
	return refuse(text, ERR_CONFLICT, "rollout %s: not the plan that was proposed", r->release);
}

static int find_rollout(const struct state *s, ProtobufCBinaryData id, const struct command *c,
	const struct rollout **out, char *text)
{
	const struct rollout *r = id.len == ID_LEN ? state_rollout_id(s, id.data) : NULL;
	bool halt = c->message->act != NULL && c->message->act->act == PB__ACT__ACT_HALT;

	*out = r;
	if (r == NULL)
		return refuse(text, ERR_NOT_FOUND, "rollout: there is no such rollout");
	/* Stopping must not fail because somebody else was at it too. */
	if (!halt && c->message->audit_size <= r->last_entry)
		return refuse(
			text, ERR_CONFLICT, "rollout %s: %s", r->release, err_str(ERR_CONFLICT));
	return 0;
}

static int check_approve(
	const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Approve *m = c->message->approve;
	const struct rollout *r;
	int err = find_rollout(s, m->rollout_id, c, &r, text);

	if (err != 0)
		return err;
	if (!rollout_is_pending(r))
		return refuse(text, ERR_WRONG_STATE, "rollout %s: is %s", r->release,
			rollout_str(r->state));
	if (m->n_plans != r->n_builds)
		return refuse(text, ERR_BAD_PLAN,
			"rollout %s: sign the plans of all its %zu products", r->release,
			r->n_builds);
	for (size_t i = 0; err == 0 && i < m->n_plans; i++)
		err = check_plan(s, r, wire_bytes(m->plans[i]), a, text);
	return err;
}

/* ---- start, pause, halt ---- */

static int check_act(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	static const enum rollout_event event[] = {
		[PB__ACT__ACT_START] = ROLLOUT_START,
		[PB__ACT__ACT_PAUSE] = ROLLOUT_PAUSE,
		[PB__ACT__ACT_HALT] = ROLLOUT_HALT,
	};
	const Pb__RolloutAct *m = c->message->act;
	const struct rollout *r;
	enum rollout_state state;
	int err = find_rollout(s, m->rollout_id, c, &r, text);

	(void)a; /* nothing to unpack */
	if (err != 0)
		return err;
	state = r->state;
	if (rollout_next(&state, event[m->act]))
		return 0;
	return refuse(
		text, ERR_WRONG_STATE, "rollout %s: is %s", r->release, rollout_str(r->state));
}

int command_check(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__AdminCommand *m = c->message;
	const struct {
		bool asked;
		int (*check)(const struct state *, const struct command *, struct arena *, char *);
	} table[] = {
		{ m->publish != NULL, check_publish },
		{ m->propose != NULL, check_propose },
		{ m->approve != NULL, check_approve },
		{ m->act != NULL, check_act },
	};
	int (*check)(const struct state *, const struct command *, struct arena *, char *) = NULL;
	unsigned asked = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].asked)
			check = table[i].check;
		asked += table[i].asked;
	}
	if (asked != 1)
		return refuse(text, ERR_MALFORMED, "command: asks for %u things", asked);
	return check(s, c, a, text);
}
