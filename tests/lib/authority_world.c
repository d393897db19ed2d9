/* SPDX-License-Identifier: Apache-2.0 */
#include "authority_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/mem.h"

static const char *const person[DEPLOYMENT_PEOPLE] = { "alice", "bob", "carol", "dave", "erin" };

static void must(int err, const char *what)
{
	if (err == 0)
		return;
	(void)fprintf(stderr, "authority world: %s: %s\n", what, err_str(err));
	abort();
}

void world_key_make(struct world_key *k, const char *name, bool demo)
{
	must(crypto_key_generate(KEY_ED25519, &k->key), "key");
	k->entry = (Pb__Key)PB__KEY__INIT;
	k->entry.scheme = KEY_ED25519;
	k->entry.public_key = wire_data(k->public_key, crypto_key_public(k->key, k->public_key));
	k->entry.name = name;
	k->entry.has_demo = k->entry.demo = demo;
	must(envelope_keyid(crypto_openssl(), &k->entry, k->id), "key id");
	k->keyid = wire_data(k->id, SHA256_LEN);
}

void world_key_free(struct world_key *k)
{
	crypto_key_free(k->key);
}

void world_load(struct deployment *d, unsigned who, enum key_role role, struct held_key *out)
{
	char *folder = mem_printf("%s/keys", d->dir);
	char *path = key_path(folder, person[who], role);

	must(key_load(path, d->root->root, role, out), path);
	free(path);
	free(folder);
}

/* ---- commands ---- */

struct bytes world_command(struct deployment *d, Pb__AdminCommand *m)
{
	const struct state *s = control_state(&d->server);
	uint8_t *nonce = arena_alloc(&d->arena, ID_LEN);
	struct bytes payload, envelope;

	assert(nonce != NULL);
	must(crypto_random(nonce, ID_LEN), "nonce");
	m->spec_version = 1;
	m->repository = "test";
	m->nonce = wire_data(nonce, ID_LEN);
	m->issued_at = d->now_ms / 1000;
	if (m->expires == 0)
		m->expires = m->issued_at + 600;
	if (m->audit_size == 0) {
		m->audit_size = s->log.size;
		m->audit_root = wire_data(state_root(s), SHA256_LEN);
	}
	must(wire_pack(m, &d->arena, &payload), "command");
	must(envelope_wrap(ENVELOPE_COMMAND, payload, &d->arena, &envelope), "command");
	return envelope;
}

struct bytes world_sign(struct deployment *d, struct bytes envelope, const struct crypto_key *key,
	const uint8_t *id)
{
	must(envelope_sign(envelope, key, id, &d->arena, &envelope), "signature");
	return envelope;
}

struct bytes world_sign_as(
	struct deployment *d, struct bytes envelope, unsigned who, enum key_role role)
{
	struct held_key key;

	world_load(d, who, role, &key);
	envelope = world_sign(d, envelope, key.key, key.id);
	key_release(&key);
	return envelope;
}

int world_send(struct deployment *d, struct bytes envelope)
{
	int err = control_command(&d->server, envelope, d->now_ms, d->text);

	(void)desk_refresh(&d->desk);
	return err;
}

int world_do(struct deployment *d, Pb__AdminCommand *m, unsigned who, enum key_role role)
{
	return world_send(d, world_sign_as(d, world_command(d, m), who, role));
}

/* ---- roots ---- */

static void copy_role(struct world_root *r, int i, const Pb__Role *from)
{
	r->role[i] = *from;
	assert(from->n_keyids < 15);
	for (size_t k = 0; k < from->n_keyids; k++)
		r->ids[i][k] = from->keyids[k];
	r->role[i].keyids = r->ids[i];
}

void world_root_next(struct deployment *d, struct world_root *r)
{
	const Pb__Root *now = control_state(&d->server)->root;
	const Pb__Role *from[] = { now->root, now->timestamp, now->snapshot, now->targets,
		now->director, now->approver };

	r->root = *now;
	r->root.version++;
	for (size_t i = 0; i < now->n_keys; i++)
		r->keys[i] = now->keys[i];
	r->root.keys = r->keys;
	for (int i = 0; i < 6; i++)
		copy_role(r, i, from[i]);
	r->root.root = &r->role[WORLD_ROOT];
	r->root.timestamp = &r->role[WORLD_TIMESTAMP];
	r->root.snapshot = &r->role[WORLD_SNAPSHOT];
	r->root.targets = &r->role[WORLD_TARGETS];
	r->root.director = &r->role[WORLD_DIRECTOR];
	r->root.approver = &r->role[WORLD_APPROVER];
	r->root.admins = r->admins;
	r->root.n_admins = 0;
}

static void list_key(struct world_root *r, struct world_key *k)
{
	for (size_t i = 0; i < r->root.n_keys; i++)
		if (r->keys[i] == &k->entry)
			return;
	r->keys[r->root.n_keys++] = &k->entry;
}

void world_root_add(struct world_root *r, int role, struct world_key *k)
{
	list_key(r, k);
	if (role >= 0)
		r->ids[role][r->role[role].n_keyids++] = k->keyid;
}

void world_root_drop(struct world_root *r, int role)
{
	Pb__Role *m = &r->role[role];

	m->n_keyids--;
	memmove(&r->ids[role][0], &r->ids[role][1], m->n_keyids * sizeof(r->ids[role][0]));
}

void world_root_grant(struct world_root *r, Pb__AdminKind kind, const uint8_t *keyid,
	const char *product, int ring)
{
	static ProtobufCBinaryData ids[32];
	static const char *products[32];
	static uint32_t rings[32];
	static size_t used;
	size_t at = used++ % 32;
	Pb__AdminRole *a = &r->admin[r->root.n_admins];

	*a = (Pb__AdminRole)PB__ADMIN_ROLE__INIT;
	ids[at] = wire_data(keyid, SHA256_LEN);
	products[at] = product;
	rings[at] = (uint32_t)ring;
	a->kind = kind;
	a->n_keyids = 1;
	a->keyids = &ids[at];
	a->n_products = product != NULL;
	a->products = &products[at];
	a->n_rings = ring >= 0;
	a->rings = &rings[at];
	r->admins[r->root.n_admins++] = a;
}

struct bytes world_root_wrap(struct deployment *d, const struct world_root *r)
{
	struct bytes payload, envelope;

	must(wire_pack(&r->root, &d->arena, &payload), "root");
	must(envelope_wrap(ENVELOPE_ROOT, payload, &d->arena, &envelope), "root");
	return envelope;
}

struct bytes world_root_sign(struct deployment *d, struct bytes envelope)
{
	for (unsigned i = 0; i < d->root->root->root->n_keyids; i++)
		envelope = world_sign_as(d, envelope, i, KEY_ROOT);
	return envelope;
}

int world_root_send(struct deployment *d, struct bytes envelope)
{
	int err = control_root(&d->server, envelope, d->now_ms, d->text);

	(void)desk_refresh(&d->desk);
	return err;
}

/* ---- queries ---- */

const Pb__AdminReply *world_ask(
	struct deployment *d, Pb__QueryKind kind, const char *name, uint64_t from)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	struct bytes payload, frame;
	struct buf answer = { 0 };
	const Pb__AdminReply *reply;
	const Pb__Envelope *e;
	struct admin admin;
	int err;

	q.kind = kind;
	q.name = name;
	q.has_from = from > 0;
	q.from = from;
	must(wire_pack(&q, &d->arena, &payload), "query");
	must(envelope_wrap(ENVELOPE_QUERY, payload, &d->arena, &frame), "query");
	admin_open(&admin, &d->server);
	admin_answer(&admin, frame, d->now_ms, &answer);
	e = wire_read(&pb__envelope__descriptor, buf_bytes(&answer), &wire_admin, &d->arena, &err);
	must(err, "answer");
	reply = wire_read(
		&pb__admin_reply__descriptor, wire_bytes(e->payload), &wire_admin, &d->arena, &err);
	must(err, "answer");
	buf_release(&answer);
	admin_release(&admin);
	return reply;
}
