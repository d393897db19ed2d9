/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people may ask for, as far as the state says: the signer checks who they are and what they
 * may, and has the last word.
 */
#include <stdarg.h>
#include <stdio.h>

#include "proto/root.h"
#include "server/service/command_private.h"
#include "server/trust/authority.h"

#define SEATS_MAX 1000u

int command_refuse(char *text, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, STATE_TEXT, format, args);
	va_end(args);
	return err;
}

/* ---- who signed ---- */

int command_signers(
	const Pb__Root *root, struct bytes envelope, struct arena *a, struct signers *out)
{
	ProtobufCBinaryData room[ROOT_KEYS_MAX];
	struct bytes payload;
	Pb__Role people;
	int err = authority_people(root, room, ROOT_KEYS_MAX, &people);

	return err != 0 ? err
			: envelope_verify(crypto_openssl(), envelope, ENVELOPE_COMMAND, root,
				  &people, a, &payload, out);
}

int command_missing(
	const Pb__Root *root, const Pb__AdminCommand *m, const struct signers *who, unsigned *out)
{
	struct authority_ask ask = { .op = AUTHORITY_SEAT, .n_products = 1 };
	const char *product[1];
	struct signers may;
	unsigned needed, have;
	int err;

	*out = 0;
	if (m->seat == NULL && m->import == NULL)
		return 0; /* a plan's approvers are counted where they signed: on the plan */
	if (m->seat != NULL) {
		product[0] = m->seat->product;
		ask.products = product;
		ask.rings = 1u << m->seat->ring;
	} else {
		ask = authority_import(m->import);
	}
	err = authority_of(crypto_openssl(), root, &ask, who, &may);
	needed = authority_needed(root, &ask);
	have = err == 0 ? authority_persons(root, &may) : 0;
	*out = have < needed ? needed - have : 0;
	return err;
}

/* ---- opening ---- */

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

/* Each sends a signature of their own; what came before is added. */
static int merge(const struct state *s, struct command *c, struct arena *a, char *text)
{
	const struct pending *p = state_pending(s, c->id);
	struct signers before;
	int err;

	if (p == NULL || p->expires_s < c->now_s)
		return 0;
	err = envelope_merge(buf_bytes(&p->envelope), c->envelope, a, &c->envelope);
	if (err == 0)
		err = command_signers(s->root, buf_bytes(&p->envelope), a, &before);
	if (err == 0)
		err = command_signers(s->root, c->envelope, a, &c->who);
	if (err != 0)
		return command_refuse(text, err, "command: %s", err_str(err));
	if (authority_persons(s->root, &c->who) <= authority_persons(s->root, &before))
		return command_refuse(text, ERR_EXISTS, "command: you have signed it already");
	return 0;
}

int command_open(const struct state *s, struct bytes envelope, uint64_t now_ms, struct arena *a,
	struct command *out, char *text)
{
	struct bytes payload;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, a, &err);

	*out = (struct command){ .envelope = envelope, .now_s = now_ms / 1000 };
	if (e != NULL)
		err = command_signers(s->root, envelope, a, &out->who);
	if (err != 0)
		return command_refuse(text, err, "command: %s", err_str(err));
	payload = wire_bytes(e->payload);
	out->message = wire_read(&pb__admin_command__descriptor, payload, &wire_signed, a, &err);
	if (out->message != NULL)
		err = crypto_sha256(&payload, 1, out->id);
	if (err == 0)
		err = check_prefix(s, out->message);
	if (err != 0)
		return command_refuse(text, err, "command: %s", err_str(err));
	return merge(s, out, a, text);
}

/* ---- start, pause, halt, withdraw ---- */

int command_rollout(const struct state *s, ProtobufCBinaryData id, const struct command *c,
	const struct rollout **out, char *text)
{
	const struct rollout *r = id.len == ID_LEN ? state_rollout_id(s, id.data) : NULL;
	bool halt = c->message->act != NULL && c->message->act->act == PB__ACT__ACT_HALT;

	*out = r;
	if (r == NULL)
		return command_refuse(text, ERR_NOT_FOUND, "rollout: there is no such rollout");
	/* Stopping must not fail because somebody else was at it too. */
	if (!halt && c->message->audit_size <= r->last_entry)
		return command_refuse(
			text, ERR_CONFLICT, "rollout %s: %s", r->release, err_str(ERR_CONFLICT));
	return 0;
}

static int check_event(const struct rollout *r, enum rollout_event event, char *text)
{
	enum rollout_state state = r->state;

	if (event == ROLLOUT_START && rollout_is_refused(r))
		return command_refuse(
			text, ERR_WRONG_STATE, "rollout %s: must be approved anew", r->release);
	if (rollout_next(&state, event))
		return 0;
	return command_refuse(
		text, ERR_WRONG_STATE, "rollout %s: is %s", r->release, rollout_str(r->state));
}

static int check_act(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	static const enum rollout_event event[] = {
		[PB__ACT__ACT_START] = ROLLOUT_START,
		[PB__ACT__ACT_PAUSE] = ROLLOUT_PAUSE,
		[PB__ACT__ACT_HALT] = ROLLOUT_HALT,
	};
	const Pb__RolloutAct *m = c->message->act;
	const struct rollout *r;
	int err = command_rollout(s, m->rollout_id, c, &r, text);

	(void)a; /* nothing to unpack */
	return err != 0 ? err : check_event(r, event[m->act], text);
}

static int check_withdraw(
	const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Withdraw *m = c->message->withdraw;
	const struct pending *p;
	const struct rollout *r;
	int err;

	(void)a; /* nothing to unpack */
	if (m->has_rollout_id == m->has_command)
		return command_refuse(
			text, ERR_MALFORMED, "withdraw: a rollout or a command, not both");
	if (m->has_rollout_id) {
		err = command_rollout(s, m->rollout_id, c, &r, text);
		return err != 0 ? err : check_event(r, ROLLOUT_WITHDRAW, text);
	}
	p = m->command.len == SHA256_LEN ? state_pending(s, m->command.data) : NULL;
	if (p == NULL || p->expires_s < c->now_s)
		return command_refuse(text, ERR_NOT_FOUND, "withdraw: no such command waits");
	return 0;
}

/* ---- seats ---- */

/* That the devices are there, and seats free, is not part of the state: seat_act_check(). */
static int check_seat(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__SeatAct *m = c->message->seat;

	(void)a; /* nothing to unpack */
	if ((unsigned)m->ring >= RING_STABLE)
		return command_refuse(text, ERR_BAD_RANGE, "seats: of core, honour or dev");
	if (!s->knows_product(s->ctx, NULL, m->product))
		return command_refuse(text, ERR_NOT_FOUND,
			"seats: the configuration knows no product '%s'", m->product);
	if (m->n_device_ids == 0 || m->n_device_ids > SEATS_MAX)
		return command_refuse(
			text, ERR_BAD_RANGE, "seats: name 1 to %u devices", SEATS_MAX);
	for (size_t i = 0; i < m->n_device_ids; i++)
		if (m->device_ids[i].len != ID_LEN)
			return command_refuse(
				text, ERR_BAD_RANGE, "seats: a device id has 32 hex digits");
	return 0;
}

/* That the file is here and no other is being taken in is not part of the state: import_check(). */
static int check_import(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	const Pb__Import *m = c->message->import;

	(void)a; /* nothing to unpack */
	if (m->sha256.len != SHA256_LEN || m->rows == 0 || m->n_products == 0)
		return command_refuse(text, ERR_BAD_RANGE, "import: needs rows and their products");
	for (size_t i = 0; i < m->n_products; i++)
		if (!s->knows_product(s->ctx, NULL, m->products[i]))
			return command_refuse(text, ERR_NOT_FOUND,
				"import: the configuration knows no product '%.64s'",
				m->products[i]);
	return 0;
}

static int check_confirm(
	const struct state *s, const struct command *c, struct arena *a, char *text)
{
	(void)s; /* whether the clock has jumped is known to the signer alone */
	(void)c;
	(void)a;
	(void)text;
	return 0;
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
		{ m->seat != NULL, check_seat },
		{ m->withdraw != NULL, check_withdraw },
		{ m->confirm != NULL, check_confirm },
		{ m->import != NULL, check_import },
	};
	int (*check)(const struct state *, const struct command *, struct arena *, char *) = NULL;
	unsigned asked = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].asked)
			check = table[i].check;
		asked += table[i].asked;
	}
	if (asked != 1)
		return command_refuse(text, ERR_MALFORMED, "command: asks for %u things", asked);
	return check(s, c, a, text);
}

/* ---- the next root ---- */

int command_check_root(
	const struct state *s, struct bytes envelope, uint64_t now_ms, struct arena *a, char *text)
{
	int err;
	const Pb__Root *next = root_next(crypto_openssl(), s->root, envelope, a, &err);

	if (next == NULL)
		return command_refuse(text, err, "root: %s", err_str(err));
	if (next->expires <= now_ms / 1000)
		return command_refuse(text, ERR_EXPIRED, "root %llu: it has expired",
			(unsigned long long)next->version);
	for (size_t i = 0; s->production && i < next->n_keys; i++)
		if (next->keys[i]->has_demo && next->keys[i]->demo)
			return command_refuse(text, ERR_DEMO_KEY, "root %llu: %s (%s)",
				(unsigned long long)next->version, err_str(ERR_DEMO_KEY),
				authority_name(next, (unsigned)i));
	return 0;
}
