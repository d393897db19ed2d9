/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/sign.h"

#include <errno.h>
#include <string.h>

#include "server/ctl/follow.h"

static int load_as(const struct ctl *c, const char *path, unsigned roles, struct held_key *out)
{
	int err = ERR_NOT_AUTHORISED;

	for (unsigned r = 0; err == ERR_NOT_AUTHORISED && r < KEY_ROLE__COUNT; r++)
		if (roles >> r & 1)
			err = key_load(path, c->root->root, (enum key_role)r, out);
	return err;
}

/* A key that our root does not know may be in a newer one. */
static int load(struct ctl *c, const char *path, unsigned roles, struct held_key *out)
{
	int err = load_as(c, path, roles, out);

	if ((err == ERR_NOT_FOUND || err == ERR_NOT_AUTHORISED) && root_follow(c))
		err = load_as(c, path, roles, out);
	return err;
}

/* "'release', 'approver' or 'tester'" */
static void put_roles(struct buf *out, unsigned roles)
{
	bool first = true;

	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		if (!(roles >> r & 1))
			continue;
		buf_printf(out, "%s'%s'",
			first                           ? ""
				: roles >> (r + 1) != 0 ? ", "
							: " or ",
			key_role_str((enum key_role)r));
		first = false;
	}
}

static int fail_load(const struct ctl *c, const char *path, unsigned roles, int err)
{
	struct buf words = { 0 };
	char *next;
	int code;

	if (err == ERR_NOT_FOUND)
		return fail(EXIT_NOT_AUTHORISED, "huiductl key list", "%s: this key is not in %s",
			path, c->context.root);
	if (err != ERR_NOT_AUTHORISED)
		return fail(exit_of(err), "openssl pkey -noout -text -in FILE", "%s: %s", path,
			err_str(err));
	put_roles(&words, roles);
	next = mem_printf("%s ... --key FILE.pem", command_str(c->command).s);
	code = fail(EXIT_NOT_AUTHORISED, next,
		"%s: this takes a key of role %s, and the root gives this one another", path,
		buf_text(&words));
	buf_release(&words);
	free(next);
	return code;
}

static bool has(const struct hand *h, const struct held_key *key)
{
	for (size_t i = 0; i < h->n; i++)
		if (memcmp(h->key[i].id, key->id, SHA256_LEN) == 0)
			return true;
	return false;
}

static int take_named(struct ctl *c, unsigned roles, struct hand *out)
{
	const struct arg_list *keys = &c->args.keys;

	for (size_t i = 0; i < keys->n; i++) {
		struct held_key k;
		int err = load(c, keys->v[i], roles, &k);
		if (err != 0)
			return fail_load(c, keys->v[i], roles, err);
		if (has(out, &k) || out->n == ENVELOPE_SIGNATURES_MAX) {
			key_release(&k);
			return fail(EXIT_USAGE, command_page(c->command).s,
				"%s: one key signs once", keys->v[i]);
		}
		out->key[out->n++] = k;
	}
	return 0;
}

/*
 * A key whose file is not here has gone to its owner; one that the root does not know was revoked:
 * the first such is in `*stranger`, should none be left.
 */
static int take_context(
	struct ctl *c, enum key_role role, size_t want, struct hand *out, const char **stranger)
{
	const struct context_keys *keys = context_keys(&c->context, role);

	for (size_t i = 0; i < keys->n && out->n < want; i++) {
		struct held_key k;
		int err = load(c, keys->path[i], 1u << role, &k);
		if (err == ERR_NOT_FOUND && *stranger == NULL)
			*stranger = keys->path[i];
		if (err == -ENOENT || err == ERR_NOT_FOUND)
			continue;
		if (err != 0)
			return fail_load(c, keys->path[i], 1u << role, err);
		if (has(out, &k))
			key_release(&k);
		else
			out->key[out->n++] = k;
	}
	return 0;
}

static int none_here(const struct ctl *c, unsigned roles)
{
	char *next = mem_printf("%s ... --key FILE.pem", command_str(c->command).s);
	struct buf words = { 0 };
	int code;

	put_roles(&words, roles);
	code = fail(EXIT_NOT_AUTHORISED, next, "%s: none of its keys of role %s is here",
		c->context.file, buf_text(&words));
	buf_release(&words);
	free(next);
	return code;
}

int hand_take(struct ctl *c, unsigned roles, size_t want, struct hand *out)
{
	const char *stranger = NULL;
	int err = ctl_root(c);

	memset(out, 0, sizeof(*out));
	if (want > ENVELOPE_SIGNATURES_MAX)
		want = ENVELOPE_SIGNATURES_MAX;
	if (err == 0)
		err = take_named(c, roles, out);
	for (unsigned r = 0; err == 0 && out->n == 0 && r < KEY_ONLINE_FIRST; r++)
		if (roles >> r & 1)
			err = take_context(c, (enum key_role)r, want, out, &stranger);
	if (err == 0 && out->n == 0)
		err = stranger != NULL ? fail_load(c, stranger, roles, ERR_NOT_FOUND)
				       : none_here(c, roles);
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
