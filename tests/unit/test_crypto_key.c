/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "hex.h"
#include "rfc8032.h"

/* Any bit of message, key or signature that is turned makes it wrong. */
static void check_flips(
	uint32_t scheme, struct bytes public_key, struct bytes text, const uint8_t *sig)
{
	uint8_t copy[3][PUBLIC_MAX];

	memcpy(copy[0], sig, SIG_LEN);
	memcpy(copy[1], public_key.p, public_key.n);
	if (text.n > 0)
		memcpy(copy[2], text.p, text.n);
	struct bytes k = bytes_of(copy[1], public_key.n), t = bytes_of(copy[2], text.n);
	const size_t len[] = { SIG_LEN, k.n, t.n };
	assert_int_equal(crypto_key_verify(scheme, k, t, copy[0]), 0);
	for (size_t what = 0; what < 3; what++) {
		for (size_t i = 0; i < len[what]; i++) {
			copy[what][i] ^= 0x01;
			assert_int_equal(
				crypto_key_verify(scheme, k, t, copy[0]), ERR_BAD_SIGNATURE);
			copy[what][i] ^= 0x01;
		}
	}
}

static void test_ed25519_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rfc8032); i++) {
		struct crypto_key *key = key_of_pem(rfc8032[i].pem);
		uint8_t public_key[PUBLIC_MAX], sig[SIG_LEN], text[8];
		size_t n = strlen(rfc8032[i].message) / 2;

		assert_true(hex_decode(text, n, rfc8032[i].message));
		assert_int_equal(crypto_key_scheme(key), KEY_ED25519);
		assert_int_equal(crypto_key_public(key, public_key), ED25519_PUBLIC_LEN);
		check_hex(public_key, ED25519_PUBLIC_LEN, rfc8032[i].public_key);
		assert_int_equal(crypto_key_sign(key, bytes_of(text, n), sig), 0);
		check_hex(sig, SIG_LEN, rfc8032[i].sig);
		check_flips(KEY_ED25519, bytes_of(public_key, ED25519_PUBLIC_LEN),
			bytes_of(text, n), sig);
		crypto_key_free(key);
	}
	crypto_key_free(NULL);
}

/* The same signature with S + L is another text for the same thing: RFC 8032 wants it
 * refused. */
static void test_ed25519_is_not_malleable(void **state)
{
	uint8_t public_key[ED25519_PUBLIC_LEN], sig[SIG_LEN], text = 0x72;

	(void)state;
	assert_true(hex_decode(public_key, sizeof(public_key), rfc8032[1].public_key));
	assert_true(hex_decode(sig, SIG_LEN, rfc8032[1].sig));
	assert_int_equal(crypto_key_verify(KEY_ED25519, bytes_of(public_key, sizeof(public_key)),
				 bytes_of(&text, 1), sig),
		0);
	assert_true(hex_decode(
		sig + 32, 32, "f52db7415978abc61b2c2eb6aeebfca0387b2eaeb4302aeeb00d291612bb0c10"));
	assert_int_equal(crypto_key_verify(KEY_ED25519, bytes_of(public_key, sizeof(public_key)),
				 bytes_of(&text, 1), sig),
		ERR_BAD_SIGNATURE);
}

/* RFC 6979, A.2.5. */
#define P256_PEM                                                                                   \
	"MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCDJr6nYRbp1FmtcIVdnsdaTTlDD2zbomxJ7"         \
	"imIrEg9nIQ=="
#define P256_X   "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define P256_Y   "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define ORDER    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define ZERO     "0000000000000000000000000000000000000000000000000000000000000000"
#define SAMPLE_R "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
#define SAMPLE_S "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

static const struct {
	const char *why, *text, *sig;
	int want;
} p256[] = {
	{ "sample", "sample", SAMPLE_R SAMPLE_S, 0 },
	{ "test", "test",
		"f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
		"019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
		0 },
	{ "of another text", "Sample", SAMPLE_R SAMPLE_S, ERR_BAD_SIGNATURE },
	{ "s and r", "sample", SAMPLE_S SAMPLE_R, ERR_BAD_SIGNATURE },
	{ "r 0", "sample", ZERO SAMPLE_S, ERR_BAD_SIGNATURE },
	{ "s 0", "sample", SAMPLE_R ZERO, ERR_BAD_SIGNATURE },
	{ "both 0", "sample", ZERO ZERO, ERR_BAD_SIGNATURE },
	{ "r is the order", "sample", ORDER SAMPLE_S, ERR_BAD_SIGNATURE },
	{ "s is the order", "sample", SAMPLE_R ORDER, ERR_BAD_SIGNATURE },
	{ "both are", "sample", ORDER ORDER, ERR_BAD_SIGNATURE },
};

static void test_p256_vectors(void **state)
{
	uint8_t point[P256_PUBLIC_LEN], sig[SIG_LEN];

	(void)state;
	assert_true(hex_decode(point, sizeof(point), "04" P256_X P256_Y));
	for (size_t i = 0; i < COUNT(p256); i++) {
		int err;
		assert_true(hex_decode(sig, SIG_LEN, p256[i].sig));
		err = crypto_key_verify(
			KEY_P256, bytes_of(point, sizeof(point)), bytes_str(p256[i].text), sig);
		if (err != p256[i].want)
			fail_msg("%s: %s", p256[i].why, err_str(err));
		assert_int_equal(ERR_peek_error(), 0);
	}
}

/* A TLS connection of the same thread would take OpenSSL's errors for its own. */
static void test_leaves_no_error(void **state)
{
	uint8_t point[P256_PUBLIC_LEN] = { 4, 1, 1 }, sig[SIG_LEN] = { 0 };

	(void)state;
	for (unsigned before = 0; before < 2; before++) {
		assert_int_equal(crypto_key_verify(KEY_P256, bytes_of(point, sizeof(point)),
					 bytes_str("text"), sig),
			ERR_BAD_SIGNATURE);
		/* What was there stays. */
		assert_int_equal(ERR_peek_last_error() != 0, before);
		ERR_raise(ERR_LIB_USER, 1);
	}
	ERR_clear_error();
}

static void test_p256_round_trip(void **state)
{
	struct crypto_key *key = key_of_pem(P256_PEM);
	uint8_t point[PUBLIC_MAX], sig[SIG_LEN];

	(void)state;
	assert_int_equal(crypto_key_scheme(key), KEY_P256);
	assert_int_equal(crypto_key_public(key, point), P256_PUBLIC_LEN);
	check_hex(point + 1, 32, P256_X);
	check_hex(point + 33, 32, P256_Y);
	assert_int_equal(point[0], 4);
	/* Often enough for numbers with leading zeros: DER drops them, we keep them. */
	for (unsigned i = 0; i < 600; i++) {
		assert_int_equal(crypto_key_sign(key, bytes_of(&i, sizeof(i)), sig), 0);
		assert_int_equal(crypto_key_verify(KEY_P256, bytes_of(point, P256_PUBLIC_LEN),
					 bytes_of(&i, sizeof(i)), sig),
			0);
	}
	assert_int_equal(crypto_key_sign(key, bytes_str("text"), sig), 0);
	check_flips(KEY_P256, bytes_of(point, P256_PUBLIC_LEN), bytes_str("text"), sig);
	crypto_key_free(key);
}

/* The signature would be right; the key is not the one text for it. */
static const struct {
	const char *why;
	uint32_t scheme;
	size_t n;
	const char *key;
} bad_keys[] = {
	{ "off the curve", KEY_P256, 65, "04" P256_X P256_X },
	{ "at infinity", KEY_P256, 65, "00" P256_X P256_Y },
	{ "all zero", KEY_P256, 65, "00" ZERO ZERO },
	{ "zero point", KEY_P256, 65, "04" ZERO ZERO },
	{ "x above the field", KEY_P256, 65, "04" ORDER P256_Y },
	{ "hybrid form, y odd", KEY_P256, 65, "07" P256_X P256_Y },
	{ "hybrid form, y even", KEY_P256, 65, "06" P256_X P256_Y },
	{ "compressed with a tail", KEY_P256, 65, "03" P256_X P256_Y },
	{ "compressed", KEY_P256, 33, "03" P256_X },
	{ "a byte short", KEY_P256, 64, P256_X P256_Y },
	{ "empty", KEY_P256, 0, "" },
	{ "scheme 0", 0, 65, "04" P256_X P256_Y },
	{ "scheme 3", 3, 65, "04" P256_X P256_Y },
	{ "as Ed25519", KEY_ED25519, 65, "04" P256_X P256_Y },
	{ "x as Ed25519", KEY_ED25519, 32, P256_X },
	{ "Ed25519, a byte short", KEY_ED25519, 31,
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af466" },
};

static void test_bad_public_keys(void **state)
{
	uint8_t key[P256_PUBLIC_LEN], sig[SIG_LEN];

	(void)state;
	assert_true(hex_decode(sig, SIG_LEN, SAMPLE_R SAMPLE_S));
	for (size_t i = 0; i < COUNT(bad_keys); i++) {
		int err;
		assert_true(hex_decode(key, bad_keys[i].n, bad_keys[i].key));
		err = crypto_key_verify(
			bad_keys[i].scheme, bytes_of(key, bad_keys[i].n), bytes_str("sample"), sig);
		if (err != ERR_BAD_SIGNATURE)
			fail_msg("%s: %s", bad_keys[i].why, err_str(err));
	}
}

static void check_saved(enum key_scheme scheme)
{
	uint8_t public_key[2][PUBLIC_MAX], sig[SIG_LEN];
	struct crypto_key *key, *again;
	struct stat st;
	char *path = tmpdir_path(scheme == KEY_P256 ? "p256.pem" : "ed25519.pem");
	size_t n;

	assert_int_equal(crypto_key_generate(scheme, &key), 0);
	assert_int_equal(crypto_key_scheme(key), scheme);
	assert_int_equal(crypto_key_save(key, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(crypto_key_save(key, path), -EEXIST);
	assert_int_equal(crypto_key_load(path, &again), 0);
	n = crypto_key_public(key, public_key[0]);
	assert_int_equal(crypto_key_public(again, public_key[1]), n);
	assert_memory_equal(public_key[0], public_key[1], n);
	assert_int_equal(crypto_key_sign(again, bytes_str("x"), sig), 0);
	assert_int_equal(
		crypto_key_verify(scheme, bytes_of(public_key[0], n), bytes_str("x"), sig), 0);
	crypto_key_free(key);
	crypto_key_free(again);
}

static void test_key_files(void **state)
{
	struct crypto_key *key;
	mode_t old = umask(0);

	(void)state;
	check_saved(KEY_ED25519);
	check_saved(KEY_P256);
	(void)umask(old);
	assert_int_equal(crypto_key_generate(KEY_P256, &key), 0);
	assert_int_equal(crypto_key_save(key, tmpdir_path("none/key.pem")), -ENOENT);
	crypto_key_free(key);
	assert_int_equal(crypto_key_load(tmpdir_path("none.pem"), &key), -ENOENT);
	assert_null(key);
}

/* A key file of a kind that we do not use. */
static void check_refused(const char *why, EVP_PKEY *pkey, bool private_key)
{
	struct crypto_key *key;
	FILE *f = fopen(tmpdir_path("other.pem"), "we");

	assert_non_null(f);
	assert_non_null(pkey);
	assert_int_equal(private_key ? PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL)
				     : PEM_write_PUBKEY(f, pkey),
		1);
	assert_int_equal(fclose(f), 0);
	if (crypto_key_load(tmpdir_path("other.pem"), &key) != ERR_BAD_KEY)
		fail_msg("%s was taken", why);
	assert_null(key);
	EVP_PKEY_free(pkey);
}

static void test_other_keys(void **state)
{
	struct crypto_key *key;

	(void)state;
	check_refused("P-384", EVP_EC_gen("P-384"), true);
	check_refused("another curve of 256 bits", EVP_EC_gen("secp256k1"), true);
	check_refused("X25519", EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), true);
	check_refused("Ed448", EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), true);
	check_refused("a public key", EVP_EC_gen("P-256"), false);
	assert_int_equal(file_create(tmpdir_path("text"), bytes_str("no key\n"), 0600), 0);
	assert_int_equal(crypto_key_load(tmpdir_path("text"), &key), ERR_BAD_KEY);
	assert_int_equal(file_create(tmpdir_path("empty"), bytes_str(""), 0600), 0);
	assert_int_equal(crypto_key_load(tmpdir_path("empty"), &key), ERR_BAD_KEY);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_ed25519_vectors),
		cmocka_unit_test(test_ed25519_is_not_malleable),
		cmocka_unit_test(test_p256_vectors),
		cmocka_unit_test(test_leaves_no_error),
		IN_TMPDIR(test_p256_round_trip),
		cmocka_unit_test(test_bad_public_keys),
		IN_TMPDIR(test_key_files),
		IN_TMPDIR(test_other_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
