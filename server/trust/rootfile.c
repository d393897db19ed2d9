/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/rootfile.h"

#include "server/base/buf.h"
#include "server/base/file.h"
#include "server/base/mem.h"

#define ROOT_MAX   65536u /* as wire_envelope */
#define KEYS_MAX   64u
#define ARENA_SIZE (1024u * 1024u)

struct loaded {
	struct rootfile file; /* first: what callers hold */
	struct arena arena;
	void *envelope; /* our own copy */
};

static bool key_is_well_formed(const Pb__Key *key)
{
	return (key->scheme == KEY_ED25519 && key->public_key.len == ED25519_PUBLIC_LEN) ||
		(key->scheme == KEY_P256 && key->public_key.len == P256_PUBLIC_LEN);
}

/* What each key is used for, by its place in the root. */
struct uses {
	uint8_t id[KEYS_MAX][SHA256_LEN];
	bool used[KEYS_MAX];
	size_t n;
};

static int list_keys(const Pb__Root *root, struct uses *u)
{
	if (root->n_keys > KEYS_MAX)
		return ERR_BAD_ROOT;
	for (size_t i = 0; i < root->n_keys; i++) {
		int err = envelope_keyid(crypto_openssl(), root->keys[i], u->id[i]);
		if (err != 0)
			return err;
		if (!key_is_well_formed(root->keys[i]))
			return ERR_BAD_ROOT;
		for (size_t k = 0; k < i; k++)
			if (bytes_eq(wire_bytes(root->keys[k]->public_key),
				    wire_bytes(root->keys[i]->public_key)))
				return ERR_BAD_ROOT;
	}
	u->n = root->n_keys;
	return 0;
}

static int use(struct uses *u, ProtobufCBinaryData keyid)
{
	for (size_t i = 0; i < u->n; i++) {
		if (!bytes_eq(wire_bytes(keyid), bytes_of(u->id[i], SHA256_LEN)))
			continue;
		if (u->used[i])
			return ERR_BAD_ROOT;
		u->used[i] = true;
		return 0;
	}
	return ERR_BAD_ROOT;
}

static int use_role(struct uses *u, const Pb__Role *role)
{
	int err = 0;

	if (role->threshold == 0 || role->threshold > role->n_keyids)
		return ERR_BAD_ROOT;
	for (size_t i = 0; err == 0 && i < role->n_keyids; i++)
		err = use(u, role->keyids[i]);
	return err;
}

int rootfile_check(const Pb__Root *root)
{
	const Pb__Role *role[] = { root->root, root->timestamp, root->snapshot, root->targets,
		root->director, root->approver };
	struct uses u = { .n = 0 };
	int err = list_keys(root, &u);

	if (root->spec_version != 1 || root->version == 0 || root->repository[0] == '\0')
		return ERR_BAD_ROOT;
	for (size_t i = 0; err == 0 && i < sizeof(role) / sizeof(role[0]); i++)
		err = use_role(&u, role[i]);
	if (err == 0 && root->log != NULL)
		err = use(&u, root->log->log_keyid);
	return err;
}

/* The keys that must have signed are inside: first looked at, then believed. */
static int verify(struct loaded *l)
{
	const Pb__Envelope *e;
	const Pb__Root *root;
	struct bytes payload;
	int err;

	e = envelope_read(l->file.envelope, &l->arena, &err);
	if (e == NULL)
		return err;
	if (strcmp(e->payload_type, envelope_type_str(ENVELOPE_ROOT)) != 0)
		return ERR_WRONG_TYPE;
	root = wire_read(
		&pb__root__descriptor, wire_bytes(e->payload), &wire_signed, &l->arena, &err);
	if (root == NULL)
		return err;
	err = rootfile_check(root);
	if (err == 0)
		err = envelope_open(crypto_openssl(), l->file.envelope, ENVELOPE_ROOT, root,
			&l->arena, &payload);
	l->file.root = root;
	return err;
}

int rootfile_parse(struct bytes envelope, struct rootfile **out)
{
	struct loaded *l;
	int err;

	if (envelope.n > ROOT_MAX)
		return ERR_TOO_BIG;
	l = mem_zalloc(sizeof(*l));
	l->envelope = mem_dup(envelope.p, envelope.n);
	l->file.envelope = bytes_of(l->envelope, envelope.n);
	l->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	err = verify(l);
	if (err == 0)
		*out = &l->file;
	else
		rootfile_free(&l->file);
	return err;
}

int rootfile_read(const char *path, struct rootfile **out)
{
	struct buf b = { 0 };
	int err = file_read(path, ROOT_MAX, &b);

	if (err == 0)
		err = rootfile_parse(buf_bytes(&b), out);
	buf_release(&b);
	return err;
}

int rootfile_write(const char *path, struct bytes envelope)
{
	return file_replace(path, envelope, 0644);
}

void rootfile_free(struct rootfile *r)
{
	struct loaded *l = (struct loaded *)(void *)r;

	if (l == NULL)
		return;
	free(l->envelope);
	free(l->arena.base);
	free(l);
}
