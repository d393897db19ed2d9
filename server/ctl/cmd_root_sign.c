/* SPDX-License-Identifier: Apache-2.0 */
/* root sign, show, publish, update: the next root, from the first signature to being in force. */
#include <stdio.h>

#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/ctl/cmds.h"
#include "server/ctl/draftfile.h"
#include "server/ctl/follow.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"

#define ARENA_BYTES (4u * 1024u * 1024u)

/* The words are drafts of one root: their signatures together. */
static int load(struct ctl *c, struct arena *a, struct bytes *envelope, const Pb__Root **next)
{
	const struct arg_list *w = &c->args.words;
	int err = draftfile_read(c, w->v[0], a, envelope, next);

	for (size_t i = 1; err == 0 && i < w->n; i++) {
		const Pb__Root *other;
		struct bytes one;
		err = draftfile_read(c, w->v[i], a, &one, &other);
		if (err == 0 && envelope_merge(*envelope, one, a, envelope) != 0)
			err = fail(EXIT_USAGE, "huiductl root show FILE, for each",
				"%s: not the same root as %s", w->v[i], w->v[0]);
	}
	return err;
}

/* That it could follow the root in force, but for signatures. */
static int check(struct ctl *c, const Pb__Root *next)
{
	const Pb__Root *now = c->root->root;
	struct buf missing = { 0 };
	int err = 0;

	if (strcmp(next->repository, now->repository) != 0 || next->version != now->version + 1)
		err = fail(EXIT_CONFLICT, "huiductl root update, then huiductl root renew",
			"%s: root %llu of '%s' does not follow %llu of '%s'", c->args.words.v[0],
			(unsigned long long)next->version, next->repository,
			(unsigned long long)now->version, now->repository);
	else if (root_missing(&missing, next) > 0)
		err = fail(EXIT_REFUSED, "huiductl root show FILE",
			"%s: cannot be signed yet\n%.*s", c->args.words.v[0], (int)missing.len - 1,
			buf_text(&missing));
	buf_release(&missing);
	return err;
}

/* ---- signing ---- */

static bool is_root_key(const Pb__Root *root, const struct crypto_key *key, uint8_t id[SHA256_LEN])
{
	struct held_key held = { 0 };

	if (key_find(root, key, &held) != 0 || !key_is_in(&held, root, KEY_ROOT))
		return false;
	memcpy(id, held.id, SHA256_LEN);
	return true;
}

/* A root key of either root signs. */
static int sign_with(struct ctl *c, const char *path, const Pb__Root *next, struct arena *a,
	struct bytes *envelope)
{
	struct crypto_key *key = NULL;
	uint8_t id[SHA256_LEN];
	int err = crypto_key_load(path, &key);

	if (err != 0)
		err = fail(exit_of(err), "huiductl root sign ... --key NAME.root.pem", "%s: %s",
			path, err_str(err));
	else if (!is_root_key(c->root->root, key, id) && !is_root_key(next, key, id))
		err = fail(EXIT_NOT_AUTHORISED, "huiductl root show FILE",
			"%s: no root key, neither of the root in force nor of the next", path);
	else if (envelope_sign(*envelope, key, id, a, envelope) != 0)
		err = fail(EXIT_FAILED, NULL, "%s: cannot sign", path);
	crypto_key_free(key);
	return err;
}

/* Keys of the context that are here, no more than either root asks for. */
static int sign_with_context(
	struct ctl *c, const Pb__Root *next, struct arena *a, struct bytes *envelope, unsigned *n)
{
	const struct context_keys *keys = context_keys(&c->context, KEY_ROOT);
	unsigned want = c->root->root->root->threshold;
	int err = 0;

	if (next->root->threshold > want)
		want = next->root->threshold;
	for (size_t i = 0; err == 0 && i < keys->n && *n < want; i++) {
		struct crypto_key *key = NULL;
		uint8_t id[SHA256_LEN];
		bool fits = crypto_key_load(keys->path[i], &key) == 0 &&
			(is_root_key(c->root->root, key, id) || is_root_key(next, key, id));
		crypto_key_free(key);
		if (!fits)
			continue; /* it is with its owner, or was revoked */
		err = sign_with(c, keys->path[i], next, a, envelope);
		++*n;
	}
	return err;
}

static int sign(struct ctl *c, const Pb__Root *next, struct arena *a, struct bytes *envelope)
{
	unsigned n = 0;
	int err = 0;

	for (; err == 0 && n < c->args.keys.n; n++)
		err = sign_with(c, c->args.keys.v[n], next, a, envelope);
	if (err == 0 && n == 0)
		err = sign_with_context(c, next, a, envelope, &n);
	if (err == 0 && n == 0)
		err = fail(EXIT_NOT_AUTHORISED, "huiductl root sign ... --key NAME.root.pem",
			"%s: none of its root keys is here", c->context.file);
	return err;
}

/* ---- who is still needed ---- */

/* "  root 1 (in force): alice signed; 1 more of bob, carol"; true when none is. */
static bool put_needed(struct buf *out, struct bytes envelope, const Pb__Root *root,
	const char *which, struct arena *a)
{
	const Pb__Role *role = root->root;
	struct signers who = { 0 };
	struct bytes payload;
	int err = envelope_verify(
		crypto_openssl(), envelope, ENVELOPE_ROOT, root, role, a, &payload, &who);
	const char *between = " more of ";

	buf_printf(out, "  %-9s %u of %u: ", which, who.n, role->threshold);
	put_signers(out, root, &who);
	if (err == 0 || who.n >= role->threshold) {
		buf_str(out, "\n");
		return err == 0;
	}
	buf_printf(out, "; %u", role->threshold - who.n);
	for (size_t i = 0; i < role->n_keyids; i++) {
		const Pb__Key *key = root_key(crypto_openssl(), root, wire_bytes(role->keyids[i]));
		bool signed_it = false;
		for (unsigned k = 0; k < who.n; k++)
			signed_it |= root->keys[who.key[k]] == key;
		if (signed_it)
			continue;
		buf_printf(out, "%s%s", between, key_label(key).name);
		between = ", ";
	}
	buf_str(out, "\n");
	return false;
}

static bool put_state(struct ctl *c, struct buf *out, struct bytes envelope, const Pb__Root *next,
	struct arena *a)
{
	bool old = put_needed(out, envelope, c->root->root, "in force", a);

	return put_needed(out, envelope, next, "the next", a) && old;
}

static int tell(struct ctl *c, const char *path, struct bytes envelope, const Pb__Root *next,
	struct arena *a)
{
	struct buf out = { 0 }, state = { 0 };
	bool enough = put_state(c, &state, envelope, next, a);

	put(&out, &c->term, enough ? STYLE_GOOD : STYLE_WARN, "%s",
		icon(&c->term, enough ? ICON_DONE : ICON_WAITING));
	buf_printf(&out, " %s: root %llu, signatures for the root\n%s", path,
		(unsigned long long)next->version, buf_text(&state));
	if (enough)
		buf_printf(&out, "Next: huiductl root publish %s\n", path);
	else
		buf_printf(&out,
			"Next: give %s to the next signer, who types\n"
			"  huiductl root sign %s --key NAME.root.pem\n",
			path, path);
	buf_release(&state);
	return ctl_print(&out);
}

static int save(const char *path, struct bytes envelope)
{
	int err = file_replace(path, envelope, 0644);

	return err == 0 ? 0
			: fail(exit_of(err), "huiductl root sign ... -o ANOTHER.env", "%s: %s",
				  path, err_str(err));
}

static int show_difference(struct ctl *c, const Pb__Root *next)
{
	struct buf text = { 0 };

	root_difference(&text, &c->errors, c->root->root, next);
	note_text(&text);
	return 0;
}

int cmd_root_sign(struct ctl *c)
{
	const char *path = c->args.out != NULL ? c->args.out : c->args.words.v[0];
	bool only_merge = c->args.words.n > 1 && c->args.keys.n == 0;
	struct arena a = arena_new(ARENA_BYTES);
	const Pb__Root *next = NULL;
	struct bytes envelope;
	int err = ctl_root(c);

	if (err == 0)
		err = load(c, &a, &envelope, &next);
	if (err == 0)
		err = check(c, next);
	if (err == 0)
		err = show_difference(c, next);
	if (err == 0 && !only_merge && ctl_confirm(c, "Sign this root?", &err))
		err = sign(c, next, &a, &envelope);
	if (err == 0)
		err = save(path, envelope);
	if (err == 0)
		err = tell(c, path, envelope, next, &a);
	free(a.base);
	return err;
}

/* ---- show, publish, update ---- */

int cmd_root_show(struct ctl *c)
{
	struct arena a = arena_new(ARENA_BYTES);
	struct buf out = { 0 };
	const Pb__Root *root = NULL;
	struct bytes envelope;
	int err = ctl_root(c);

	if (err == 0 && c->args.words.n == 0)
		root = c->root->root;
	else if (err == 0)
		err = draftfile_read(c, c->args.words.v[0], &a, &envelope, &root);
	if (err == 0) {
		root_line(&out, &c->term, root, clock_ms() / 1000);
		buf_str(&out, "\n\n");
		root_keys(&out, &c->term, root);
	}
	if (err == 0 && c->args.words.n > 0 && root->version == c->root->root->version + 1) {
		buf_str(&out, "\n");
		root_difference(&out, &c->term, c->root->root, root);
		buf_str(&out, "Signatures for the root\n");
		(void)put_state(c, &out, envelope, root, &a); /* it is shown, not judged */
	}
	free(a.base);
	if (err != 0)
		buf_release(&out);
	return err != 0 ? err : ctl_print(&out);
}

static int publish(struct ctl *c, struct bytes envelope, const Pb__Root *next)
{
	struct buf out = { 0 };
	struct reply r;
	int err;

	c->next = "huiductl root show FILE; huiductl root update";
	err = ctl_send(c, envelope, &r);
	if (err != 0)
		return err;
	err = rootfile_write(c->context.root, envelope);
	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " root %llu is in force   log size %llu\n",
		(unsigned long long)next->version, (unsigned long long)r.m->checkpoint->size);
	if (r.m->text != NULL)
		buf_printf(&out, "  %s\n", r.m->text);
	reply_release(&r);
	if (err != 0) {
		buf_release(&out);
		return fail(exit_of(err), "huiductl root update",
			"root %llu is in force, but %s cannot be written: %s",
			(unsigned long long)next->version, c->context.root, err_str(err));
	}
	buf_printf(&out,
		"  %s has followed; phones follow at their next poll\n"
		"Next: huiductl doctor; others type huiductl root update\n",
		c->context.root);
	return ctl_print(&out);
}

int cmd_root_publish(struct ctl *c)
{
	struct arena a = arena_new(ARENA_BYTES);
	const Pb__Root *next = NULL;
	struct bytes envelope;
	struct buf state = { 0 };
	int fault, err = ctl_root(c);

	if (err == 0)
		err = load(c, &a, &envelope, &next);
	if (err == 0)
		err = check(c, next);
	if (err == 0 && root_next(crypto_openssl(), c->root->root, envelope, &a, &fault) == NULL) {
		(void)put_state(c, &state, envelope, next, &a); /* root_next() has judged */
		err = fail(exit_of(fault), "huiductl root sign FILE --key NAME.root.pem",
			"%s: %s\n%.*s", c->args.words.v[0], err_str(fault),
			(int)(state.len > 0 ? state.len - 1 : 0), buf_text(&state));
	}
	if (err == 0)
		err = publish(c, envelope, next);
	buf_release(&state);
	free(a.base);
	return err;
}

int cmd_root_update(struct ctl *c)
{
	struct buf out = { 0 };
	unsigned steps = 0;
	int err = ctl_root(c);

	if (err != 0)
		return err;
	err = root_update(c, &steps);
	if (err > -1000 && err != 0) {
		const struct reply none = { 0 };
		return ctl_explain(c, err, &none);
	}
	if (err != 0)
		return fail(exit_of(err), "ask a person of the root role: this must not happen",
			"the server's roots do not follow root %llu: %s",
			(unsigned long long)c->root->root->version, err_str(err));
	put(&out, &c->term, STYLE_GOOD, "%s ", icon(&c->term, ICON_DONE));
	root_line(&out, &c->term, c->root->root, clock_ms() / 1000);
	buf_printf(&out, "\n  %s\nNext: huiductl key list\n",
		steps > 0 ? "newer than the one here was; each step signed by the one before"
			  : "it is the newest; nothing was changed");
	return ctl_print(&out);
}
