/* SPDX-License-Identifier: Apache-2.0 */
/* What people may have: signatures, authority, time and nonce of every command. */
#include "proto/root.h"
#include "server/trust/signer_proc.h"

#define LIFE_ONE_S  (15ull * 60)
#define LIFE_MANY_S (72ull * 3600)
#define SKEW_S      (SIGNER_SKEW_MS / 1000)
#define PEOPLE_MAX  (2 * ROOT_KEYS_MAX)

bool order_stops(const struct order *o)
{
	return o->m != NULL && o->m->act != NULL && o->m->act->act != PB__ACT__ACT_START;
}

bool order_confirms_clock(const struct order *o)
{
	return o->m != NULL && o->m->confirm != NULL &&
		o->m->confirm->what == PB__CONFIRM_WHAT__CONFIRM_CLOCK;
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
	err = rollout_ask(p, r, &ask);
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
static int check_people(struct proc *p, struct order *o, const struct order_kind *kind,
	const struct signers *signed_by)
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
	const struct order_kind *kind;
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
	kind = order_kind_of(o->m);
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
