/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/decode_private.h"

#include <stdio.h>

#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"
#include "server/ctl/targets.h"
#include "server/trust/keys.h"

#define WHO_WIDTH 10u

struct shown decode_when(uint64_t unix_s)
{
	return show_minute(unix_s * 1000);
}

/* The first digits, or "?" when there are none. */
struct shown decode_hex(ProtobufCBinaryData d, size_t digits)
{
	struct shown out = { "?" };
	char hex[2 * SHA256_LEN + 1];

	if (d.len == 0 || d.len > SHA256_LEN)
		return out;
	(void)hex_encode(hex, d.data, d.len);
	(void)snprintf(out.s, sizeof(out.s), "%.*s", (int)(digits < 32 ? digits : 32), hex);
	return out;
}

const char *decode_rollout(struct decode *d, ProtobufCBinaryData id, struct shown *room)
{
	const char *name = d->rollout != NULL ? d->rollout(d->ctx, wire_bytes(id)) : NULL;

	*room = decode_hex(id, 32);
	return name != NULL ? name : room->s;
}

void *decode_read(struct decode *d, const ProtobufCMessageDescriptor *type, ProtobufCBinaryData in)
{
	int err;

	return wire_read(type, wire_bytes(in), &wire_signed, d->a, &err);
}

/* ---- signatures ---- */

int decode_signers(
	const Pb__Root *root, struct bytes envelope, struct arena *a, struct signers *out)
{
	ProtobufCBinaryData list[ROOT_KEYS_MAX];
	uint8_t id[ROOT_KEYS_MAX][SHA256_LEN];
	Pb__Role anybody = PB__ROLE__INIT;
	enum envelope_type type;
	struct bytes payload;
	int err = root->n_keys > ROOT_KEYS_MAX ? ERR_BAD_ROOT : 0;
	const Pb__Envelope *e = err == 0 ? envelope_read(envelope, a, &err) : NULL;

	*out = (struct signers){ 0 };
	for (size_t i = 0; err == 0 && i < root->n_keys; i++) {
		err = envelope_keyid(crypto_openssl(), root->keys[i], id[i]);
		list[i] = wire_data(id[i], SHA256_LEN);
	}
	if (err != 0)
		return err;
	if (!envelope_type_of(e, &type))
		return ERR_WRONG_TYPE;
	anybody.threshold = 1;
	anybody.keyids = list;
	anybody.n_keyids = root->n_keys;
	err = envelope_verify(crypto_openssl(), envelope, type, root, &anybody, a, &payload, out);
	return err == ERR_BELOW_THRESHOLD ? 0 : err;
}

static const char *role_of(const Pb__Root *root, const Pb__Key *key)
{
	struct held_key held = { .entry = key };

	if (envelope_keyid(crypto_openssl(), key, held.id) == 0)
		for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
			if (key_is_in(&held, root, (enum key_role)r))
				return key_role_str((enum key_role)r);
	return "no role";
}

static void put_signatures(
	struct decode *d, struct buf *out, struct bytes envelope, const Pb__Envelope *e)
{
	struct signers who = { 0 };
	int err;

	buf_str(out, "Signed     ");
	if (e->n_signatures == 0) {
		buf_str(out, "by nobody\n");
		return;
	}
	if (d->root == NULL) {
		buf_printf(out, "%zu times; not checked: no root is here\n", e->n_signatures);
		return;
	}
	err = decode_signers(d->root, envelope, d->a, &who);
	if (err != 0) {
		put(out, d->term, STYLE_BAD, "%s\n", err_str(err));
		return;
	}
	for (unsigned i = 0; i < who.n; i++) {
		const Pb__Key *key = d->root->keys[who.key[i]];
		buf_printf(out, "%s%s (%s)", i > 0 ? ", " : "by ", key_label(key).name,
			role_of(d->root, key));
	}
	if (who.n < e->n_signatures)
		put(out, d->term, STYLE_BAD, "%s%zu not by a key of root %llu, or wrong",
			who.n > 0 ? "; " : "", e->n_signatures - who.n,
			(unsigned long long)d->root->version);
	buf_str(out, "\n");
}

/* ---- what each says ---- */

static void show_root(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Root *m = decode_read(d, &pb__root__descriptor, in);

	if (m == NULL)
		return;
	root_line(out, d->term, m, clock_ms() / 1000);
	buf_str(out, "\n\n");
	root_keys(out, d->term, m);
	if (d->root != NULL && m->version == d->root->version + 1) {
		buf_str(out, "\n");
		root_difference(out, d->term, d->root, m);
	}
}

static void show_targets(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Targets *m = decode_read(d, &pb__targets__descriptor, in);

	if (m != NULL)
		targets_show(out, d->term, m);
}

void decode_plan(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__RolloutPlan *m = decode_read(d, &pb__rollout_plan__descriptor, in);
	struct shown room;

	if (m == NULL)
		return;
	buf_printf(out, "Plan       %s for %s, approval %llu\n", m->targets->name, m->product,
		(unsigned long long)m->version);
	buf_printf(out, "Rollout    %s, in %s\n", decode_rollout(d, m->rollout_id, &room),
		m->repository);
	for (size_t i = 0; i < m->n_steps; i++)
		buf_printf(out, "Step %-5zu %s up to %s, not before %s UTC\n", i + 1,
			ring_word(m->steps[i]->ring), show_share(m->steps[i]->upper).s,
			decode_when(m->steps[i]->not_before).s);
	for (size_t i = 0; i < m->n_from_build_ids; i++)
		buf_printf(out, "First to   devices on %s\n", m->from_build_ids[i]);
	buf_printf(out, "Seed       %s...\n", decode_hex(m->seed, 16).s);
	buf_printf(out, "Expires    %s UTC\n", decode_when(m->expires).s);
}

static const struct {
	const char *word;
	void (*show)(struct decode *d, struct buf *out, ProtobufCBinaryData in);
} kinds[ENVELOPE__COUNT] = {
	[ENVELOPE_ROOT] = { "root", show_root },
	[ENVELOPE_TIMESTAMP] = { "timestamp", decode_timestamp },
	[ENVELOPE_SNAPSHOT] = { "snapshot", decode_snapshot },
	[ENVELOPE_TARGETS] = { "build", show_targets },
	[ENVELOPE_PLAN] = { "plan", decode_plan },
	[ENVELOPE_DIRECTOR] = { "directive", decode_director },
	[ENVELOPE_DECISION] = { "decision", decode_decision },
	[ENVELOPE_GRANT] = { "seat", decode_grant },
	[ENVELOPE_TIME] = { "time", decode_time },
	[ENVELOPE_COMMAND] = { "command", decode_command },
};

/* A LogEntry begins with its time, an Envelope with its payload. */
static struct bytes unwrap(struct decode *d, struct bytes in, uint64_t *time_ms)
{
	const Pb__LogEntry *entry;
	int err;

	*time_ms = 0;
	if (in.n == 0 || in.p[0] != 0x08)
		return in;
	entry = wire_read(&pb__log_entry__descriptor, in, &wire_admin, d->a, &err);
	if (entry == NULL)
		return in;
	*time_ms = entry->time_ms;
	return wire_bytes(entry->envelope);
}

int decode_show(struct decode *d, struct buf *out, struct bytes in)
{
	uint64_t time_ms;
	struct bytes envelope = unwrap(d, in, &time_ms);
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, d->a, &err);
	size_t at;

	if (e == NULL)
		return err;
	if (!envelope_type_of(e, &type) || kinds[type].show == NULL)
		return ERR_WRONG_TYPE;
	put(out, d->term, STYLE_BOLD, "%s", kinds[type].word);
	if (time_ms != 0)
		buf_printf(out, ", an entry of the log, taken %s UTC", show_minute(time_ms).s);
	buf_str(out, "\n");
	put_signatures(d, out, envelope, e);
	at = out->len;
	kinds[type].show(d, out, e->payload);
	if (out->len == at)
		put(out, d->term, STYLE_BAD, "its content cannot be read\n");
	return 0;
}

int decode_line(struct decode *d, struct buf *out, struct bytes envelope)
{
	enum envelope_type type;
	struct signers who = { 0 };
	int err;
	const Pb__Envelope *e = envelope_read(envelope, d->a, &err);
	size_t at = out->len;

	if (e == NULL)
		return err;
	if (!envelope_type_of(e, &type) || kinds[type].show == NULL)
		return ERR_WRONG_TYPE;
	if (d->root != NULL && decode_signers(d->root, envelope, d->a, &who) == 0)
		put_signers(out, d->root, &who);
	at = out->len - at;
	buf_printf(out, "%*s", at < WHO_WIDTH ? (int)(WHO_WIDTH - at) : 1, "");
	if (type == ENVELOPE_COMMAND) {
		decode_command_line(d, out, e->payload);
	} else if (type == ENVELOPE_DECISION) {
		decode_decision_line(d, out, e->payload);
	} else if (type == ENVELOPE_DIRECTOR) {
		decode_director_line(d, out, e->payload);
	} else if (type == ENVELOPE_ROOT) {
		const Pb__Root *m = decode_read(d, &pb__root__descriptor, e->payload);
		if (m != NULL)
			buf_printf(out, "root %llu, profile %s", (unsigned long long)m->version,
				m->profile);
	} else {
		buf_str(out, kinds[type].word);
	}
	return 0;
}
