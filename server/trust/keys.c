/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/keys.h"

#include <assert.h>

#include "server/base/file.h"
#include "server/base/mem.h"

#define FIRST_EPOCH 1u

static const char *const role_str[KEY_ROLE__COUNT] = {
	[KEY_ROOT] = "root",
	[KEY_RELEASE] = "release",
	[KEY_APPROVER] = "approver",
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

const Pb__Role *key_role_of(const Pb__Root *root, enum key_role role)
{
	const Pb__Role *of[KEY_ROLE__COUNT] = {
		[KEY_ROOT] = root->root,
		[KEY_RELEASE] = root->targets,
		[KEY_APPROVER] = root->approver,
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

bool key_is_in(const struct held_key *key, const Pb__Root *root, enum key_role role)
{
	const Pb__Role *r = key_role_of(root, role);

	if (r == NULL)
		return root->log != NULL &&
			bytes_eq(wire_bytes(root->log->log_keyid), bytes_of(key->id, SHA256_LEN));
	for (size_t i = 0; i < r->n_keyids; i++)
		if (bytes_eq(wire_bytes(r->keyids[i]), bytes_of(key->id, SHA256_LEN)))
			return true;
	return false;
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

static int load_secret(const char *path, uint8_t out[DEVICE_SECRET_LEN])
{
	struct buf b = { 0 };
	int err = file_read(path, DEVICE_SECRET_LEN, &b);

	if (err == 0 && b.len != DEVICE_SECRET_LEN)
		err = ERR_BAD_KEY;
	if (err == 0)
		memcpy(out, b.data, DEVICE_SECRET_LEN);
	if (b.data != NULL)
		crypto_wipe(b.data, b.cap);
	buf_release(&b);
	return err;
}

int online_keys_load(
	const char *folder, const Pb__Root *root, struct online_keys *out, char **failed)
{
	char *path = NULL;
	int err = 0;

	*out = (struct online_keys){ .epoch = FIRST_EPOCH };
	for (unsigned role = KEY_ONLINE_FIRST; err == 0 && role < KEY_ROLE__COUNT; role++) {
		free(path);
		path = key_path(folder, NULL, (enum key_role)role);
		err = key_load(path, root, (enum key_role)role, &out->key[role - KEY_ONLINE_FIRST]);
	}
	if (err == 0) {
		free(path);
		path = mem_printf("%s/device.key", folder);
		err = load_secret(path, out->device_secret);
	}
	if (err != 0)
		online_keys_release(out);
	if (err != 0 && failed != NULL) {
		*failed = path;
		path = NULL;
	}
	free(path);
	return err;
}

void online_keys_release(struct online_keys *o)
{
	for (size_t i = 0; i < KEYS_ONLINE; i++)
		key_release(&o->key[i]);
	crypto_wipe(o, sizeof(*o));
}
