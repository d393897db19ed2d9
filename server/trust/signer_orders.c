/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of commands: which products and rings each touches, and whether the ladder allows it. */
#include <assert.h>

#include "server/trust/signer_proc.h"

#define DEVICES_MAX         1000u
#define IMPORT_PRODUCTS_MAX 256u

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

int rollout_ask(struct proc *p, const Pb__LedgerRollout *r, struct authority_ask *ask)
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
	return rollout_ask(p, r, &o->ask);
}

/* Every plan is a new version of this rollout's, and somebody's signature on it counts. */
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
		if (plan->version <= o->rollout->approved)
			return proc_refuse(p, ERR_CONFLICT,
				"plan: version %llu was approved before",
				(unsigned long long)plan->version);
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

static int prepare_import(struct proc *p, struct order *o)
{
	const Pb__Import *m = o->m->import;
	bool good = m->sha256.len == SHA256_LEN && m->rows > 0 && m->n_products > 0 &&
		m->n_products <= IMPORT_PRODUCTS_MAX;

	for (size_t i = 0; good && i < m->n_products; i++)
		good = name_ok(m->products[i]);
	if (!good)
		return proc_refuse(p, ERR_BAD_RANGE,
			"import: rows of 1 to %u products, and their hash", IMPORT_PRODUCTS_MAX);
	o->ask = authority_import(m);
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

const struct order_kind *order_kind_of(const Pb__AdminCommand *m)
{
	static const struct order_kind kinds[] = {
		{ "publish", AUTHORITY_PUBLISH, prepare_publish, NULL },
		{ "propose", AUTHORITY_PROPOSE, prepare_propose, NULL },
		{ "approve", AUTHORITY_APPROVE, prepare_approve, NULL },
		{ "start or stop", AUTHORITY_START, prepare_act, NULL },
		{ "seats", AUTHORITY_SEAT, prepare_seat, NULL },
		{ "withdraw", AUTHORITY_WITHDRAW, prepare_withdraw, narrow_withdraw },
		{ "confirm", AUTHORITY_CONFIRM, prepare_confirm, NULL },
		{ "import", AUTHORITY_IMPORT, prepare_import, NULL },
	};
	const bool asked[] = { m->publish != NULL, m->propose != NULL, m->approve != NULL,
		m->act != NULL, m->seat != NULL, m->withdraw != NULL, m->confirm != NULL,
		m->import != NULL };
	const struct order_kind *found = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (asked[i] && found != NULL)
			return NULL;
		if (asked[i])
			found = &kinds[i];
	}
	return found;
}
