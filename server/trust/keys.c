/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/keys.h"

#include <assert.h>

#include "server/base/mem.h"

static const char *const role_str[KEY_ROLE__COUNT] = {
	[KEY_ROOT] = "root",
	[KEY_RELEASE] = "release",
	[KEY_APPROVER] = "approver",
	[KEY_TESTER] = "tester",
	[KEY_OBSERVER] = "observer",
	[KEY_DIRECTOR] = "director",
	[KEY_SNAPSHOT] = "snapshot",
	[KEY_TIMESTAMP] = "timestamp",
	[KEY_LOG] = "log",
};

const char *key_role_str(enum key_role role)
{
	assert(role < KEY_ROLE__COUNT);
	return role_str[role];
}

bool key_role_find(const char *name, enum key_role *out)
{
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
		if (strcmp(role_str[r], name) == 0) {
			*out = (enum key_role)r;
			return true;
		}
	return false;
}

bool key_role_kind(enum key_role role, Pb__AdminKind *out)
{
	static const Pb__AdminKind kind[KEY_ROLE__COUNT] = {
		[KEY_RELEASE] = PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER,
		[KEY_APPROVER] = PB__ADMIN_KIND__ADMIN_APPROVER,
		[KEY_TESTER] = PB__ADMIN_KIND__ADMIN_TESTER_MANAGER,
		[KEY_OBSERVER] = PB__ADMIN_KIND__ADMIN_OBSERVER,
	};

	assert(role < KEY_ROLE__COUNT);
	*out = kind[role];
	return kind[role] != 0;
}

const Pb__Role *key_role_of(const Pb__Root *root, enum key_role role)
{
	const Pb__Role *of[KEY_ROLE__COUNT] = {
		[KEY_ROOT] = root->root,
		[KEY_RELEASE] = root->targets,
		[KEY_APPROVER] = root->approver,
		[KEY_TESTER] = NULL,
		[KEY_OBSERVER] = NULL,
		[KEY_DIRECTOR] = root->director,
		[KEY_SNAPSHOT] = root->snapshot,
		[KEY_TIMESTAMP] = root->timestamp,
		[KEY_LOG] = NULL,
	};

	assert(role < KEY_ROLE__COUNT);
	return of[role];
}

char *key_path(const char *folder, const char *person, enum key_role role)
{
	if (person == NULL)
		return mem_printf("%s/%s.pem", folder, key_role_str(role));
	return mem_printf("%s/%s.%s.pem", folder, person, key_role_str(role));
}

void key_entry(const struct crypto_key *key, const char *name, bool demo,
	uint8_t public[PUBLIC_MAX], Pb__Key *out)
{
	*out = (Pb__Key)PB__KEY__INIT;
	out->scheme = crypto_key_scheme(key);
	out->public_key = wire_data(public, crypto_key_public(key, public));
	out->name = name;
	out->has_demo = demo;
	out->demo = demo;
}

int key_find(const Pb__Root *root, const struct crypto_key *key, struct held_key *out)
{
	uint8_t public[PUBLIC_MAX];
	size_t n = crypto_key_public(key, public);

	for (size_t i = 0; n > 0 && i < root->n_keys; i++) {
		const Pb__Key *entry = root->keys[i];
		if (entry->scheme != crypto_key_scheme(key) ||
			!bytes_eq(wire_bytes(entry->public_key), bytes_of(public, n)))
			continue;
		out->entry = entry;
		return envelope_keyid(crypto_openssl(), entry, out->id);
	}
	return ERR_NOT_FOUND;
}

static bool is_admin(struct bytes id, const Pb__Root *root, Pb__AdminKind kind)
{
	for (size_t i = 0; i < root->n_admins; i++)
		if (root->admins[i]->kind == kind &&
			envelope_lists(root->admins[i]->keyids, root->admins[i]->n_keyids, id))
			return true;
	return false;
}

bool key_is_in(const struct held_key *key, const Pb__Root *root, enum key_role role)
{
	const Pb__Role *r = key_role_of(root, role);
	struct bytes id = bytes_of(key->id, SHA256_LEN);
	Pb__AdminKind kind;

	if (r != NULL)
		return envelope_lists(r->keyids, r->n_keyids, id);
	if (key_role_kind(role, &kind))
		return is_admin(id, root, kind);
	return root->log != NULL && bytes_eq(wire_bytes(root->log->log_keyid), id);
}

int key_load(const char *path, const Pb__Root *root, enum key_role role, struct held_key *out)
{
	int err;

	*out = (struct held_key){ 0 };
	err = crypto_key_load(path, &out->key);
	if (err == 0)
		err = key_find(root, out->key, out);
	if (err == 0 && !key_is_in(out, root, role))
		err = ERR_NOT_AUTHORISED;
	if (err != 0)
		key_release(out);
	return err;
}

void key_release(struct held_key *key)
{
	crypto_key_free(key->key);
	*key = (struct held_key){ 0 };
}
