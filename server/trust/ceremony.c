/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/ceremony.h"

#include <errno.h>
#include <sys/stat.h>

#include "proto/root.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/trust/draft.h"
#include "server/trust/epochs.h"

#define ARENA_BYTES (128u * 1024u)

static const struct profile profiles[] = {
	{ "solo", 1, { [KEY_ROOT] = { 0, 1, 1 }, { 0, 1, 1 }, { 0, 1, 1 } }, "0s",
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

void profile_set(const struct profile *p, Pb__Root *root)
{
	root->profile = p->name;
	root->root->threshold = p->role[KEY_ROOT].threshold;
	root->targets->threshold = p->role[KEY_RELEASE].threshold;
	root->approver->threshold = p->role[KEY_APPROVER].threshold;
}

bool person_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

/* The first root, and the keys that sign it. */
struct first {
	const struct ceremony *c;
	struct draft draft;
	struct {
		struct crypto_key *key;
		uint8_t id[SHA256_LEN];
	} root[PERSONS_MAX];
	size_t n;
};

static int add_key(struct first *f, enum key_role role, const char *name, char *path)
{
	struct crypto_key *key = NULL;
	uint8_t public[PUBLIC_MAX];
	Pb__Key entry = PB__KEY__INIT;
	int err = crypto_key_generate(KEY_ED25519, &key);

	if (err == 0)
		err = crypto_key_save(key, path);
	free(path);
	if (err == 0) {
		key_entry(key, name, f->c->demo, public, &entry);
		err = draft_add(&f->draft, role, &entry, NULL);
	}
	if (err == 0 && role == KEY_ROOT) {
		err = envelope_keyid(crypto_openssl(), &entry, f->root[f->n].id);
		f->root[f->n++].key = key;
		key = NULL;
	}
	crypto_key_free(key);
	return err;
}

static int add_role(struct first *f, const char *folder, enum key_role role)
{
	const struct profile_role *p = &f->c->profile->role[role];
	int err = 0;

	for (unsigned i = 0; err == 0 && i < p->n; i++)
		err = add_key(f, role, f->c->persons[p->first + i],
			key_path(folder, f->c->persons[p->first + i], role));
	return err;
}

static int add_online(struct first *f, const char *folder, enum key_role role)
{
	return add_key(f, role, key_role_str(role), key_path(folder, NULL, role));
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

static int add_keys(struct first *f, const char *folder)
{
	char *keys = mem_printf("%s/keys", folder);
	char *online = mem_printf("%s/online", folder);
	int err = 0;

	if (mkdir(keys, 0700) != 0 || mkdir(online, 0700) != 0)
		err = -errno;
	for (unsigned r = 0; err == 0 && r < KEY_ROLE__COUNT; r++)
		err = r < KEY_ONLINE_FIRST ? add_role(f, keys, (enum key_role)r)
					   : add_online(f, online, (enum key_role)r);
	if (err == 0)
		err = add_secret(online);
	free(keys);
	free(online);
	return err;
}

static int write_root(struct first *f, const char *folder)
{
	struct arena a = { mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	char *path = mem_printf("%s/root.env", folder);
	struct bytes envelope;
	int err;

	profile_set(f->c->profile, f->draft.root);
	f->draft.root->expires = f->c->now_s + ROOT_DAYS * 86400ull;
	err = root_check(crypto_openssl(), f->draft.root);
	if (err == 0)
		err = draft_wrap(&f->draft, &a, &envelope);
	for (size_t i = 0; err == 0 && i < f->n; i++)
		err = envelope_sign(envelope, f->root[i].key, f->root[i].id, &a, &envelope);
	if (err == 0)
		err = file_create(path, envelope, 0644);
	free(path);
	free(a.base);
	return err;
}

int ceremony_hold(const struct ceremony *c, const char *folder)
{
	struct first f = { .c = c };
	int err = draft_new(&f.draft, c->repository, c->profile->name);

	if (err == 0)
		err = add_keys(&f, folder);
	if (err == 0)
		err = write_root(&f, folder);
	for (size_t i = 0; i < f.n; i++)
		crypto_key_free(f.root[i].key);
	draft_release(&f.draft);
	return err;
}
