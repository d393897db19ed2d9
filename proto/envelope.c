/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/envelope.h"

#include <assert.h>
#include <stdio.h>

#define TYPE(name)   "application/vnd.huidu." name ".v1+protobuf"
#define KEY_WIRE_MAX 256u

static const char *const type_str[ENVELOPE__COUNT] = {
	[ENVELOPE_ROOT] = TYPE("root"),
	[ENVELOPE_TIMESTAMP] = TYPE("timestamp"),
	[ENVELOPE_SNAPSHOT] = TYPE("snapshot"),
	[ENVELOPE_TARGETS] = TYPE("targets"),
	[ENVELOPE_PLAN] = TYPE("plan"),
	[ENVELOPE_DIRECTOR] = TYPE("director"),
	[ENVELOPE_DECISION] = TYPE("decision"),
	[ENVELOPE_GRANT] = TYPE("ringgrant"),
	[ENVELOPE_TIME] = TYPE("time"),
	[ENVELOPE_COMMAND] = TYPE("admin"),
	[ENVELOPE_QUERY] = TYPE("query"),
	[ENVELOPE_UPLOAD] = TYPE("upload"),
	[ENVELOPE_REPLY] = TYPE("reply"),
};

const char *envelope_type_str(enum envelope_type type)
{
	assert(type < ENVELOPE__COUNT);
	return type_str[type];
}

bool envelope_type_of(const Pb__Envelope *e, enum envelope_type *type)
{
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++) {
		if (strcmp(e->payload_type, type_str[t]) == 0) {
			*type = (enum envelope_type)t;
			return true;
		}
	}
	return false;
}

const Pb__Role *envelope_role(const Pb__Root *root, enum envelope_type type)
{
	switch (type) {
	case ENVELOPE_ROOT:
		return root->root;
	case ENVELOPE_TIMESTAMP:
	case ENVELOPE_TIME:
		return root->timestamp;
	case ENVELOPE_SNAPSHOT:
		return root->snapshot;
	case ENVELOPE_TARGETS:
		return root->targets;
	case ENVELOPE_PLAN:
		return root->approver;
	case ENVELOPE_DIRECTOR:
	case ENVELOPE_DECISION:
	case ENVELOPE_GRANT:
		return root->director;
	case ENVELOPE_COMMAND:
	case ENVELOPE_QUERY:
	case ENVELOPE_UPLOAD:
	case ENVELOPE_REPLY:
	case ENVELOPE__COUNT:
		break;
	}
	return NULL;
}

Pb__Envelope *envelope_read(struct bytes in, struct arena *a, int *err)
{
	return wire_read(&pb__envelope__descriptor, in, &wire_envelope, a, err);
}

int envelope_keyid(const struct crypto *c, const Pb__Key *key, uint8_t out[SHA256_LEN])
{
	uint8_t wire[KEY_WIRE_MAX];

	if (wire_size(key) > sizeof(wire))
		return ERR_BAD_KEY;
	return c->sha256(c->ctx, wire, wire_write(key, wire), out);
}

static int pae(const char *type, struct bytes body, struct arena *a, struct bytes *out)
{
	char head[128];
	int n = snprintf(head, sizeof(head), "DSSEv1 %zu %s %zu ", strlen(type), type, body.n);
	uint8_t *p;

	assert(n > 0 && (size_t)n < sizeof(head));
	p = arena_alloc(a, (size_t)n + body.n);
	if (p == NULL)
		return ERR_NO_ROOM;
	memcpy(p, head, (size_t)n);
	if (body.n > 0)
		memcpy(p + n, body.p, body.n);
	*out = bytes_of(p, (size_t)n + body.n);
	return 0;
}

bool envelope_lists(const ProtobufCBinaryData *keyids, size_t n, struct bytes keyid)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(wire_bytes(keyids[i]), keyid))
			return true;
	return false;
}

/* The signature that claims this key; a key id that comes twice voids the envelope. */
static int claimed(
	const Pb__Envelope *e, const uint8_t keyid[SHA256_LEN], const Pb__Signature **out)
{
	*out = NULL;
	for (size_t i = 0; i < e->n_signatures; i++) {
		const Pb__Signature *s = e->signatures[i];
		if (!bytes_eq(wire_bytes(s->keyid), bytes_of(keyid, SHA256_LEN)))
			continue;
		if (*out != NULL)
			return ERR_DUPLICATE_KEYID;
		*out = s;
	}
	return 0;
}

/*
 * Counts keys, not signatures: the loop is over the keys of the root, each of which is a different
 * public key (two entries with one public key, whatever their names, count once).
 */
static int count(const struct crypto *c, const Pb__Envelope *e, const Pb__Root *root,
	const Pb__Role *role, struct bytes message, struct signers *who)
{
	for (unsigned i = 0; i < root->n_keys; i++) {
		const Pb__Key *key = root->keys[i];
		const Pb__Signature *s;
		uint8_t keyid[SHA256_LEN];
		bool again = false;
		int err = envelope_keyid(c, key, keyid);

		if (err == 0)
			err = claimed(e, keyid, &s);
		if (err != 0)
			return err;
		if (s == NULL || s->sig.len != SIG_LEN ||
			!envelope_lists(role->keyids, role->n_keyids, bytes_of(keyid, SHA256_LEN)))
			continue;
		for (unsigned k = 0; k < who->n; k++)
			again |= bytes_eq(wire_bytes(root->keys[who->key[k]]->public_key),
				wire_bytes(key->public_key));
		if (again ||
			c->verify(c->ctx, key->scheme, wire_bytes(key->public_key), message,
				s->sig.data) != 0)
			continue;
		assert(who->n < ENVELOPE_SIGNATURES_MAX); /* an envelope holds no more */
		who->key[who->n++] = i;
	}
	return 0;
}

int envelope_verify(const struct crypto *c, struct bytes in, enum envelope_type type,
	const Pb__Root *root, const Pb__Role *role, struct arena *a, struct bytes *payload,
	struct signers *who)
{
	struct signers found = { 0 };
	struct bytes message;
	int err;
	const Pb__Envelope *e = envelope_read(in, a, &err);

	if (e == NULL)
		return err;
	if (strcmp(e->payload_type, type_str[type]) != 0)
		return ERR_WRONG_TYPE;
	err = pae(e->payload_type, wire_bytes(e->payload), a, &message);
	if (err == 0)
		err = count(c, e, root, role, message, &found);
	if (err != 0)
		return err;
	if (who != NULL)
		*who = found;
	if (role->threshold == 0 || found.n < role->threshold)
		return ERR_BELOW_THRESHOLD;
	*payload = wire_bytes(e->payload);
	return 0;
}

int envelope_open(const struct crypto *c, struct bytes in, enum envelope_type type,
	const Pb__Root *root, struct arena *a, struct bytes *payload)
{
	return envelope_verify(c, in, type, root, envelope_role(root, type), a, payload, NULL);
}

int envelope_wrap(enum envelope_type type, struct bytes payload, struct arena *a, struct bytes *out)
{
	Pb__Envelope e = PB__ENVELOPE__INIT;

	e.payload = wire_data(payload.p, payload.n);
	e.payload_type = type_str[type];
	return wire_pack(&e, a, out);
}

/* Packs `e` with `extra` in place of, or after, the signature of the same key. */
static int pack_with(Pb__Envelope *e, Pb__Signature *extra, struct arena *a, struct bytes *out)
{
	Pb__Signature *list[ENVELOPE_SIGNATURES_MAX];
	Pb__Envelope next = *e;
	size_t n = 0;

	for (size_t i = 0; i < e->n_signatures; i++)
		if (!bytes_eq(wire_bytes(e->signatures[i]->keyid), wire_bytes(extra->keyid)))
			list[n++] = e->signatures[i];
	if (n == ENVELOPE_SIGNATURES_MAX)
		return ERR_REPEATED_FIELD;
	list[n++] = extra;
	next.signatures = list;
	next.n_signatures = n;
	return wire_pack(&next, a, out);
}

int envelope_sign(struct bytes in, const struct crypto_key *key, const uint8_t keyid[SHA256_LEN],
	struct arena *a, struct bytes *out)
{
	Pb__Signature s = PB__SIGNATURE__INIT;
	uint8_t sig[SIG_LEN];
	struct bytes message;
	int err;
	Pb__Envelope *e = envelope_read(in, a, &err);

	if (e == NULL)
		return err;
	err = pae(e->payload_type, wire_bytes(e->payload), a, &message);
	if (err == 0)
		err = crypto_key_sign(key, message, sig);
	if (err != 0)
		return err;
	s.sig = wire_data(sig, SIG_LEN);
	s.keyid = wire_data(keyid, SHA256_LEN);
	return pack_with(e, &s, a, out);
}

int envelope_merge(struct bytes into, struct bytes from, struct arena *a, struct bytes *out)
{
	int err;
	const Pb__Envelope *more = envelope_read(from, a, &err);

	*out = into;
	for (size_t i = 0; more != NULL && i < more->n_signatures; i++) {
		Pb__Envelope *e = envelope_read(*out, a, &err);
		if (e == NULL)
			return err;
		if (!bytes_eq(wire_bytes(e->payload), wire_bytes(more->payload)) ||
			strcmp(e->payload_type, more->payload_type) != 0)
			return ERR_MISMATCH;
		err = pack_with(e, more->signatures[i], a, out);
		if (err != 0)
			return err;
	}
	return more == NULL ? err : 0;
}
