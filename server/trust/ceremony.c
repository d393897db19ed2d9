/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/ceremony.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "proto/root.h"
#include "server/base/file.h"
#include "server/base/mem.h"

#define DRAFT_KEYS  (3 * PERSONS_MAX + KEYS_ONLINE)
#define ROOT_DAYS   365u
#define ARENA_BYTES 65536u

static const struct profile profiles[] = {
	{ "solo", 1, { { 0, 1, 1 }, { 0, 1, 1 }, { 0, 1, 1 } }, "0s",
		"one person signs builds and plans" },
	{ "team", 3, { { 0, 3, 2 }, { 0, 3, 2 }, { 0, 3, 2 } }, "1d",
		"2 of 3 sign a build, 2 of 3 approve a plan, 2 of 3 change the roles" },
	/* The first proposes and does not approve; the last two approve and do not
	   release. */
	{ "maker", 5, { { 0, 5, 3 }, { 0, 3, 2 }, { 1, 4, 2 } }, "14d",
		"2 of 3 sign a build, 2 of 4 who did not propose it approve a plan, "
		"3 of 5 change the roles" },
};

const struct profile *profile_find(const char *name)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

bool person_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

/* A root in the making: messages that point into each other, so it stays where it is.
 */
struct draft {
	Pb__Root root;
	Pb__Role role[KEY_ROLE__COUNT];
	ProtobufCBinaryData role_ids[KEY_ROLE__COUNT][PERSONS_MAX];
	Pb__Key key[DRAFT_KEYS];
	Pb__Key *keys[DRAFT_KEYS];
	uint8_t public[DRAFT_KEYS][PUBLIC_MAX];
	uint8_t id[DRAFT_KEYS][SHA256_LEN];
	struct crypto_key *held[DRAFT_KEYS];
	size_t n;
};

static int add_key(struct draft *d, enum key_role role, const char *name, char *path)
{
	size_t i = d->n;
	int err;

	assert(i < DRAFT_KEYS);
	err = crypto_key_generate(KEY_ED25519, &d->held[i]);
	if (err != 0)
		goto out;
	d->n++;
	err = crypto_key_save(d->held[i], path);
	if (err != 0)
		goto out;
	d->key[i] = (Pb__Key)PB__KEY__INIT;
	d->key[i].scheme = KEY_ED25519;
	d->key[i].public_key = wire_data(d->public[i], crypto_key_public(d->held[i], d->public[i]));
	d->key[i].name = name;
	d->keys[i] = &d->key[i];
	err = envelope_keyid(crypto_openssl(), &d->key[i], d->id[i]);
	d->role_ids[role][d->role[role].n_keyids++] = wire_data(d->id[i], SHA256_LEN);
out:
	free(path);
	return err;
}

static int add_role(
	struct draft *d, const struct ceremony *c, const char *folder, enum key_role role)
{
	const struct profile_role *p = &c->profile->role[role];
	int err = 0;

	d->role[role].threshold = p->threshold;
	for (unsigned i = 0; err == 0 && i < p->n; i++)
		err = add_key(d, role, c->persons[p->first + i],
			key_path(folder, c->persons[p->first + i], role));
	return err;
}

static int add_online(struct draft *d, const char *folder, enum key_role role)
{
	d->role[role].threshold = 1;
	return add_key(d, role, key_role_str(role), key_path(folder, NULL, role));
}

static int add_secret(const char *folder)
{
	uint8_t secret[DEVICE_SECRET_LEN];
	char *path = mem_printf("%s/device.key", folder);
	int err = crypto_random(secret, sizeof(secret));

	if (err == 0)
		err = file_create(path, bytes_of(secret, sizeof(secret)), 0600);
	crypto_wipe(secret, sizeof(secret));
	free(path);
	return err;
}

static int add_keys(struct draft *d, const struct ceremony *c, const char *folder)
{
	char *keys = mem_printf("%s/keys", folder);
	char *online = mem_printf("%s/online", folder);
	int err = 0;

	if (mkdir(keys, 0700) != 0 || mkdir(online, 0700) != 0)
		err = -errno;
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		d->role[r] = (Pb__Role)PB__ROLE__INIT;
		d->role[r].keyids = d->role_ids[r];
		if (err == 0)
			err = r < KEY_ONLINE_FIRST ? add_role(d, c, keys, (enum key_role)r)
						   : add_online(d, online, (enum key_role)r);
	}
	if (err == 0)
		err = add_secret(online);
	free(keys);
	free(online);
	return err;
}

static void fill_root(struct draft *d, const struct ceremony *c, Pb__LogPolicy *log)
{
	Pb__Root *root = &d->root;

	*log = (Pb__LogPolicy)PB__LOG_POLICY__INIT;
	log->origin = c->repository;
	log->log_keyid = d->role_ids[KEY_LOG][0];
	*root = (Pb__Root)PB__ROOT__INIT;
	root->spec_version = 1;
	root->version = 1;
	root->expires = c->now_s + ROOT_DAYS * 86400ull;
	root->repository = c->repository;
	root->n_keys = d->n;
	root->keys = d->keys;
	root->root = &d->role[KEY_ROOT];
	root->timestamp = &d->role[KEY_TIMESTAMP];
	root->snapshot = &d->role[KEY_SNAPSHOT];
	root->targets = &d->role[KEY_RELEASE];
	root->director = &d->role[KEY_DIRECTOR];
	root->approver = &d->role[KEY_APPROVER];
	root->log = log;
	root->profile = c->profile->name;
}

/* Root keys were added first: each of them signs. */
static int sign_root(struct draft *d, struct arena *a, struct bytes *out)
{
	struct bytes payload;
	int err = wire_pack(&d->root, a, &payload);

	if (err == 0)
		err = envelope_wrap(ENVELOPE_ROOT, payload, a, out);
	for (size_t i = 0; err == 0 && i < d->role[KEY_ROOT].n_keyids; i++)
		err = envelope_sign(*out, d->held[i], d->id[i], a, out);
	return err;
}

static int write_root(struct draft *d, const struct ceremony *c, const char *folder)
{
	struct arena a = { mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	char *path = mem_printf("%s/root.env", folder);
	Pb__LogPolicy log;
	struct bytes envelope;
	int err;

	fill_root(d, c, &log);
	err = root_check(crypto_openssl(), &d->root);
	if (err == 0)
		err = sign_root(d, &a, &envelope);
	if (err == 0)
		err = file_create(path, envelope, 0644);
	free(path);
	free(a.base);
	return err;
}

int ceremony_hold(const struct ceremony *c, const char *folder)
{
	struct draft *d = mem_zalloc(sizeof(*d));
	int err = add_keys(d, c, folder);

	if (err == 0)
		err = write_root(d, c, folder);
	for (size_t i = 0; i < d->n; i++)
		crypto_key_free(d->held[i]);
	free(d);
	return err;
}
