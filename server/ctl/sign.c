/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/sign.h"

#include <errno.h>
#include <string.h>

static int load(const struct ctl *c, const char *path, enum key_role role, enum key_role or_role,
	struct held_key *out)
{
	int err = key_load(path, c->root->root, role, out);

	if (err == ERR_NOT_AUTHORISED && or_role != role)
		err = key_load(path, c->root->root, or_role, out);
	return err;
}

static int fail_load(const struct ctl *c, const char *path, enum key_role role, int err)
{
	if (err == ERR_NOT_FOUND)
		return fail(EXIT_NOT_AUTHORISED, "huiductl help exit-codes",
			"%s: this key is not in %s", path, c->context.root);
	if (err == ERR_NOT_AUTHORISED) {
		char *next = mem_printf("%s ... --key FILE.pem", command_str(c->command).s);
		int code = fail(EXIT_NOT_AUTHORISED, next,
			"%s: this takes a key of role '%s', and the root gives this one another",
			path, key_role_str(role));
		free(next);
		return code;
	}
	return fail(
		exit_of(err), "openssl pkey -noout -text -in FILE", "%s: %s", path, err_str(err));
}

static bool has(const struct hand *h, const struct held_key *key)
{
	for (size_t i = 0; i < h->n; i++)
		if (memcmp(h->key[i].id, key->id, SHA256_LEN) == 0)
			return true;
	return false;
}

static int take_named(struct ctl *c, enum key_role role, enum key_role or_role, struct hand *out)
{
	const struct arg_list *keys = &c->args.keys;

	for (size_t i = 0; i < keys->n; i++) {
		struct held_key k;
		int err = load(c, keys->v[i], role, or_role, &k);
		if (err != 0)
			return fail_load(c, keys->v[i], role, err);
		if (has(out, &k) || out->n == ENVELOPE_SIGNATURES_MAX) {
			key_release(&k);
			return fail(EXIT_USAGE, command_str(c->command).s, "%s: one key signs once",
				keys->v[i]);
		}
		out->key[out->n++] = k;
	}
	return 0;
}

static int take_context(struct ctl *c, enum key_role role, size_t want, struct hand *out)
{
	const struct context_keys *keys = context_keys(&c->context, role);

	for (size_t i = 0; i < keys->n && out->n < want; i++) {
		struct held_key k;
		int err = key_load(keys->path[i], c->root->root, role, &k);
		if (err == -ENOENT)
			continue; /* it has gone to its owner */
		if (err != 0)
			return fail_load(c, keys->path[i], role, err);
		if (has(out, &k))
			key_release(&k);
		else
			out->key[out->n++] = k;
	}
	return 0;
}

int hand_take(
	struct ctl *c, enum key_role role, enum key_role or_role, size_t want, struct hand *out)
{
	int err = ctl_root(c);

	memset(out, 0, sizeof(*out));
	if (want > ENVELOPE_SIGNATURES_MAX)
		want = ENVELOPE_SIGNATURES_MAX;
	if (err == 0)
		err = take_named(c, role, or_role, out);
	if (err == 0 && out->n == 0)
		err = take_context(c, role, want, out);
	if (err == 0 && out->n == 0)
		err = take_context(c, or_role, want, out);
	if (err == 0 && out->n == 0) {
		char *next = mem_printf("%s ... --key FILE.pem", command_str(c->command).s);
		err = fail(EXIT_NOT_AUTHORISED, next, "%s: none of its %s keys is here",
			c->context.file, key_role_str(role));
		free(next);
	}
	if (err != 0)
		hand_release(out);
	return err;
}

void hand_release(struct hand *h)
{
	for (size_t i = 0; i < h->n; i++)
		key_release(&h->key[i]);
	h->n = 0;
}

int hand_sign(const struct hand *h, struct bytes envelope, struct arena *a, struct bytes *out)
{
	int err = 0;

	*out = envelope;
	for (size_t i = 0; err == 0 && i < h->n; i++)
		err = envelope_sign(*out, h->key[i].key, h->key[i].id, a, out);
	return err;
}

void put_signers(struct buf *out, const Pb__Root *root, const struct signers *who)
{
	for (unsigned i = 0; i < who->n; i++) {
		const char *name = root->keys[who->key[i]]->name;
		buf_printf(out, "%s%s", i > 0 ? ", " : "", name != NULL ? name : "no name");
	}
	if (who->n == 0)
		buf_str(out, "nobody");
}
