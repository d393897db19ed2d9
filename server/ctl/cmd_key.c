/* SPDX-License-Identifier: Apache-2.0 */
/* key create, show, list: no server is asked, so that keys are made where they stay. */
#include <errno.h>
#include <unistd.h>

#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/ctl/cmds.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"
#include "server/trust/ceremony.h"
#include "server/trust/pubfile.h"

#define KEY_ARENA 65536u

/* ---- create ---- */

struct pair {
	char *pem, *pub;
};

static int make(struct ctl *c, const char *person, enum key_role role, const struct pair *path)
{
	struct crypto_key *key = NULL;
	uint8_t public[PUBLIC_MAX];
	Pb__Key entry;
	int err = access(path->pub, F_OK) == 0 ? -EEXIST : 0;

	if (err == 0)
		err = crypto_key_generate(KEY_ED25519, &key);
	if (err == 0)
		err = crypto_key_save(key, path->pem);
	if (err == 0) {
		key_entry(key, person, c->args.demo == FLAG_YES, public, &entry);
		err = pubfile_write(path->pub, &entry, role);
	}
	crypto_key_free(key);
	if (err == -EEXIST)
		return fail(EXIT_CONFLICT, "huiductl key show FILE; or -o ANOTHER-DIR",
			"%s or its .pub is there already: nothing was made", path->pem);
	return err == 0 ? 0 : fail(exit_of(err), NULL, "%s: %s", path->pem, err_str(err));
}

static int tell_made(struct ctl *c, enum key_role role, const struct pair *path)
{
	bool online = role >= KEY_ONLINE_FIRST;
	struct arena a = arena_new(KEY_ARENA);
	const Pb__Key *key = NULL;
	struct buf out = { 0 };
	int err = pubfile_read(path->pub, &a, &key);

	if (err != 0) {
		free(a.base);
		return fail(exit_of(err), NULL, "%s: %s", path->pub, err_str(err));
	}
	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " key %s, role %s%s\n  %s   %s\n  %s   give this one away\n",
		key_label(key).id, key_role_str(role), key->demo ? ", demo" : "", path->pem,
		online ? "secret: goes into the server's online folder"
		       : "secret: stays with its person, offline",
		path->pub);
	buf_printf(&out, "Next: huiductl root %s %s --role %s\n", online ? "rotate" : "add",
		path->pub, key_role_str(role));
	free(a.base);
	return ctl_print(&out);
}

int cmd_key_create(struct ctl *c)
{
	const char *person = c->args.words.v[0];
	const char *folder = c->args.out != NULL ? c->args.out : ".";
	enum key_role role = KEY_ROOT;
	struct pair path;
	int err = role_arg(c, c->args.role, &role);

	if (err == 0 && !person_is_valid(person))
		err = fail(EXIT_USAGE, "huiductl key create alice --role approver",
			"'%s': a-z, 0-9, '-', '_', at most 32", person);
	if (err != 0)
		return err;
	path.pem = key_path(folder, person, role);
	path.pub = mem_printf("%.*spub", (int)strlen(path.pem) - 3, path.pem);
	err = make(c, person, role, &path);
	if (err == 0)
		err = tell_made(c, role, &path);
	free(path.pem);
	free(path.pub);
	return err;
}

/* ---- show ---- */

static const char *scheme_str(const Pb__Key *key)
{
	return key->scheme == KEY_ED25519 ? "ed25519" : key->scheme == KEY_P256 ? "p256" : "?";
}

static void put_key(struct ctl *c, struct buf *out, const Pb__Key *key)
{
	char hex[2 * SHA256_LEN + 1] = "?";
	uint8_t id[SHA256_LEN];

	if (envelope_keyid(crypto_openssl(), key, id) == 0)
		(void)hex_encode(hex, id, SHA256_LEN);
	buf_printf(out, "Key        %s\nScheme     %s\nName       %s\n", hex, scheme_str(key),
		key->name != NULL ? key->name : "none");
	if (key->demo)
		put(out, &c->term, STYLE_WARN, "Demo       yes: production refuses it\n");
	else
		buf_str(out, "Demo       no\n");
}

/* The root in force here, when there is one. */
static const Pb__Root *root_here(struct ctl *c)
{
	char *file = context_find(c->args.context);
	const Pb__Root *root = NULL;

	if (file != NULL && ctl_root(c) == 0)
		root = c->root->root;
	free(file);
	return root;
}

static void put_roles(struct ctl *c, struct buf *out, const Pb__Key *key)
{
	const Pb__Root *root = root_here(c);
	struct held_key held = { .entry = key };
	unsigned n = 0;

	if (root == NULL || envelope_keyid(crypto_openssl(), key, held.id) != 0)
		return;
	buf_printf(out, "Root %-5llu ", (unsigned long long)root->version);
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
		if (key_is_in(&held, root, (enum key_role)r))
			buf_printf(
				out, "%s%s", n++ > 0 ? ", " : "", key_role_str((enum key_role)r));
	buf_str(out, n > 0 ? "\n" : "does not know it\n");
}

/* A private key file says neither name nor mark: the root, or the .pub beside it, does. */
static int show_pem(struct ctl *c, const char *path, const struct crypto_key *key, struct buf *out)
{
	const Pb__Root *root = root_here(c);
	struct arena a = arena_new(KEY_ARENA);
	struct held_key held = { 0 };
	size_t n = strlen(path);
	char *pub = mem_printf("%.*s.pub", (int)(n > 4 ? n - 4 : n), path);
	const Pb__Key *entry = NULL;
	uint8_t public[PUBLIC_MAX];
	Pb__Key bare;

	buf_printf(out, "%s is a private key: keep it offline\n", path);
	if (root != NULL && key_find(root, key, &held) == 0)
		entry = held.entry;
	else if (pubfile_read(pub, &a, &entry) != 0)
		entry = NULL;
	key_entry(key, NULL, false, public, &bare);
	if (entry != NULL && bytes_eq(wire_bytes(entry->public_key), wire_bytes(bare.public_key))) {
		put_key(c, out, entry);
		put_roles(c, out, entry);
	} else {
		buf_printf(out,
			"Scheme     %s\nIts id is not known here: neither the root nor %s "
			"names it\n",
			scheme_str(&bare), pub);
	}
	free(pub);
	free(a.base);
	return ctl_print(out);
}

static int show_root(struct ctl *c, const char *path)
{
	struct rootfile *r = NULL;
	struct buf out = { 0 };
	int err = rootfile_read(path, &r);

	if (err != 0)
		return fail(exit_of(err), "huiductl key show NAME.ROLE.pub",
			"%s: no key and no signed root: %s", path, err_str(err));
	root_line(&out, &c->term, r->root, clock_ms() / 1000);
	buf_str(&out, "\n\n");
	root_keys(&out, &c->term, r->root);
	rootfile_free(r);
	return ctl_print(&out);
}

int cmd_key_show(struct ctl *c)
{
	const char *path = c->args.words.v[0];
	struct arena a = arena_new(KEY_ARENA);
	struct crypto_key *pem = NULL;
	const Pb__Key *key = NULL;
	struct buf out = { 0 };
	int err;

	if (pubfile_read(path, &a, &key) == 0) {
		put_key(c, &out, key);
		put_roles(c, &out, key);
		err = ctl_print(&out);
	} else if (crypto_key_load(path, &pem) == 0) {
		err = show_pem(c, path, pem, &out);
	} else {
		err = show_root(c, path);
	}
	crypto_key_free(pem);
	free(a.base);
	return err;
}

/* ---- list ---- */

static void role_json(struct json *j, const Pb__Root *root, enum key_role role)
{
	json_object(j, NULL);
	json_str(j, "role", key_role_str(role));
	if (key_role_of(root, role) != NULL)
		json_u64(j, "threshold", key_role_of(root, role)->threshold);
	json_array(j, "keys");
	for (size_t i = 0; i < root->n_keys; i++) {
		struct held_key held = { .entry = root->keys[i] };
		if (envelope_keyid(crypto_openssl(), held.entry, held.id) != 0 ||
			!key_is_in(&held, root, role))
			continue;
		json_object(j, NULL);
		json_str(j, "name", held.entry->name != NULL ? held.entry->name : "");
		json_hex(j, "keyid", bytes_of(held.id, SHA256_LEN));
		json_bool(j, "demo", held.entry->demo);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

static void list_json(struct buf *out, const Pb__Root *root)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.keys/1");
	json_str(&j, "repository", root->repository);
	json_u64(&j, "root_version", root->version);
	json_str(&j, "profile", root->profile);
	json_time(&j, "expires", root->expires * 1000);
	json_array(&j, "roles");
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
		role_json(&j, root, (enum key_role)r);
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

int cmd_key_list(struct ctl *c)
{
	struct buf out = { 0 };
	int err = ctl_root(c);

	if (err != 0)
		return err;
	if (ctl_json(c)) {
		list_json(&out, c->root->root);
		return ctl_print(&out);
	}
	root_line(&out, &c->term, c->root->root, clock_ms() / 1000);
	buf_str(&out, "\n\n");
	root_keys(&out, &c->term, c->root->root);
	buf_str(&out, "\nNext: huiductl doctor\n");
	return ctl_print(&out);
}
