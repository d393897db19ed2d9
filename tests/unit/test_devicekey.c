/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/devicekey.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "proto/crypto.h"
#include "unit.h"

struct text {
	uint8_t p[2 * DEVICEKEY_PEM_MAX];
	size_t n;
};

static struct bytes of(const struct text *t)
{
	return bytes_of(t->p, t->n);
}

static void pem_of(EVP_PKEY *pkey, struct text *out)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(PEM_write_bio_PUBKEY(b, pkey), 1);
	n = BIO_read(b, out->p, sizeof(out->p));
	assert_true(n > 0);
	out->n = (size_t)n;
	BIO_free(b);
}

static void sign(EVP_PKEY *pkey, struct bytes message, struct text *out)
{
	const char *md = EVP_PKEY_is_a(pkey, "ED25519") ? NULL : "SHA256";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	out->n = sizeof(out->p);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, md, NULL, NULL, pkey, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, out->p, &out->n, message.p, message.n), 1);
	EVP_MD_CTX_free(ctx);
}

/* ---- which keys ---- */

static EVP_PKEY *made(const char *type, const char *group, size_t bits)
{
	if (group != NULL)
		return EVP_PKEY_Q_keygen(NULL, NULL, type, group);
	return bits > 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, bits)
			: EVP_PKEY_Q_keygen(NULL, NULL, type);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *type, *group;
		size_t bits;
		int want;
	} row[] = {
		{ "RSA", NULL, 2048, 0 },
		{ "RSA", NULL, 1024, ERR_BAD_KEY },
		{ "EC", "P-256", 0, 0 },
		{ "EC", "P-384", 0, 0 },
		{ "EC", "P-521", 0, 0 },
		{ "EC", "P-224", 0, ERR_BAD_KEY },
		{ "EC", "secp256k1", 0, ERR_BAD_KEY },
		{ "ED25519", NULL, 0, 0 },
		{ "ED448", NULL, 0, ERR_BAD_KEY },
		{ "X25519", NULL, 0, ERR_BAD_KEY },
	};
	static const uint8_t message[] = "{\"id_data\":\"{}\"}\n";
	struct bytes in = bytes_of(message, sizeof(message) - 1);

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		EVP_PKEY *pkey = made(row[i].type, row[i].group, row[i].bits);
		struct text pem, sig = { .n = 64 };
		uint8_t print[SHA256_LEN];
		assert_non_null(pkey);
		pem_of(pkey, &pem);
		if (!EVP_PKEY_is_a(pkey, "X25519") && !EVP_PKEY_is_a(pkey, "ED448"))
			sign(pkey, in, &sig);
		assert_int_equal(devicekey_fingerprint(of(&pem), print), row[i].want);
		assert_int_equal(devicekey_verify(of(&pem), in, of(&sig)), row[i].want);
		EVP_PKEY_free(pkey);
		if (row[i].want != 0)
			continue;
		/* A byte less of the message, a bit of the signature, nothing. */
		assert_int_equal(devicekey_verify(of(&pem), bytes_of(message, in.n - 1), of(&sig)),
			ERR_BAD_SIGNATURE);
		sig.p[sig.n / 2] ^= 1;
		assert_int_equal(devicekey_verify(of(&pem), in, of(&sig)), ERR_BAD_SIGNATURE);
		sig.n--;
		assert_int_equal(devicekey_verify(of(&pem), in, of(&sig)), ERR_BAD_SIGNATURE);
		sig.n = 0;
		assert_int_equal(devicekey_verify(of(&pem), in, of(&sig)), ERR_BAD_SIGNATURE);
		sig.n = DEVICEKEY_SIGNATURE_MAX + 1;
		assert_int_equal(devicekey_verify(of(&pem), in, of(&sig)), ERR_BAD_SIGNATURE);
	}
}

/* A modulus of so many bits, nobody knows of what, and an exponent of so many. */
static void rsa_public(unsigned bits, unsigned exponent_bits, struct text *out)
{
	BIGNUM *n = BN_new(), *e = BN_new();
	OSSL_PARAM params[3];
	uint8_t modulus[1024], exponent[1024];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	assert_int_equal(BN_set_bit(n, (int)bits - 1) & BN_set_bit(n, 0), 1);
	assert_int_equal(BN_set_bit(e, (int)exponent_bits - 1) & BN_set_bit(e, 0), 1);
	assert_int_equal(BN_bn2nativepad(n, modulus, (int)(bits + 7) / 8), (int)(bits + 7) / 8);
	assert_int_equal(BN_bn2nativepad(e, exponent, (int)(exponent_bits + 7) / 8),
		(int)(exponent_bits + 7) / 8);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus, (bits + 7) / 8);
	params[1] =
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent, (exponent_bits + 7) / 8);
	params[2] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
	pem_of(pkey, out);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
}

static void test_rsa_bounds(void **state)
{
	static const struct {
		unsigned bits, exponent_bits;
		int want;
	} row[] = {
		{ 2047, 17, ERR_BAD_KEY },
		{ 2048, 17, 0 },
		{ 3072, 17, 0 },
		{ 4096, 32, 0 },
		{ 4097, 17, ERR_BAD_KEY },
		{ 8192, 17, ERR_BAD_KEY },
		{ 3072, 33, ERR_BAD_KEY },
		{ 3072, 3000, ERR_BAD_KEY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct text pem;
		uint8_t print[SHA256_LEN];
		int err;
		rsa_public(row[i].bits, row[i].exponent_bits, &pem);
		err = devicekey_fingerprint(of(&pem), print);
		if (err != row[i].want)
			fail_msg("%u, %u: %d", row[i].bits, row[i].exponent_bits, err);
	}
}

/* ---- which texts ---- */

#define POINT                                                                                      \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3mJf\n"                       \
	"99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mA==\n"
#define ONE_LINE                                                                                   \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3mJf"                         \
	"99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mA==\n"
#define BEGIN(what) "-----BEGIN " what "-----\n"
#define END(what)   "-----END " what "-----\n"

static void test_texts(void **state)
{
	static const struct {
		const char *why, *pem;
		int want;
	} row[] = {
		{ "as it comes", BEGIN("PUBLIC KEY") POINT END("PUBLIC KEY"), 0 },
		{ "in one line", BEGIN("PUBLIC KEY") ONE_LINE END("PUBLIC KEY"), 0 },
		{ "a line before it", "phone\n" BEGIN("PUBLIC KEY") POINT END("PUBLIC KEY"), 0 },
		{ "nothing", "", ERR_BAD_KEY },
		{ "no PEM", POINT, ERR_BAD_KEY },
		{ "no end", BEGIN("PUBLIC KEY") POINT, ERR_BAD_KEY },
		{ "another end", BEGIN("PUBLIC KEY") POINT END("KEY"), ERR_BAD_KEY },
		{ "another kind", BEGIN("RSA PUBLIC KEY") POINT END("RSA PUBLIC KEY"),
			ERR_BAD_KEY },
		{ "a certificate", BEGIN("CERTIFICATE") POINT END("CERTIFICATE"), ERR_BAD_KEY },
		{ "a private key", BEGIN("PRIVATE KEY") POINT END("PRIVATE KEY"), ERR_BAD_KEY },
		{ "under a password",
			BEGIN("PUBLIC KEY") "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
					    "00112233445566778899AABBCCDDEEFF\n\n" POINT END(
						    "PUBLIC KEY"),
			ERR_BAD_KEY },
		{ "no base64", BEGIN("PUBLIC KEY") "MFkw!\n" END("PUBLIC KEY"), ERR_BAD_KEY },
		{ "not on the curve",
			BEGIN("PUBLIC KEY") "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3mJf\n"
					    "99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mQ==\n" END(
						    "PUBLIC KEY"),
			ERR_BAD_KEY },
	};
	uint8_t want[SHA256_LEN], print[SHA256_LEN];

	(void)state;
	assert_int_equal(devicekey_fingerprint(bytes_str(row[0].pem), want), 0);
	for (size_t i = 0; i < COUNT(row); i++) {
		int err = devicekey_fingerprint(bytes_str(row[i].pem), print);
		if (err != row[i].want || (err == 0 && memcmp(print, want, SHA256_LEN) != 0))
			fail_msg("%s: %d", row[i].why, err);
		assert_int_equal(
			devicekey_verify(bytes_str(row[i].pem), bytes_str("x"), bytes_str("y")),
			err == 0 ? ERR_BAD_SIGNATURE : err);
		/* A TLS connection would take it for its own. */
		assert_int_equal(ERR_peek_error(), 0);
	}
}

/* openssl pkey -pubin -outform DER | sha256sum */
static void test_print(void **state)
{
	uint8_t print[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	(void)state;
	assert_int_equal(devicekey_fingerprint(
				 bytes_str(BEGIN("PUBLIC KEY") POINT END("PUBLIC KEY")), print),
		0);
	assert_string_equal(hex_encode(hex, print, SHA256_LEN),
		"1fc6074b212ed4281ac1f0e96784f00116ee203d45f3d481db72d6c5034ffb40");
}

static void test_long(void **state)
{
	static const char pem[] = BEGIN("PUBLIC KEY") POINT END("PUBLIC KEY");
	struct text t = { .n = DEVICEKEY_PEM_MAX + 1 };
	uint8_t print[SHA256_LEN];

	(void)state;
	memset(t.p, '\n', t.n);
	memcpy(t.p, pem, sizeof(pem) - 1);
	assert_int_equal(devicekey_fingerprint(of(&t), print), ERR_BAD_KEY);
	t.n--;
	assert_int_equal(devicekey_fingerprint(of(&t), print), 0);
	assert_int_equal(devicekey_fingerprint(bytes_of(NULL, 0), print), ERR_BAD_KEY);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_rsa_bounds),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
