/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proto/root.h"
#include "server/base/buf.h"
#include "server/base/file.h"
#include "server/trust/ceremony.h"
#include "server/trust/epochs.h"
#include "server/trust/rootfile.h"
#include "server/trust/tlscert.h"
#include "tmpdir.h"

#define NOW_S 1800000000ull

static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };

static void hold(const char *profile)
{
	struct ceremony c = { "demo", profile_find(profile), people, NOW_S, false };

	assert_int_equal(ceremony_hold(&c, tmpdir), 0);
}

static const struct {
	const char *profile;
	unsigned keys, root[2], release[2], approver[2]; /* threshold, number */
} want[] = {
	{ "solo", 7, { 1, 1 }, { 1, 1 }, { 1, 1 } },
	{ "team", 13, { 2, 3 }, { 2, 3 }, { 2, 3 } },
	{ "maker", 16, { 3, 5 }, { 2, 3 }, { 2, 4 } },
};

static void check_role(const Pb__Role *role, const unsigned w[2])
{
	assert_int_equal(role->threshold, w[0]);
	assert_int_equal(role->n_keyids, w[1]);
}

static void check_profile(size_t i)
{
	struct rootfile *r;
	const Pb__Root *root;
	struct stat st;

	assert_int_equal(tmpdir_make(NULL), 0);
	hold(want[i].profile);
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &r), 0);
	root = r->root;
	assert_string_equal(root->profile, want[i].profile);
	assert_string_equal(root->repository, "demo");
	assert_int_equal(root->version, 1);
	assert_int_equal(root->expires, NOW_S + 365 * 86400);
	assert_int_equal(root->n_keys, want[i].keys);
	check_role(root->root, want[i].root);
	check_role(root->targets, want[i].release);
	check_role(root->approver, want[i].approver);
	assert_string_equal(root->log->origin, "demo");
	assert_string_equal(root->keys[0]->name, "alice");
	rootfile_free(r);
	assert_int_equal(stat(tmpdir_path("keys/alice.root.pem"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(tmpdir_path("online/device.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, DEVICE_SECRET_LEN);
	assert_int_equal(tmpdir_drop(NULL), 0);
}

static void test_profiles(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(want); i++)
		check_profile(i);
	assert_null(profile_find("duo"));
}

static void test_person_names(void **state)
{
	(void)state;
	assert_true(person_is_valid("alice-2_b"));
	assert_false(person_is_valid(""));
	assert_false(person_is_valid("Alice"));
	assert_false(person_is_valid("../alice"));
	assert_false(person_is_valid("a b"));
	assert_false(person_is_valid("abcdefghijklmnopqrstuvwxyz0123456"));
}

static void test_ceremony_never_overwrites(void **state)
{
	struct ceremony c = { "demo", profile_find("solo"), people, NOW_S, false };

	(void)state;
	hold("solo");
	assert_int_equal(ceremony_hold(&c, tmpdir), -EEXIST);
}

/* No single bit of a root file can be turned without it being noticed. */
static void test_root_bit_flips(void **state)
{
	struct buf b = { 0 };
	struct rootfile *r;

	(void)state;
	hold("solo");
	assert_int_equal(file_read(tmpdir_path("root.env"), 65536, &b), 0);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		assert_true(rootfile_parse(buf_bytes(&b), &r) < 0);
		b.data[i] ^= 1;
	}
	assert_int_equal(rootfile_parse(buf_bytes(&b), &r), 0);
	rootfile_free(r);
	assert_int_equal(rootfile_parse(bytes_of(b.data, b.len - 1), &r), ERR_TRUNCATED);
	buf_release(&b);
	assert_int_equal(rootfile_read(tmpdir_path("none"), &r), -ENOENT);
}

static void test_root_rewrite(void **state)
{
	struct buf b = { 0 };
	struct rootfile *r;

	(void)state;
	hold("team");
	assert_int_equal(file_read(tmpdir_path("root.env"), 65536, &b), 0);
	assert_int_equal(rootfile_write(tmpdir_path("copy.env"), buf_bytes(&b)), 0);
	assert_int_equal(rootfile_write(tmpdir_path("copy.env"), buf_bytes(&b)), 0);
	assert_int_equal(rootfile_read(tmpdir_path("copy.env"), &r), 0);
	assert_true(bytes_eq(r->envelope, buf_bytes(&b)));
	rootfile_free(r);
	buf_release(&b);
}

/* A root whose roles make no sense, one change at a time. */
static void no_threshold(Pb__Root *r)
{
	r->approver->threshold = 0;
}

static void high_threshold(Pb__Root *r)
{
	r->approver->threshold = 4;
}

static void key_in_two_roles(Pb__Root *r)
{
	r->approver->keyids[0] = r->targets->keyids[0];
}

static void unknown_key(Pb__Root *r)
{
	r->director->keyids[0].data[0] ^= 1;
}

static void one_key_twice(Pb__Root *r)
{
	r->keys[1]->public_key = r->keys[0]->public_key;
}

static void short_key(Pb__Root *r)
{
	r->keys[0]->public_key.len = 31;
}

static void log_key_is_director(Pb__Root *r)
{
	r->log->log_keyid = r->director->keyids[0];
}

static void no_repository(Pb__Root *r)
{
	r->repository = "";
}

static void test_root_check(void **state)
{
	static void (*const broken[])(Pb__Root *) = { no_threshold, high_threshold,
		key_in_two_roles, unknown_key, one_key_twice, short_key, log_key_is_director,
		no_repository };
	struct rootfile *r;

	(void)state;
	hold("team");
	for (size_t i = 0; i < COUNT(broken); i++) {
		uint8_t wire[16384];
		uint8_t memory[65536];
		struct arena a = { memory, sizeof(memory), 0 };
		int err;
		assert_int_equal(rootfile_read(tmpdir_path("root.env"), &r), 0);
		size_t n = wire_write(r->root, wire);
		Pb__Root *copy =
			wire_read(&pb__root__descriptor, bytes_of(wire, n), &wire_signed, &a, &err);
		assert_non_null(copy);
		assert_int_equal(root_check(crypto_openssl(), copy), 0);
		broken[i](copy);
		if (root_check(crypto_openssl(), copy) != ERR_BAD_ROOT)
			fail_msg("root %zu passed", i);
		rootfile_free(r);
	}
}

static void test_keys(void **state)
{
	struct rootfile *r;
	struct held_key k;
	struct crypto_key *stranger;

	(void)state;
	hold("team");
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &r), 0);
	assert_int_equal(
		key_load(tmpdir_path("keys/bob.release.pem"), r->root, KEY_RELEASE, &k), 0);
	assert_string_equal(k.entry->name, "bob");
	assert_true(key_is_in(&k, r->root, KEY_RELEASE));
	assert_false(key_is_in(&k, r->root, KEY_APPROVER));
	key_release(&k);
	assert_int_equal(key_load(tmpdir_path("keys/bob.release.pem"), r->root, KEY_APPROVER, &k),
		ERR_NOT_AUTHORISED);
	assert_int_equal(crypto_key_generate(KEY_ED25519, &stranger), 0);
	assert_int_equal(crypto_key_save(stranger, tmpdir_path("stranger.pem")), 0);
	assert_int_equal(
		key_load(tmpdir_path("stranger.pem"), r->root, KEY_RELEASE, &k), ERR_NOT_FOUND);
	assert_int_equal(key_load(tmpdir_path("root.env"), r->root, KEY_RELEASE, &k), ERR_BAD_KEY);
	crypto_key_free(stranger);
	rootfile_free(r);
}

/* Each of the server's keys has its own role, and no other's. */
static void test_online_keys(void **state)
{
	struct rootfile *r;
	struct held_key k;

	(void)state;
	hold("solo");
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &r), 0);
	for (unsigned role = KEY_ONLINE_FIRST; role < KEY_ROLE__COUNT; role++) {
		char *path = key_path(tmpdir_path("online"), NULL, (enum key_role)role);
		for (unsigned as = 0; as < KEY_ROLE__COUNT; as++) {
			int err = as == role ? 0 : ERR_NOT_AUTHORISED;
			assert_int_equal(key_load(path, r->root, (enum key_role)as, &k), err);
			if (err != 0)
				continue;
			assert_string_equal(k.entry->name, key_role_str((enum key_role)role));
			key_release(&k);
		}
		free(path);
	}
	rootfile_free(r);
}

static X509 *load_cert(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *x;

	assert_non_null(f);
	x = PEM_read_X509(f, NULL, NULL, NULL);
	assert_int_equal(fclose(f), 0);
	assert_non_null(x);
	return x;
}

/* As a device does: the certificate itself is what it trusts. */
static int verify(X509 *x)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ok;

	assert_int_equal(X509_STORE_add_cert(store, x), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
	assert_int_equal(X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER), 1);
	ok = X509_verify_cert(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

static void test_tlscert(void **state)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "::1", "box.lan" };
	struct crypto_key *key;
	struct stat st;
	int days, seconds;
	X509 *x;

	(void)state;
	assert_int_equal(tlscert_write(tmpdir_path("c.pem"), tmpdir_path("k.pem"), names, 4), 0);
	assert_int_equal(
		tlscert_write(tmpdir_path("c.pem"), tmpdir_path("k.pem"), names, 4), -EEXIST);
	assert_int_equal(stat(tmpdir_path("k.pem"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(crypto_key_load(tmpdir_path("k.pem"), &key), 0);
	assert_int_equal(crypto_key_scheme(key), KEY_P256);
	crypto_key_free(key);
	x = load_cert(tmpdir_path("c.pem"));
	assert_int_equal(verify(x), 1);
	assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "box.lan", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.lan", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
	assert_int_equal(days, TLSCERT_DAYS - 1);
	X509_free(x);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_person_names),
		IN_TMPDIR(test_ceremony_never_overwrites),
		IN_TMPDIR(test_root_bit_flips),
		IN_TMPDIR(test_root_rewrite),
		IN_TMPDIR(test_root_check),
		IN_TMPDIR(test_keys),
		IN_TMPDIR(test_online_keys),
		IN_TMPDIR(test_tlscert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
