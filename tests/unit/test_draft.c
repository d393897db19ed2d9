/* SPDX-License-Identifier: Apache-2.0 */
/* Roots in the making, and public keys as files. */
#include "unit.h"

#include <errno.h>

#include "proto/root.h"
#include "server/base/file.h"
#include "server/trust/ceremony.h"
#include "server/trust/draft.h"
#include "server/trust/pubfile.h"
#include "server/trust/rootfile.h"
#include "tmpdir.h"

static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };

struct world {
	struct rootfile *file;
	struct draft d;
	Pb__Key key; /* one nobody has */
	uint8_t public[PUBLIC_MAX], id[SHA256_LEN];
};

static void open_world(struct world *w, const char *profile)
{
	struct ceremony c = { "demo", profile_find(profile), people, 1800000000, false };
	struct crypto_key *key;

	assert_int_equal(ceremony_hold(&c, tmpdir), 0);
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &w->file), 0);
	assert_int_equal(draft_copy(&w->d, w->file->root), 0);
	assert_int_equal(crypto_key_generate(KEY_ED25519, &key), 0);
	key_entry(key, "dave", false, w->public, &w->key);
	crypto_key_free(key);
	assert_int_equal(envelope_keyid(crypto_openssl(), &w->key, w->id), 0);
}

static void close_world(struct world *w)
{
	draft_release(&w->d);
	rootfile_free(w->file);
}

static unsigned rights(const Pb__Root *root, const uint8_t id[SHA256_LEN])
{
	unsigned kinds = 0;

	for (size_t i = 0; i < root->n_admins; i++)
		for (size_t k = 0; k < root->admins[i]->n_keyids; k++)
			if (bytes_eq(wire_bytes(root->admins[i]->keyids[k]),
				    bytes_of(id, SHA256_LEN)))
				kinds |= 1u << root->admins[i]->kind;
	return kinds;
}

#define READS    (1u << PB__ADMIN_KIND__ADMIN_OBSERVER)
#define SEATS    (1u << PB__ADMIN_KIND__ADMIN_TESTER_MANAGER)
#define RELEASES (1u << PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER)
#define APPROVES (1u << PB__ADMIN_KIND__ADMIN_APPROVER)

/* Each role: what its key may order, and whether it can be given and taken. */
static void test_add_and_drop(void **state)
{
	static const struct {
		enum key_role role;
		unsigned rights;
		bool one_place; /* the log's: taken */
	} row[] = {
		{ KEY_ROOT, 0, false },
		{ KEY_RELEASE, RELEASES | SEATS, false },
		{ KEY_APPROVER, APPROVES, false },
		{ KEY_TESTER, SEATS, false },
		{ KEY_OBSERVER, READS, false },
		{ KEY_DIRECTOR, 0, false },
		{ KEY_SNAPSHOT, 0, false },
		{ KEY_TIMESTAMP, 0, false },
		{ KEY_LOG, 0, true },
	};
	struct world w;

	(void)state;
	open_world(&w, "team");
	for (size_t i = 0; i < COUNT(row); i++) {
		struct held_key held = { 0 };
		size_t n = w.d.root->n_keys;
		if (row[i].one_place) {
			assert_int_equal(draft_add(&w.d, row[i].role, &w.key, NULL), ERR_EXISTS);
			draft_clear(&w.d, row[i].role);
			n--;
		}
		assert_int_equal(draft_add(&w.d, row[i].role, &w.key, NULL), 0);
		assert_int_equal(draft_add(&w.d, row[i].role, &w.key, NULL), ERR_EXISTS);
		assert_int_equal(w.d.root->n_keys, n + 1);
		assert_int_equal(rights(w.d.root, w.id), row[i].rights);
		memcpy(held.id, w.id, SHA256_LEN);
		for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
			assert_int_equal(key_is_in(&held, w.d.root, (enum key_role)r),
				r == row[i].role ||
					(r == KEY_TESTER && row[i].role == KEY_RELEASE));
		assert_int_equal(root_check(crypto_openssl(), w.d.root), 0);
		if (row[i].one_place)
			continue;
		assert_true(draft_drop(&w.d, row[i].role, w.id));
		assert_false(draft_drop(&w.d, row[i].role, w.id));
		assert_int_equal(w.d.root->n_keys, n);
		assert_int_equal(rights(w.d.root, w.id), 0);
	}
	close_world(&w);
}

/* A key signs for one role; but a release key may be told to read, and keeps its role when not. */
static void test_one_role(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "team");
	assert_int_equal(draft_add(&w.d, KEY_RELEASE, &w.key, NULL), 0);
	assert_int_equal(draft_add(&w.d, KEY_APPROVER, &w.key, NULL), ERR_EXISTS);
	assert_int_equal(draft_add(&w.d, KEY_LOG, &w.key, NULL), ERR_EXISTS);
	assert_int_equal(draft_add(&w.d, KEY_OBSERVER, &w.key, NULL), 0);
	assert_int_equal(rights(w.d.root, w.id), RELEASES | SEATS | READS);
	assert_true(draft_drop(&w.d, KEY_OBSERVER, w.id));
	assert_int_equal(rights(w.d.root, w.id), RELEASES | SEATS);
	assert_int_equal(w.d.root->targets->n_keyids, 4);
	close_world(&w);
}

static void test_scope(void **state)
{
	const char *const products[] = { "phone-a" };
	const uint32_t rings[] = { 0, 1 };
	const struct draft_scope scope = { products, 1, rings, 2 };
	struct world w;
	const Pb__AdminRole *r;
	size_t n;

	(void)state;
	open_world(&w, "team");
	n = w.d.root->n_admins;
	assert_int_equal(draft_add(&w.d, KEY_APPROVER, &w.key, &scope), 0);
	assert_int_equal(w.d.root->n_admins, n + 1);
	r = w.d.root->admins[n];
	assert_int_equal(r->kind, PB__ADMIN_KIND__ADMIN_APPROVER);
	assert_int_equal(r->n_keyids, 1);
	assert_int_equal(r->n_products, 1);
	assert_string_equal(r->products[0], "phone-a");
	assert_int_equal(r->n_rings, 2);
	assert_int_equal(r->rings[1], 1);
	assert_true(draft_drop(&w.d, KEY_APPROVER, w.id));
	assert_int_equal(w.d.root->n_admins, n);
	close_world(&w);
}

/* An older root says nothing of rights: the copy says what it means. */
static void test_older_root(void **state)
{
	struct world w;
	struct draft again;

	(void)state;
	open_world(&w, "team");
	w.d.root->n_admins = 0;
	assert_int_equal(draft_copy(&again, w.d.root), 0);
	assert_int_equal(rights(again.root, again.root->targets->keyids[2].data), RELEASES | SEATS);
	assert_int_equal(rights(again.root, again.root->approver->keyids[0].data), APPROVES);
	assert_int_equal(rights(again.root, again.root->root->keyids[0].data), 0);
	draft_release(&again);
	close_world(&w);
}

/* All keys of a role go, those of others stay; what is then missing is seen. */
static void test_clear(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "maker");
	draft_clear(&w.d, KEY_RELEASE);
	assert_int_equal(w.d.root->targets->n_keyids, 0);
	assert_int_equal(w.d.root->approver->n_keyids, 4);
	assert_int_equal(w.d.root->n_keys, w.file->root->n_keys - 3);
	assert_int_equal(root_check(crypto_openssl(), w.d.root), ERR_BAD_ROOT);
	draft_clear(&w.d, KEY_LOG);
	assert_int_equal(w.d.root->log->log_keyid.len, 0);
	close_world(&w);
}

/* A root has room for 64 keys on the wire; the draft says so rather than grow past its memory. */
static void test_many(void **state)
{
	struct world w;
	int err = 0;

	(void)state;
	open_world(&w, "solo");
	for (unsigned i = 0; err == 0 && i < 5000; i++) {
		w.public[0] = (uint8_t)i;
		w.public[1] = (uint8_t)(i >> 8);
		err = draft_add(&w.d, KEY_OBSERVER, &w.key, NULL);
	}
	assert_int_equal(err, ERR_NO_ROOM);
	assert_int_equal(root_check(crypto_openssl(), w.d.root), ERR_BAD_ROOT);
	close_world(&w);
}

static void test_pubfile(void **state)
{
	static const char *const bad[] = { "", "# only a comment\n", "AAAA\n",
		"not base64 at all\n", "CAESIQ==\n" };
	uint8_t memory[4096], id[SHA256_LEN];
	struct world w;
	const Pb__Key *key;

	(void)state;
	open_world(&w, "solo");
	w.key.has_demo = w.key.demo = true;
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.key, w.id), 0);
	assert_int_equal(pubfile_write(tmpdir_path("dave.root.pub"), &w.key, KEY_ROOT), 0);
	assert_int_equal(pubfile_write(tmpdir_path("dave.root.pub"), &w.key, KEY_ROOT), -EEXIST);
	struct arena a = { memory, sizeof(memory), 0 };
	assert_int_equal(pubfile_read(tmpdir_path("dave.root.pub"), &a, &key), 0);
	assert_string_equal(key->name, "dave");
	assert_true(key->demo);
	assert_int_equal(envelope_keyid(crypto_openssl(), key, id), 0);
	assert_memory_equal(id, w.id, SHA256_LEN);
	assert_int_equal(pubfile_read(tmpdir_path("none.pub"), &a, &key), -ENOENT);
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(file_replace(tmpdir_path("bad.pub"), bytes_str(bad[i]), 0600), 0);
		assert_int_equal(pubfile_read(tmpdir_path("bad.pub"), &a, &key), ERR_BAD_KEY);
	}
	close_world(&w);
}

static void test_role_names(void **state)
{
	enum key_role role;

	(void)state;
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		assert_true(key_role_find(key_role_str((enum key_role)r), &role));
		assert_int_equal(role, r);
	}
	assert_false(key_role_find("boss", &role));
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_add_and_drop),
		IN_TMPDIR(test_one_role),
		IN_TMPDIR(test_scope),
		IN_TMPDIR(test_older_root),
		IN_TMPDIR(test_clear),
		IN_TMPDIR(test_many),
		IN_TMPDIR(test_pubfile),
		cmocka_unit_test(test_role_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
