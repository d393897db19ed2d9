/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a root, and what makes it the next one. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "failing.h"
#include "proto/root.h"
#include "tests/fuzz/world.h"

enum { ROOT1, ROOT2, ROOT3, STAMP, SNAP, REL1, REL2, DIR, APP1, APP2, LOG, SPARE, KEYS };
#define ROLES 6u

/* A root of the profile team; each case changes one thing of a fresh one. */
struct fixture {
	struct crypto_key *key[KEYS];
	uint8_t public_key[ROOT_KEYS_MAX + 1][PUBLIC_MAX], id[KEYS][SHA256_LEN];
	Pb__Key entry[ROOT_KEYS_MAX + 1], *entries[ROOT_KEYS_MAX + 1];
	ProtobufCBinaryData ids[KEYS];
	Pb__Role role[ROLES];
	Pb__AdminRole admin, *admins[1];
	uint32_t rings[2];
	Pb__Witness witness[2], *witnesses[2];
	Pb__LogPolicy log;
	Pb__Root root;
	uint8_t memory[1 << 18];
	struct arena arena;
};

static Pb__Role role_of(struct fixture *f, uint32_t threshold, unsigned first, size_t n)
{
	Pb__Role r = PB__ROLE__INIT;

	r.threshold = threshold;
	r.keyids = &f->ids[first];
	r.n_keyids = n;
	return r;
}

static void make_keys(struct fixture *f)
{
	for (unsigned i = 0; i < KEYS; i++) {
		Pb__Key *e = &f->entry[i];
		if (f->key[i] == NULL)
			f->key[i] = i == ROOT2 ? world_p256() : world_key((uint8_t)i);
		*e = (Pb__Key)PB__KEY__INIT;
		e->scheme = (uint32_t)crypto_key_scheme(f->key[i]);
		e->public_key =
			wire_data(f->public_key[i], crypto_key_public(f->key[i], f->public_key[i]));
		assert_int_equal(envelope_keyid(crypto_openssl(), e, f->id[i]), 0);
		f->ids[i] = wire_data(f->id[i], SHA256_LEN);
		f->entries[i] = e;
	}
}

static void make_log(struct fixture *f)
{
	static const char *const names[] = { "one.example", "two.example" };

	for (unsigned i = 0; i < 2; i++) {
		f->witness[i] = (Pb__Witness)PB__WITNESS__INIT;
		f->witness[i].name = names[i];
		f->witness[i].public_key = f->entry[REL1 + i].public_key;
		f->witnesses[i] = &f->witness[i];
	}
	f->log = (Pb__LogPolicy)PB__LOG_POLICY__INIT;
	f->log.origin = "example.org/log";
	f->log.log_keyid = f->ids[LOG];
	f->log.witnesses = f->witnesses;
	f->log.n_witnesses = 2;
	f->log.witness_threshold = 2;
}

static void make_admins(struct fixture *f)
{
	f->rings[0] = 0;
	f->rings[1] = 3;
	f->admin = (Pb__AdminRole)PB__ADMIN_ROLE__INIT;
	f->admin.kind = PB__ADMIN_KIND__ADMIN_APPROVER;
	f->admin.keyids = &f->ids[APP1];
	f->admin.n_keyids = 2;
	f->admin.rings = f->rings;
	f->admin.n_rings = 2;
	f->admins[0] = &f->admin;
}

static void make(struct fixture *f)
{
	f->arena = (struct arena){ f->memory, sizeof(f->memory), 0 };
	make_keys(f);
	make_log(f);
	make_admins(f);
	f->root = (Pb__Root)PB__ROOT__INIT;
	f->root.spec_version = 1;
	f->root.version = 1;
	f->root.expires = 2000000000;
	f->root.repository = "example";
	f->root.profile = "team";
	f->root.keys = f->entries;
	f->root.n_keys = KEYS;
	f->role[0] = role_of(f, 2, ROOT1, 3);
	f->role[1] = role_of(f, 1, STAMP, 1);
	f->role[2] = role_of(f, 1, SNAP, 1);
	f->role[3] = role_of(f, 2, REL1, 2);
	f->role[4] = role_of(f, 1, DIR, 1);
	f->role[5] = role_of(f, 2, APP1, 2);
	f->root.root = &f->role[0];
	f->root.timestamp = &f->role[1];
	f->root.snapshot = &f->role[2];
	f->root.targets = &f->role[3];
	f->root.director = &f->role[4];
	f->root.approver = &f->role[5];
	f->root.log = &f->log;
	f->root.admins = f->admins;
	f->root.n_admins = 1;
}

static struct fixture *fresh(void)
{
	static struct fixture f;

	make(&f);
	return &f;
}

/* ---- root_check ---- */

static void nothing(struct fixture *f)
{
	(void)f;
}

static void no_log(struct fixture *f)
{
	f->root.log = NULL;
}

static void no_witness(struct fixture *f)
{
	f->log.n_witnesses = 0;
	f->log.witness_threshold = 0;
}

static void no_admins(struct fixture *f)
{
	f->root.n_admins = 0;
}

static void admin_of_role(struct fixture *f)
{
	f->admin.keyids = &f->ids[REL1]; /* who also signs builds */
}

static void other_spec(struct fixture *f)
{
	f->root.spec_version = 2;
}

static void version_0(struct fixture *f)
{
	f->root.version = 0;
}

static void no_repository(struct fixture *f)
{
	f->root.repository = "";
}

static void threshold_0(struct fixture *f)
{
	f->role[0].threshold = 0;
}

static void threshold_high(struct fixture *f)
{
	f->role[5].threshold = 3;
}

static void no_keys(struct fixture *f)
{
	f->role[1].n_keyids = 0;
}

static void unknown_key(struct fixture *f)
{
	f->id[SNAP][0] ^= 1;
}

static void short_keyid(struct fixture *f)
{
	f->ids[SNAP].len--;
}

static void key_twice_in_role(struct fixture *f)
{
	f->ids[ROOT2] = f->ids[ROOT1];
}

static void key_in_two_roles(struct fixture *f)
{
	f->role[4].keyids = &f->ids[SNAP];
}

static void log_key_in_a_role(struct fixture *f)
{
	f->log.log_keyid = f->ids[DIR];
}

static void log_key_unknown(struct fixture *f)
{
	f->log.log_keyid = f->ids[0];
	f->log.log_keyid.len = 0;
}

static void same_public_key(struct fixture *f)
{
	f->entry[SPARE].public_key = f->entry[LOG].public_key;
	f->entry[SPARE].name = "by another name";
}

static void scheme_unknown(struct fixture *f)
{
	f->entry[SPARE].scheme = 3;
}

static void ed25519_of_p256_length(struct fixture *f)
{
	f->entry[SPARE].public_key = wire_data(f->public_key[ROOT2], P256_PUBLIC_LEN);
}

static void p256_of_ed25519_length(struct fixture *f)
{
	f->entry[SPARE].scheme = KEY_P256;
}

static void long_name(struct fixture *f)
{
	static char name[300];

	memset(name, 'n', sizeof(name) - 1);
	f->entry[SPARE].name = name;
}

static void keys(struct fixture *f, size_t n)
{
	for (size_t i = KEYS; i < n; i++) {
		memset(f->public_key[i], (int)i, ED25519_PUBLIC_LEN);
		f->entry[i] = (Pb__Key)PB__KEY__INIT;
		f->entry[i].scheme = KEY_ED25519;
		f->entry[i].public_key = wire_data(f->public_key[i], ED25519_PUBLIC_LEN);
		f->entries[i] = &f->entry[i];
	}
	f->root.n_keys = n;
}

static void keys_64(struct fixture *f)
{
	keys(f, ROOT_KEYS_MAX);
}

static void keys_65(struct fixture *f)
{
	keys(f, ROOT_KEYS_MAX + 1);
}

static void admin_unknown(struct fixture *f)
{
	f->admin.keyids = &f->ids[0];
	f->admin.n_keyids = KEYS;
	f->id[SPARE][31] ^= 1;
}

static void admin_ring(struct fixture *f)
{
	f->rings[1] = 4;
}

static void witness_threshold(struct fixture *f)
{
	f->log.witness_threshold = 3;
}

static void witness_key(struct fixture *f)
{
	f->witness[1].public_key = f->entry[ROOT2].public_key;
}

static void witness_name_twice(struct fixture *f)
{
	f->witness[1].name = f->witness[0].name;
}

static void witness_key_twice(struct fixture *f)
{
	f->witness[1].public_key = f->witness[0].public_key;
}

static const struct {
	const char *why;
	void (*change)(struct fixture *f);
	int want;
} checks[] = {
	{ "as it should be", nothing, 0 },
	{ "without a log", no_log, 0 },
	{ "without witnesses", no_witness, 0 },
	{ "without admins", no_admins, 0 },
	{ "an admin who signs builds", admin_of_role, 0 },
	{ "64 keys", keys_64, 0 },
	{ "65 keys", keys_65, ERR_BAD_ROOT },
	{ "a format of tomorrow", other_spec, ERR_BAD_ROOT },
	{ "version 0", version_0, ERR_BAD_ROOT },
	{ "no repository", no_repository, ERR_BAD_ROOT },
	{ "nobody need sign", threshold_0, ERR_BAD_ROOT },
	{ "more must sign than can", threshold_high, ERR_BAD_ROOT },
	{ "a role without keys", no_keys, ERR_BAD_ROOT },
	{ "a key id that is of no key", unknown_key, ERR_BAD_ROOT },
	{ "a key id that is too short", short_keyid, ERR_BAD_ROOT },
	{ "a key twice in a role", key_twice_in_role, ERR_BAD_ROOT },
	{ "a key in two roles", key_in_two_roles, ERR_BAD_ROOT },
	{ "the log's key in a role", log_key_in_a_role, ERR_BAD_ROOT },
	{ "the log's key unknown", log_key_unknown, ERR_BAD_ROOT },
	{ "one public key under two names", same_public_key, ERR_BAD_ROOT },
	{ "a scheme of tomorrow", scheme_unknown, ERR_BAD_ROOT },
	{ "Ed25519 with the other's length", ed25519_of_p256_length, ERR_BAD_ROOT },
	{ "P-256 with the other's length", p256_of_ed25519_length, ERR_BAD_ROOT },
	{ "a key that is too long", long_name, ERR_BAD_ROOT },
	{ "an admin nobody knows", admin_unknown, ERR_BAD_ROOT },
	{ "an admin of a fifth ring", admin_ring, ERR_BAD_ROOT },
	{ "more witnesses than there are", witness_threshold, ERR_BAD_ROOT },
	{ "a witness with P-256", witness_key, ERR_BAD_ROOT },
	{ "two witnesses of one name", witness_name_twice, ERR_BAD_ROOT },
	{ "two witnesses with one key", witness_key_twice, ERR_BAD_ROOT },
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(checks); i++) {
		struct fixture *f = fresh();
		int err;
		checks[i].change(f);
		err = root_check(crypto_openssl(), &f->root);
		if (err != checks[i].want)
			fail_msg("%s: %s", checks[i].why, err_name(err));
	}
}

/* A library that fails says nothing about the root. */
static void test_crypto_fails(void **state)
{
	struct fixture *f = fresh();
	struct failing failing;

	(void)state;
	for (unsigned n = 0; n < KEYS; n++) {
		failing_after(&failing, n);
		assert_int_equal(root_check(&failing.hooks, &f->root), ERR_CRYPTO);
		failing_after(&failing, n);
		assert_true(
			(root_key(&failing.hooks, &f->root, wire_bytes(f->ids[KEYS - 1])) == NULL));
	}
	failing_after(&failing, KEYS);
	assert_int_equal(root_check(&failing.hooks, &f->root), 0);
}

/* ---- root_open, root_next ---- */

static struct bytes envelope(struct fixture *f, enum envelope_type type, unsigned who)
{
	struct bytes payload, out;

	assert_int_equal(wire_pack(&f->root, &f->arena, &payload), 0);
	assert_int_equal(envelope_wrap(type, payload, &f->arena, &out), 0);
	for (unsigned i = 0; i < KEYS; i++)
		if (who >> i & 1)
			assert_int_equal(
				envelope_sign(out, f->key[i], f->id[i], &f->arena, &out), 0);
	return out;
}

static int open_error(struct fixture *f, struct bytes in)
{
	int err;
	const Pb__Root *root = root_open(crypto_openssl(), in, &f->arena, &err);

	assert_int_equal(root != NULL, err == 0);
	if (root != NULL)
		assert_int_equal(root->version, f->root.version);
	return err;
}

#define BIT(key) (1u << (key))

static void test_open(void **state)
{
	struct fixture *f = fresh();
	static uint8_t big[ROOT_MAX + 1];
	struct bytes e;

	(void)state;
	/* Any two of the role's three; others do not count. */
	for (unsigned who = 0; who < 16; who++) {
		unsigned of_role = (who & 1) + (who >> 1 & 1) + (who >> 2 & 1);
		f = fresh();
		e = envelope(f, ENVELOPE_ROOT, who);
		assert_int_equal(open_error(f, e), of_role >= 2 ? 0 : ERR_BELOW_THRESHOLD);
	}
	f = fresh();
	assert_int_equal(open_error(f, envelope(f, ENVELOPE_TARGETS, 7)), ERR_WRONG_TYPE);
	assert_int_equal(open_error(f, bytes_of(big, sizeof(big))), ERR_TOO_BIG);
	assert_int_equal(open_error(f, bytes_of(big, ROOT_MAX)), ERR_MALFORMED);
	assert_int_equal(envelope_wrap(ENVELOPE_ROOT, bytes_str("x"), &f->arena, &e), 0);
	assert_int_not_equal(open_error(f, e), 0);
	/* Signed as it should be, and no root. */
	f->role[1].threshold = 2;
	assert_int_equal(open_error(f, envelope(f, ENVELOPE_ROOT, 7)), ERR_BAD_ROOT);
}

/* The next root: one version on, root keys ROOT1, ROOT2 and SPARE; its envelope signed by `who`. */
static int next_error(unsigned who, uint64_t version, const char *repository)
{
	static struct fixture now, next;
	struct bytes in;
	const Pb__Root *root;
	int err;

	make(&now);
	make(&next);
	next.ids[ROOT3] = next.ids[SPARE];
	next.root.version = version;
	next.root.repository = repository;
	in = envelope(&next, ENVELOPE_ROOT, who);
	root = root_next(crypto_openssl(), &now.root, in, &next.arena, &err);
	assert_int_equal(root != NULL, err == 0);
	for (unsigned i = 0; i < KEYS; i++) {
		crypto_key_free(next.key[i]);
		crypto_key_free(now.key[i]);
		next.key[i] = now.key[i] = NULL;
	}
	return err;
}

static void test_next(void **state)
{
	static const struct {
		unsigned who;
		uint64_t version;
		const char *repository;
		int want;
	} cases[] = {
		{ BIT(ROOT1) | BIT(ROOT2), 2, "example", 0 },
		{ BIT(ROOT1) | BIT(ROOT3) | BIT(SPARE), 2, "example", 0 },
		/* Only the old ones, only the new. */
		{ BIT(ROOT1) | BIT(ROOT3), 2, "example", ERR_BELOW_THRESHOLD },
		{ BIT(ROOT1) | BIT(SPARE), 2, "example", ERR_BELOW_THRESHOLD },
		{ BIT(ROOT1), 2, "example", ERR_BELOW_THRESHOLD },
		{ 0, 2, "example", ERR_BELOW_THRESHOLD },
		/* N to exactly N + 1. */
		{ BIT(ROOT1) | BIT(ROOT2), 1, "example", ERR_ROOT_VERSION },
		{ BIT(ROOT1) | BIT(ROOT2), 3, "example", ERR_ROOT_VERSION },
		{ BIT(ROOT1) | BIT(ROOT2), UINT64_MAX, "example", ERR_ROOT_VERSION },
		{ BIT(ROOT1) | BIT(ROOT2), 0, "example", ERR_BAD_ROOT },
		{ BIT(ROOT1) | BIT(ROOT2), 2, "another", ERR_WRONG_REPOSITORY },
		{ BIT(ROOT1) | BIT(ROOT2), 3, "another", ERR_ROOT_VERSION },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(next_error(cases[i].who, cases[i].version, cases[i].repository),
			cases[i].want);
}

/* ---- the rest ---- */

static void test_key(void **state)
{
	struct fixture *f = fresh();
	uint8_t other[SHA256_LEN] = { 0 };

	(void)state;
	for (unsigned i = 0; i < KEYS; i++)
		assert_ptr_equal(
			root_key(crypto_openssl(), &f->root, wire_bytes(f->ids[i])), &f->entry[i]);
	assert_null(root_key(crypto_openssl(), &f->root, bytes_of(other, SHA256_LEN)));
	assert_null(root_key(crypto_openssl(), &f->root, bytes_of(f->id[0], SHA256_LEN - 1)));
}

static void test_same_keys(void **state)
{
	struct fixture *f = fresh();
	ProtobufCBinaryData turned[] = { f->ids[ROOT3], f->ids[ROOT1], f->ids[ROOT2] };
	ProtobufCBinaryData other[] = { f->ids[ROOT1], f->ids[ROOT2], f->ids[SPARE] };
	Pb__Role role = f->role[0];

	(void)state;
	assert_true(root_same_keys(&f->role[0], &role));
	role.threshold = 1;
	role.keyids = turned;
	assert_true(root_same_keys(&f->role[0], &role));
	role.n_keyids = 2;
	assert_false(root_same_keys(&f->role[0], &role));
	assert_false(root_same_keys(&role, &f->role[0]));
	role.keyids = other;
	role.n_keyids = 3;
	assert_false(root_same_keys(&f->role[0], &role));
	role.n_keyids = 0;
	assert_false(root_same_keys(&f->role[0], &role));
	assert_true(root_same_keys(&role, &role));
}

static int tear_down(void **state)
{
	struct fixture *f = fresh();

	(void)state;
	for (unsigned i = 0; i < KEYS; i++)
		crypto_key_free(f->key[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_crypto_fails),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_same_keys),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
