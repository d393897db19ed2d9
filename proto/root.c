/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/root.h"

static bool key_is_well_formed(const Pb__Key *key)
{
	return (key->scheme == KEY_ED25519 && key->public_key.len == ED25519_PUBLIC_LEN) ||
		(key->scheme == KEY_P256 && key->public_key.len == P256_PUBLIC_LEN);
}

/* What each key is used for, by its place in the root. */
struct uses {
	uint8_t id[ROOT_KEYS_MAX][SHA256_LEN];
	bool used[ROOT_KEYS_MAX];
	size_t n;
};

static int list_keys(const struct crypto *c, const Pb__Root *root, struct uses *u)
{
	if (root->n_keys > ROOT_KEYS_MAX)
		return ERR_BAD_ROOT;
	for (size_t i = 0; i < root->n_keys; i++) {
		int err = envelope_keyid(c, root->keys[i], u->id[i]);
		if (err != 0)
			return err == ERR_CRYPTO ? err : ERR_BAD_ROOT;
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

static size_t find(const struct uses *u, ProtobufCBinaryData keyid)
{
	size_t i = 0;

	while (i < u->n && !bytes_eq(wire_bytes(keyid), bytes_of(u->id[i], SHA256_LEN)))
		i++;
	return i;
}

static int use(struct uses *u, ProtobufCBinaryData keyid)
{
	size_t i = find(u, keyid);

	if (i == u->n || u->used[i])
		return ERR_BAD_ROOT;
	u->used[i] = true;
	return 0;
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

/* A person's key may give commands and sign builds or plans: known is enough. */
static int check_admin(const struct uses *u, const Pb__AdminRole *admin)
{
	for (size_t i = 0; i < admin->n_keyids; i++)
		if (find(u, admin->keyids[i]) == u->n)
			return ERR_BAD_ROOT;
	for (size_t i = 0; i < admin->n_rings; i++)
		if (admin->rings[i] > 3)
			return ERR_BAD_ROOT;
	return 0;
}

/* Names and keys all different: else one witness would count twice. */
static int check_witnesses(const Pb__LogPolicy *log)
{
	if (log->witness_threshold > log->n_witnesses)
		return ERR_BAD_ROOT;
	for (size_t i = 0; i < log->n_witnesses; i++) {
		const Pb__Witness *w = log->witnesses[i];
		if (w->public_key.len != ED25519_PUBLIC_LEN)
			return ERR_BAD_ROOT;
		for (size_t k = 0; k < i; k++)
			if (strcmp(w->name, log->witnesses[k]->name) == 0 ||
				bytes_eq(wire_bytes(w->public_key),
					wire_bytes(log->witnesses[k]->public_key)))
				return ERR_BAD_ROOT;
	}
	return 0;
}

int root_check(const struct crypto *c, const Pb__Root *root)
{
	const Pb__Role *role[] = { root->root, root->timestamp, root->snapshot, root->targets,
		root->director, root->approver };
	struct uses u = { .n = 0 };
	int err = list_keys(c, root, &u);

	if (err != 0)
		return err;
	if (root->spec_version != 1 || root->version == 0 || root->repository[0] == '\0')
		return ERR_BAD_ROOT;
	for (size_t i = 0; err == 0 && i < sizeof(role) / sizeof(role[0]); i++)
		err = use_role(&u, role[i]);
	if (err == 0 && root->log != NULL)
		err = use(&u, root->log->log_keyid);
	if (err == 0 && root->log != NULL)
		err = check_witnesses(root->log);
	for (size_t i = 0; err == 0 && i < root->n_admins; i++)
		err = check_admin(&u, root->admins[i]);
	return err;
}

/* The keys that must have signed are inside: first looked at, then believed. */
const Pb__Root *root_open(const struct crypto *c, struct bytes envelope, struct arena *a, int *err)
{
	const Pb__Envelope *e;
	const Pb__Root *root;
	struct bytes payload;

	*err = ERR_TOO_BIG;
	if (envelope.n > ROOT_MAX)
		return NULL;
	e = envelope_read(envelope, a, err);
	if (e == NULL)
		return NULL;
	*err = ERR_WRONG_TYPE;
	if (strcmp(e->payload_type, envelope_type_str(ENVELOPE_ROOT)) != 0)
		return NULL;
	root = wire_read(&pb__root__descriptor, wire_bytes(e->payload), &wire_signed, a, err);
	if (root == NULL)
		return NULL;
	*err = root_check(c, root);
	if (*err == 0)
		*err = envelope_open(c, envelope, ENVELOPE_ROOT, root, a, &payload);
	return *err == 0 ? root : NULL;
}

const Pb__Root *root_next(const struct crypto *c, const Pb__Root *now, struct bytes envelope,
	struct arena *a, int *err)
{
	const Pb__Root *next = root_open(c, envelope, a, err);
	struct bytes payload;

	if (next == NULL)
		return NULL;
	*err = envelope_open(c, envelope, ENVELOPE_ROOT, now, a, &payload);
	if (*err == 0 && next->version != now->version + 1)
		*err = ERR_ROOT_VERSION;
	if (*err == 0 && strcmp(next->repository, now->repository) != 0)
		*err = ERR_WRONG_REPOSITORY;
	return *err == 0 ? next : NULL;
}

const Pb__Key *root_key(const struct crypto *c, const Pb__Root *root, struct bytes keyid)
{
	for (size_t i = 0; i < root->n_keys; i++) {
		uint8_t id[SHA256_LEN];
		if (envelope_keyid(c, root->keys[i], id) == 0 &&
			bytes_eq(keyid, bytes_of(id, SHA256_LEN)))
			return root->keys[i];
	}
	return NULL;
}

static bool has_all(const Pb__Role *of, const Pb__Role *in)
{
	for (size_t i = 0; i < of->n_keyids; i++)
		if (!envelope_lists(in->keyids, in->n_keyids, wire_bytes(of->keyids[i])))
			return false;
	return true;
}

bool root_same_keys(const Pb__Role *a, const Pb__Role *b)
{
	return has_all(a, b) && has_all(b, a);
}
