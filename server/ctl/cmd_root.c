/* SPDX-License-Identifier: Apache-2.0 */
/* root add, revoke, threshold, rotate, renew, profile: they write the next root, for people to sign. */
#include <stdio.h>

#include "proto/root.h"
#include "server/base/text.h"
#include "server/core/ring.h"
#include "server/ctl/cmds.h"
#include "server/ctl/draftfile.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"
#include "server/trust/ceremony.h"
#include "server/trust/pubfile.h"

#define KEY_ARENA 65536u
#define ID_DIGITS 8u /* of a key id, so that nobody hits another's by chance */
#define RINGS_MAX RING__COUNT

int role_arg(struct ctl *c, const char *word, enum key_role *out)
{
	const char *names[KEY_ROLE__COUNT + 1] = { NULL }, *near;
	char *next;
	int code;

	if (word != NULL && key_role_find(word, out))
		return 0;
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
		names[r] = key_role_str((enum key_role)r);
	near = word != NULL ? text_nearest(word, names) : NULL;
	next = mem_printf(
		"%s ... --role %s", command_str(c->command).s, near != NULL ? near : "ROLE");
	code = fail(EXIT_USAGE, next,
		"%s%s%s: root, release, approver, tester, observer, director,\n"
		"  snapshot, timestamp or log",
		word != NULL ? "no role '" : "--role is missing", word != NULL ? word : "",
		word != NULL ? "'" : "");
	free(next);
	return code;
}

/* ---- add, rotate ---- */

static int read_scope(struct ctl *c, uint32_t rings[RINGS_MAX], struct draft_scope *out)
{
	const struct arg_list *list = &c->args.rings;

	*out = (struct draft_scope){ c->args.products.v, c->args.products.n, rings, 0 };
	for (size_t i = 0; i < list->n; i++) {
		enum ring ring;
		if (out->n_rings == RINGS_MAX || !ring_parse(list->v[i], &ring))
			return fail(EXIT_USAGE, "--ring core, honour, dev or stable",
				"--ring '%s': no such ring", list->v[i]);
		rings[out->n_rings++] = (uint32_t)ring;
	}
	return 0;
}

static int add_one(
	struct draftfile *f, enum key_role role, const char *path, const struct draft_scope *scope)
{
	struct arena a = arena_new(KEY_ARENA);
	const Pb__Key *key = NULL;
	int err = pubfile_read(path, &a, &key);

	if (err != 0)
		err = fail(exit_of(err), "huiductl key create PERSON --role ROLE, which makes one",
			"%s: %s", path,
			err == ERR_BAD_KEY ? "no public key file (NAME.ROLE.pub)" : err_str(err));
	else
		err = draft_add(&f->d, role, key, scope);
	if (err == ERR_EXISTS)
		err = fail(EXIT_CONFLICT, "huiductl key list; huiductl root rotate, to replace it",
			"%s: this key, or the one place for it, is taken: a key signs for one role",
			path);
	else if (err < 0)
		err = fail(exit_of(err), NULL, "%s: %s", path, err_str(err));
	free(a.base);
	return err;
}

static int add_all(struct ctl *c, bool instead)
{
	uint32_t rings[RINGS_MAX];
	struct draft_scope scope;
	struct draftfile f = { 0 };
	enum key_role role = KEY_ROOT;
	int err = role_arg(c, c->args.role, &role);

	if (err == 0)
		err = read_scope(c, rings, &scope);
	if (err != 0)
		return err;
	err = draftfile_open(c, &f);
	if (err == 0 && instead)
		draft_clear(&f.d, role);
	for (size_t i = 0; err == 0 && i < c->args.words.n; i++)
		err = add_one(&f, role, c->args.words.v[i], &scope);
	if (err == 0)
		err = draftfile_save(c, &f);
	draftfile_release(&f);
	return err;
}

int cmd_root_add(struct ctl *c)
{
	return add_all(c, false);
}

int cmd_root_rotate(struct ctl *c)
{
	return add_all(c, true);
}

/* ---- revoke ---- */

static bool is_meant(const Pb__Key *key, const char *word)
{
	struct key_label label = key_label(key);
	size_t n = strlen(word);

	if (key->name != NULL && strcmp(key->name, word) == 0)
		return true;
	return n >= ID_DIGITS && n <= KEY_ID_SHOWN && strncmp(label.id, word, n) == 0;
}

static unsigned revoke(struct draftfile *f, const char *word, unsigned roles)
{
	unsigned n = 0;

	for (size_t i = f->d.root->n_keys; i-- > 0;) {
		const Pb__Key *key = f->d.root->keys[i];
		uint8_t id[SHA256_LEN];
		if (!is_meant(key, word) || envelope_keyid(crypto_openssl(), key, id) != 0)
			continue;
		for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
			n += (roles >> r & 1) && draft_drop(&f->d, (enum key_role)r, id);
	}
	return n;
}

int cmd_root_revoke(struct ctl *c)
{
	const char *word = c->args.words.v[0];
	struct draftfile f;
	enum key_role role;
	unsigned roles = ~0u;
	int err = 0;

	if (c->args.role != NULL) {
		err = role_arg(c, c->args.role, &role);
		if (err != 0)
			return err;
		roles = 1u << role;
	}
	err = draftfile_open(c, &f);
	if (err == 0 && revoke(&f, word, roles) == 0)
		err = fail(EXIT_NOT_FOUND, "huiductl key list",
			"'%s' is no person and no key id of the root%s%s", word,
			c->args.role != NULL ? " with role " : "",
			c->args.role != NULL ? c->args.role : "");
	if (err == 0)
		err = draftfile_save(c, &f);
	draftfile_release(&f);
	return err;
}

/* ---- threshold, renew, profile ---- */

int cmd_root_threshold(struct ctl *c)
{
	struct draftfile f;
	enum key_role role = KEY_ROOT;
	Pb__Role *r;
	uint64_t n;
	int err = role_arg(c, c->args.words.v[0], &role);

	if (err != 0)
		return err;
	if (!text_u64(c->args.words.v[1], &n) || n == 0 || n > ENVELOPE_SIGNATURES_MAX)
		return fail(EXIT_USAGE, "huiductl root threshold ROLE N", "'%s': 1 to %u",
			c->args.words.v[1], ENVELOPE_SIGNATURES_MAX);
	err = draftfile_open(c, &f);
	if (err == 0) {
		Pb__Root *root = f.d.root;
		r = role == KEY_ROOT           ? root->root
			: role == KEY_RELEASE  ? root->targets
			: role == KEY_APPROVER ? root->approver
					       : NULL;
		if (r == NULL)
			err = fail(EXIT_USAGE, "huiductl root threshold root|release|approver N",
				"role %s takes one key, always", key_role_str(role));
		else
			r->threshold = (uint32_t)n;
	}
	if (err == 0)
		err = draftfile_save(c, &f);
	draftfile_release(&f);
	return err;
}

int cmd_root_renew(struct ctl *c)
{
	struct draftfile f;
	int err = draftfile_open(c, &f);

	if (err == 0)
		err = draftfile_save(c, &f);
	draftfile_release(&f);
	return err;
}

/* People, not keys: two keys of one person are one. */
static unsigned people_in(const Pb__Root *root, const Pb__Role *role)
{
	struct key_label seen[ENVELOPE_SIGNATURES_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < role->n_keyids && n < ENVELOPE_SIGNATURES_MAX; i++) {
		struct key_label label =
			key_label(root_key(crypto_openssl(), root, wire_bytes(role->keyids[i])));
		bool again = false;
		for (unsigned k = 0; k < n; k++)
			again |= strcmp(seen[k].name, label.name) == 0;
		if (!again)
			seen[n++] = label;
	}
	return n;
}

static unsigned profile_lacks(struct buf *out, const struct profile *p, const Pb__Root *root)
{
	unsigned lacking = 0;

	for (unsigned r = KEY_ROOT; r <= KEY_APPROVER; r++) {
		unsigned has = people_in(root, key_role_of(root, (enum key_role)r));
		const char *word = key_role_str((enum key_role)r);
		if (has >= p->role[r].n)
			continue;
		buf_printf(out,
			"  %s: keys of %u people, has %u: huiductl root add PUB --role %s\n", word,
			p->role[r].n, has, word);
		lacking += p->role[r].n - has;
	}
	return lacking;
}

int cmd_root_profile(struct ctl *c)
{
	const struct profile *p = profile_find(c->args.words.v[0]);
	struct buf lacks = { 0 };
	struct draftfile f;
	int err;

	if (p == NULL)
		return fail(EXIT_USAGE, "huiductl root profile solo|team|maker", "no profile '%s'",
			c->args.words.v[0]);
	err = draftfile_open(c, &f);
	if (err == 0 && profile_lacks(&lacks, p, f.d.root) > 0)
		err = fail(EXIT_REFUSED, "huiductl key create PERSON --role ROLE, for each of them",
			"profile %s (%s) lacks\n%.*s", p->name, p->sentence,
			(int)(lacks.len > 0 ? lacks.len - 1 : 0), buf_text(&lacks));
	if (err == 0) {
		profile_set(p, f.d.root);
		err = draftfile_save(c, &f);
	}
	buf_release(&lacks);
	draftfile_release(&f);
	return err;
}
