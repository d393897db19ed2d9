/* SPDX-License-Identifier: Apache-2.0 */
/* The online keys: all that are there, of which the root says what they may sign. */
#include "server/trust/signer_proc.h"

#include <dirent.h>
#include <errno.h>

#include "proto/checkpoint.h"
#include "server/base/mem.h"

/* Its two halves belong together.  (OpenSSL then also has all that it opens files for.) */
static int try_out(const struct crypto_key *key)
{
	static const char message[] = "huidu";
	uint8_t public[PUBLIC_MAX], sig[SIG_LEN];
	size_t n = crypto_key_public(key, public);
	int err = crypto_key_sign(key, bytes_str(message), sig);

	return err != 0 ? err
			: crypto_key_verify(crypto_key_scheme(key), bytes_of(public, n),
				  bytes_str(message), sig);
}

static int load_one(struct proc *p, const char *path)
{
	struct crypto_key *key;
	int err = crypto_key_load(path, &key);

	if (err == 0)
		err = try_out(key);
	if (err != 0)
		return proc_refuse(p, err, "%.160s: %s", path, err_str(err));
	p->keys = mem_resize(p->keys, p->n_keys + 1, sizeof(struct crypto_key *));
	p->keys[p->n_keys++] = key;
	return 0;
}

static int is_pem(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && e->d_name[0] != '.' && strcmp(e->d_name + n - 4, ".pem") == 0;
}

int proc_load_keys(struct proc *p, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_pem, alphasort), err = 0;

	if (n < 0)
		return proc_refuse(p, -errno, "%.160s: %s", dir, err_str(-errno));
	for (int i = 0; i < n; i++) {
		char *path = mem_printf("%s/%s", dir, list[i]->d_name);
		if (err == 0)
			err = load_one(p, path);
		free(path);
		free(list[i]);
	}
	free(list);
	return err;
}

/* The `i`-th of our keys when it has the role in this root. */
static bool held(const struct proc *p, size_t i, const Pb__Root *root, enum key_role role,
	struct held_key *out)
{
	*out = (struct held_key){ .key = p->keys[i] };
	return key_find(root, p->keys[i], out) == 0 && key_is_in(out, root, role);
}

int proc_has_keys(struct proc *p, const Pb__Root *root)
{
	if (root->log == NULL)
		return proc_refuse(p, ERR_BAD_ROOT, "root %llu: names no log",
			(unsigned long long)root->version);
	for (unsigned r = KEY_ONLINE_FIRST; r < KEY_ROLE__COUNT; r++) {
		const Pb__Role *role = key_role_of(root, (enum key_role)r);
		uint32_t have = 0, need = role != NULL ? role->threshold : 1;
		struct held_key k;
		for (size_t i = 0; i < p->n_keys; i++)
			have += held(p, i, root, (enum key_role)r, &k);
		if (have < need)
			return proc_refuse(p, ERR_NOT_AUTHORISED,
				"root %llu: none of the keys here is its %s key: put it into the "
				"online directory and restart first",
				(unsigned long long)root->version, key_role_str((enum key_role)r));
	}
	return 0;
}

static enum key_role role_of(const Pb__Root *root, enum envelope_type type)
{
	const Pb__Role *role = envelope_role(root, type);
	unsigned r = KEY_ONLINE_FIRST;

	while (key_role_of(root, (enum key_role)r) != role)
		r++;
	return (enum key_role)r;
}

int proc_sign(struct proc *p, enum envelope_type type, struct bytes payload, struct bytes *out)
{
	uint32_t need = envelope_role(p->root, type)->threshold;
	enum key_role role = role_of(p->root, type);
	int err = envelope_wrap(type, payload, &p->arena, out);
	struct held_key k;

	for (size_t i = 0; err == 0 && need > 0 && i < p->n_keys; i++) {
		if (!held(p, i, p->root, role, &k))
			continue;
		err = envelope_sign(*out, k.key, k.id, &p->arena, out);
		need--;
	}
	return err != 0 ? proc_refuse(p, err, "%s: %s", key_role_str(role), err_str(err)) : 0;
}

int proc_checkpoint(struct proc *p, struct bytes *note)
{
	struct checkpoint c = { .size = p->ledger->log.size };
	int err = merkle_root(crypto_openssl(), &p->ledger->log, c.root);
	struct held_key k;

	for (size_t i = 0; err == 0 && i < p->n_keys; i++)
		if (held(p, i, p->root, KEY_LOG, &k))
			return checkpoint_sign(p->root->log->origin, &c, k.key, &p->arena, note);
	return err != 0 ? err : ERR_NOT_AUTHORISED;
}
