/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "hex.h"
#include "proto/crypto.h"

/* FIPS 180-4's examples. */
static const struct {
	const char *text, *want;
} sha256[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_sha256(void **state)
{
	const struct crypto *c = crypto_openssl();
	uint8_t out[SHA256_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(sha256); i++) {
		struct bytes all = bytes_str(sha256[i].text);
		assert_int_equal(crypto_sha256(&all, 1, out), 0);
		check_hex(out, SHA256_LEN, sha256[i].want);
		assert_int_equal(c->sha256(c->ctx, all.p, all.n, out), 0);
		check_hex(out, SHA256_LEN, sha256[i].want);
		/* Wherever it is cut in three. */
		for (size_t cut = 0; cut <= all.n; cut++) {
			struct bytes part[] = { bytes_of(all.p, cut / 2),
				bytes_of(all.p + cut / 2, cut - cut / 2),
				bytes_of(all.p + cut, all.n - cut) };
			assert_int_equal(crypto_sha256(part, 3, out), 0);
			check_hex(out, SHA256_LEN, sha256[i].want);
		}
	}
	assert_int_equal(crypto_sha256(NULL, 0, out), 0);
	check_hex(out, SHA256_LEN, sha256[0].want);
}

static void test_sha256_in_pieces(void **state)
{
	struct crypto_hash *h = crypto_hash_new();
	static char a[1000];
	uint8_t out[SHA256_LEN];

	(void)state;
	assert_non_null(h);
	memset(a, 'a', sizeof(a));
	/* Twice: a hash can be started again, also in the middle. */
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(crypto_hash_start(h), 0);
		for (unsigned i = 0; i < 1000; i++)
			assert_int_equal(crypto_hash_add(h, a, sizeof(a)), 0);
		assert_int_equal(crypto_hash_end(h, out), 0);
		check_hex(out, SHA256_LEN, MILLION_A);
		assert_int_equal(crypto_hash_start(h), 0);
		assert_int_equal(crypto_hash_add(h, a, 1), 0);
	}
	crypto_hash_free(h);
	crypto_hash_free(NULL);
}

#define X20(s)  s s s s s s s s s s s s s s s s s s s s
#define X50(s)  X20(s) X20(s) s s s s s s s s s s
#define X131(s) X50(s) X50(s) X20(s) s s s s s s s s s s s

/* RFC 4231, without case 5, which is truncated. */
static const struct {
	const char *key, *text, *want;
} hmac[] = {
	{ X20("\x0b"), "Hi There",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "Jefe", "what do ya want for nothing?",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ X20("\xaa"), X50("\xdd"),
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13"
	  "\x14\x15\x16\x17\x18\x19",
		X50("\xcd"), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ X131("\xaa"), "Test Using Larger Than Block-Size Key - Hash Key First",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ X131("\xaa"),
		"This is a test using a larger than block-size key and a larger than "
		"block-size data. The key needs to be hashed before being used by the HMAC "
		"algorithm.",
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};

static void test_hmac(void **state)
{
	const struct crypto *c = crypto_openssl();
	struct crypto_mac *m = crypto_mac_new();
	uint8_t out[SHA256_LEN];

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i < COUNT(hmac); i++) {
		struct bytes key = bytes_str(hmac[i].key), text = bytes_str(hmac[i].text);
		struct bytes part[] = { bytes_of(text.p, 3), bytes_of(text.p + 3, text.n - 3) };
		for (unsigned again = 0; again < 2; again++) {
			assert_int_equal(crypto_mac_sign(m, key, part, 2, out), 0);
			check_hex(out, SHA256_LEN, hmac[i].want);
		}
		assert_int_equal(c->hmac(c->ctx, key, text, out), 0);
		check_hex(out, SHA256_LEN, hmac[i].want);
	}
	crypto_mac_free(m);
	crypto_mac_free(NULL);
}

static void test_small_things(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_true(crypto_equal(a, b, sizeof(a)));
	for (size_t i = 0; i < 8 * sizeof(a); i++) {
		b[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_false(crypto_equal(a, b, sizeof(a)));
		b[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(crypto_equal(a, b, 0));
	assert_int_equal(crypto_random(a, sizeof(a)), 0);
	assert_int_equal(crypto_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	crypto_wipe(a, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_sha256_in_pieces),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
