/* SPDX-License-Identifier: Apache-2.0 */
/* What people may have: signatures, authority, time, nonce, and the ladder's own state. */
#include <assert.h>

#include "proto/root.h"
#include "server/trust/signer_proc.h"

#define LIFE_ONE_S  (15ull * 60)
#define LIFE_MANY_S (72ull * 3600)
#define SKEW_S      (SIGNER_SKEW_MS / 1000)
#define PEOPLE_MAX  (2 * ROOT_KEYS_MAX)
#define DEVICES_MAX 1000u

bool order_stops(const struct order *o)
{
	return o->m != NULL && o->m->act != NULL && o->m->act->act != PB__ACT__ACT_START;
}

bool order_confirms_clock(const struct order *o)
{
	return o->m != NULL && o->m->confirm != NULL &&
		o->m->confirm->what == PB__CONFIRM_WHAT__CONFIRM_CLOCK;
}

/* The envelope's signers of a role, who must be as many people as the role's threshold says. */
static int open_by_people(
	struct proc *p, struct bytes envelope, enum envelope_type type, struct bytes *payload)
{
	const Pb__Role *role = envelope_role(p->root, type);
	struct signers who;
	int err = envelope_verify(
		crypto_openssl(), envelope, type, p->root, role, &p->arena, payload, &who);

	if (err == 0 && authority_persons(p->root, &who) < role->threshold)
		err = ERR_BELOW_THRESHOLD;
	return err;
}

static void ask_products(struct order *o, size_t n, const char **list)
{
	assert(list != NULL);
	o->ask.products = list;
	o->ask.n_products = n;
}

/* ---- publish, propose ---- */

static int prepare_publish(struct proc *p, struct order *o)
{
	const char **list = arena_alloc(&p->arena, sizeof(*list));
	const Pb__Targets *t;
	struct bytes payload;
	int err = open_by_people(p, wire_bytes(o->m->publish->targets), ENVELOPE_TARGETS, &payload);

	if (err == ERR_BELOW_THRESHOLD)
		return proc_refuse(p, err, "build: needs the release keys of %u people",
			p->root->targets->threshold);
	if (err != 0)
		return proc_refuse(p, err, "build: %s", err_str(err));
	t = wire_read(&pb__targets__descriptor, payload, &wire_signed, &p->arena, &err);
	if (t == NULL || list == NULL)
		return proc_refuse(p, t == NULL ? err : ERR_NO_ROOM, "build: cannot be read");
	if (strcmp(t->repository, p->root->repository) != 0)
		return proc_refuse(
			p, ERR_WRONG_REPOSITORY, "build: %s", err_str(ERR_WRONG_REPOSITORY));
	list[0] = t->product;
	ask_products(o, 1, list);
	return 0;
}

static int rings_of(struct proc *p, const Pb__Propose *m, unsigned *rings)
{
	int err;
	const Pb__PlanSpec *spec = wire_read(
		&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_signed, &p->arena, &err);

	if (spec == NULL)
		return proc_refuse(p, err, "plan: %s", err_str(err));
	for (size_t i = 0; i < spec->n_stages; i++)
		*rings |= 1u << spec->stages[i]->ring;
	return spec->n_stages > 0 ? 0 : proc_refuse(p, ERR_BAD_PLAN, "plan: opens nothing");
}

static int prepare_propose(struct proc *p, struct order *o)
{
	const Pb__Propose *m = o->m->propose;
	const char **list = arena_alloc(&p->arena, (m->n_builds + 1) * sizeof(*list));

	if (list == NULL || m->n_builds == 0)
		return proc_refuse(p, ERR_BAD_PLAN, "rollout: needs a build");
	for (size_t i = 0; i < m->n_builds; i++) {
		list[i] = m->builds[i]->product;
		for (size_t k = 0; k < i; k++)
			if (strcmp(list[k], list[i]) == 0)
				return proc_refuse(p, ERR_BAD_PLAN,
					"rollout %.64s: two builds for product %.64s", m->release,
					list[i]);
	}
	ask_products(o, m->n_builds, list);
	return rings_of(p, m, &o->ask.rings);
}

/* ---- what is about a rollout ---- */

static int ask_rollout(struct proc *p, const Pb__LedgerRollout *r, struct authority_ask *ask)
{
	const char **list = arena_alloc(&p->arena, (r->n_builds + 1) * sizeof(*list));

	if (list == NULL)
		return ERR_NO_ROOM;
	for (size_t i = 0; i < r->n_builds; i++)
		list[i] = r->builds[i]->product;
	ask->products = list;
	ask->n_products = r->n_builds;
	ask->rings = r->rings;
	return 0;
}

static int find_rollout(struct proc *p, struct order *o, ProtobufCBinaryData id)
{
	Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(id));

	if (r == NULL)
		return proc_refuse(p, ERR_NOT_FOUND, "rollout: there is no such rollout");
	/* Stopping must not fail because somebody else was at it too. */
	if (!order_stops(o) && o->m->audit_size <= r->last_entry)
		return proc_refuse(p, ERR_CONFLICT, "rollout: %s", err_str(ERR_CONFLICT));
	if (r->withdrawn)
		return proc_refuse(p, ERR_WRONG_STATE, "rollout: was withdrawn");
	o->rollout = r;
	return ask_rollout(p, r, &o->ask);
}

static bool is_proposer(const struct proc *p, const Pb__LedgerRollout *r, unsigned key)
{
	return strcmp(p->root->profile, "maker") == 0 &&
		strcmp(authority_name(p->root, key), r->proposer) == 0;
}

int plan_open(struct proc *p, const Pb__LedgerRollout *r, struct bytes envelope,
	const Pb__RolloutPlan **plan, struct signers *who)
{
	struct authority_ask ask = { .op = AUTHORITY_APPROVE };
	struct signers all, may;
	const Pb__Envelope *e;
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_PLAN, p->root,
		p->root->approver, &p->arena, &payload, &all);

	*who = (struct signers){ 0 };
	if (err != 0 && err != ERR_BELOW_THRESHOLD)
		return err;
	err = ask_rollout(p, r, &ask);
	if (err == 0)
		err = authority_of(crypto_openssl(), p->root, &ask, &all, &may);
	if (err != 0)
		return err;
	for (unsigned i = 0; i < may.n; i++)
		if (!is_proposer(p, r, may.key[i]))
			who->key[who->n++] = may.key[i];
	e = envelope_read(envelope, &p->arena, &err);
	if (e == NULL)
		return err;
	*plan = wire_read(&pb__rollout_plan__descriptor, wire_bytes(e->payload), &wire_signed,
		&p->arena, &err);
	if (err == 0 && !bytes_eq(wire_bytes((*plan)->rollout_id), wire_bytes(r->id)))
		err = ERR_MISMATCH;
	return err;
}

/* Every plan is the next version of this rollout's, and somebody's signature on it counts. */
static int prepare_approve(struct proc *p, struct order *o)
{
	const Pb__Approve *m = o->m->approve;
	int err = find_rollout(p, o, m->rollout_id);

	if (err == 0 && m->n_plans != o->rollout->n_builds)
		err = proc_refuse(p, ERR_BAD_PLAN,
			"rollout: sign the plans of all its %zu products", o->rollout->n_builds);
	for (size_t i = 0; err == 0 && i < m->n_plans; i++) {
		const Pb__RolloutPlan *plan;
		struct signers who;
		err = plan_open(p, o->rollout, wire_bytes(m->plans[i]), &plan, &who);
		if (err != 0)
			return proc_refuse(p, err, "plan: %s", err_str(err));
		if (plan->version != o->rollout->approved + 1)
			return proc_refuse(p, ERR_CONFLICT, "plan: version %llu is to be approved",
				(unsigned long long)o->rollout->approved + 1);
		if (who.n == 0)
			return proc_refuse(p, ERR_NOT_AUTHORISED,
				"plan: no approver's signature that counts (%.64s proposed it)",
				o->rollout->proposer);
	}
	return err;
}

static int prepare_act(struct proc *p, struct order *o)
{
	const Pb__RolloutAct *m = o->m->act;
	int err = find_rollout(p, o, m->rollout_id);
	const Pb__LedgerRollout *r = o->rollout;

	if (order_stops(o))
		o->ask.op = AUTHORITY_STOP;
	else if (err == 0 && r->started)
		err = proc_refuse(p, ERR_WRONG_STATE, "rollout: was started before");
	else if (err == 0 && (r->approved == 0 || r->approved < r->offers_from))
		err = proc_refuse(p, ERR_WRONG_STATE, "rollout: is not approved");
	return err;
}

/* ---- the rest ---- */

static int prepare_seat(struct proc *p, struct order *o)
{
	const Pb__SeatAct *m = o->m->seat;
	const char **list = arena_alloc(&p->arena, sizeof(*list));

	if (list == NULL || m->ring > PB__RING__RING_DEV || !name_ok(m->product) ||
		m->n_device_ids == 0 || m->n_device_ids > DEVICES_MAX)
		return proc_refuse(p, ERR_BAD_RANGE,
			"seats: of core, honour or dev, for 1 to %u devices", DEVICES_MAX);
	for (size_t i = 0; i < m->n_device_ids; i++)
		if (m->device_ids[i].len != ID_LEN)
			return proc_refuse(p, ERR_BAD_RANGE, "seats: a device id has 16 bytes");
	list[0] = m->product;
	ask_products(o, 1, list);
	o->ask.rings = 1u << m->ring;
	return 0;
}

static int prepare_withdraw(struct proc *p, struct order *o)
{
	const Pb__Withdraw *m = o->m->withdraw;
	int err;

	if (m->has_rollout_id == m->has_command)
		return proc_refuse(p, ERR_MALFORMED, "withdraw: a rollout or a command");
	if (m->has_command) {
		o->pending = ledger_pending(p->ledger, wire_bytes(m->command));
		return o->pending != NULL
			? 0
			: proc_refuse(p, ERR_NOT_FOUND, "withdraw: no such command waits");
	}
	err = find_rollout(p, o, m->rollout_id);
	if (err == 0 && o->rollout->started)
		err = proc_refuse(p, ERR_WRONG_STATE, "rollout: was started: halt it");
	return err;
}

/* Nobody takes back what another proposed, approvers excepted. */
static int narrow_withdraw(struct proc *p, struct order *o)
{
	const char *by = o->rollout != NULL ? o->rollout->proposer : o->pending->by;
	struct authority_ask ask = o->ask;
	struct signers approvers, all = o->who;
	int err;

	ask.op = AUTHORITY_APPROVE;
	err = authority_of(crypto_openssl(), p->root, &ask, &all, &approvers);
	o->who.n = 0;
	for (unsigned i = 0; i < all.n; i++) {
		bool counts = strcmp(authority_name(p->root, all.key[i]), by) == 0;
		for (unsigned k = 0; k < approvers.n; k++)
			counts |= approvers.key[k] == all.key[i];
		if (counts)
			o->who.key[o->who.n++] = all.key[i];
	}
	return err;
}

/* It is of one moment: else an old one could be brought out again when it fits. */
static int prepare_confirm(struct proc *p, struct order *o)
{
	uint8_t root[SHA256_LEN];
	int err = merkle_root(crypto_openssl(), &p->ledger->log, root);

	if (err == 0 &&
		(o->m->audit_size != p->ledger->log.size ||
			!bytes_eq(wire_bytes(o->m->audit_root), bytes_of(root, SHA256_LEN))))
		err = ERR_CONFLICT;
	return err == 0 ? 0 : proc_refuse(p, err, "confirm: %s", err_str(err));
}

/* ---- all of them ---- */

struct kind {
	const char *name;
	enum authority_op op;
	int (*prepare)(struct proc *p, struct order *o); /* fills ask */
	int (*narrow)(struct proc *p, struct order *o);  /* takes away from who; may be NULL */
};

/* The one thing the command asks for. */
static const struct kind *kind_of(const Pb__AdminCommand *m)
{
	static const struct kind kinds[] = {
		{ "publish", AUTHORITY_PUBLISH, prepare_publish, NULL },
		{ "propose", AUTHORITY_PROPOSE, prepare_propose, NULL },
		{ "approve", AUTHORITY_APPROVE, prepare_approve, NULL },
		{ "start or stop", AUTHORITY_START, prepare_act, NULL },
		{ "seats", AUTHORITY_SEAT, prepare_seat, NULL },
		{ "withdraw", AUTHORITY_WITHDRAW, prepare_withdraw, narrow_withdraw },
		{ "confirm", AUTHORITY_CONFIRM, prepare_confirm, NULL },
	};
	const bool asked[] = { m->publish != NULL, m->propose != NULL, m->approve != NULL,
		m->act != NULL, m->seat != NULL, m->withdraw != NULL, m->confirm != NULL };
	const struct kind *found = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (asked[i] && found != NULL)
			return NULL;
		if (asked[i])
			found = &kinds[i];
	}
	return found;
}

static int check_time(struct proc *p, const struct order *o, uint64_t now_s)
{
	const Pb__AdminCommand *m = o->m;
	bool many = o->needed > 1 || m->approve != NULL;
	uint64_t life = many ? LIFE_MANY_S : LIFE_ONE_S;

	if (m->expires >= now_s && m->issued_at <= now_s + SKEW_S && m->expires >= m->issued_at &&
		m->expires - m->issued_at <= life)
		return 0;
	return proc_refuse(p, ERR_STALE, "command: %s", err_str(ERR_STALE));
}

/* The same bytes may come again while they wait, from more people than before. */
static int check_nonce(struct proc *p, struct order *o)
{
	Pb__LedgerNonce *n = ledger_nonce(p->ledger, wire_bytes(o->m->nonce));
	int err = 0;

	if (n != NULL &&
		(!n->pending ||
			!bytes_eq(wire_bytes(n->payload_sha256),
				bytes_of(o->payload_sha256, SHA256_LEN))))
		err = ERR_REPLAYED;
	else if (n != NULL && o->people <= n->people)
		err = ERR_EXISTS;
	o->nonce = n;
	return err == 0 ? 0 : proc_refuse(p, err, "command: %s", err_str(err));
}

static int check_form(struct proc *p, const Pb__AdminCommand *m)
{
	int err = 0;

	if (m->spec_version != 1 || m->nonce.len != ID_LEN || m->audit_root.len != SHA256_LEN)
		err = ERR_BAD_RANGE;
	else if (strcmp(m->repository, p->root->repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	else if (m->audit_size == 0 || m->audit_size > p->ledger->log.size)
		err = ERR_CONFLICT;
	return err == 0 ? 0 : proc_refuse(p, err, "command: %s", err_str(err));
}

/* Who signed, and may. */
static int check_people(
	struct proc *p, struct order *o, const struct kind *kind, const struct signers *signed_by)
{
	int err = authority_of(crypto_openssl(), p->root, &o->ask, signed_by, &o->who);

	if (err == 0 && kind->narrow != NULL)
		err = kind->narrow(p, o);
	if (err != 0)
		return proc_refuse(p, err, "%s: %s", kind->name, err_str(err));
	o->people = authority_persons(p->root, &o->who);
	o->needed = authority_needed(p->root, &o->ask);
	if (o->people > 0)
		return 0;
	return proc_refuse(p, ERR_NOT_AUTHORISED, "%s: %.64s may not do this here", kind->name,
		authority_name(p->root, signed_by->key[0]));
}

static int open_command(struct proc *p, struct bytes envelope, uint64_t now_s, struct order *o)
{
	ProtobufCBinaryData room[PEOPLE_MAX];
	const struct kind *kind;
	struct signers signed_by;
	struct bytes payload;
	Pb__Role people;
	int err = authority_people(p->root, room, PEOPLE_MAX, &people);

	if (err == 0)
		err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_COMMAND, p->root,
			&people, &p->arena, &payload, &signed_by);
	if (err == 0)
		err = crypto_sha256(&payload, 1, o->payload_sha256);
	if (err == 0)
		o->m = wire_read(
			&pb__admin_command__descriptor, payload, &wire_command, &p->arena, &err);
	if (err != 0)
		return proc_refuse(p, err, "command: %s", err_str(err));
	kind = kind_of(o->m);
	if (kind == NULL)
		return proc_refuse(p, ERR_MALFORMED, "command: must ask for one thing");
	o->ask.op = kind->op;
	err = check_form(p, o->m);
	if (err == 0)
		err = kind->prepare(p, o);
	if (err == 0)
		err = check_people(p, o, kind, &signed_by);
	if (err == 0)
		err = check_time(p, o, now_s);
	return err != 0 ? err : check_nonce(p, o);
}

static int open_root(struct proc *p, struct bytes envelope, uint64_t now_s)
{
	int err;
	const Pb__Root *next = root_next(crypto_openssl(), p->root, envelope, &p->arena, &err);

	if (next != NULL && next->expires < now_s)
		err = ERR_EXPIRED;
	return err != 0 ? proc_refuse(p, err, "root: %s", err_str(err)) : proc_has_keys(p, next);
}

int order_open(struct proc *p, struct bytes envelope, uint64_t now_s, struct order *o)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, &p->arena, &err);
	enum envelope_type type;

	*o = (struct order){ .m = NULL };
	if (e == NULL)
		return proc_refuse(p, err, "command: %s", err_str(err));
	if (!envelope_type_of(e, &type) || (type != ENVELOPE_ROOT && type != ENVELOPE_COMMAND))
		return proc_refuse(p, ERR_WRONG_TYPE, "command: %s", err_str(ERR_WRONG_TYPE));
	if (p->ledger->log.size == 0)
		return proc_refuse(p, ERR_CONFLICT, "log: it must begin with the root");
	return type == ENVELOPE_ROOT ? open_root(p, envelope, now_s)
				     : open_command(p, envelope, now_s, o);
}
