/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/devicekey.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "proto/crypto.h"

#define RSA_MIN      2048
#define RSA_MAX      4096
#define EXPONENT_MAX 32 /* bits; a longer one makes verifying as slow as signing */

static bool small_exponent(const EVP_PKEY *pkey)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		BN_num_bits(e) <= EXPONENT_MAX;

	BN_free(e);
	return ok;
}

static bool is_known(const EVP_PKEY *pkey)
{
	static const char *const curve[] = { "prime256v1", "secp384r1", "secp521r1" };
	int bits = EVP_PKEY_get_bits(pkey);
	char group[32];

	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return true;
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return bits >= RSA_MIN && bits <= RSA_MAX && small_exponent(pkey);
	if (!EVP_PKEY_is_a(pkey, "EC") ||
		EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof(curve) / sizeof(curve[0]); i++)
		if (strcmp(group, curve[i]) == 0)
			return true;
	return false;
}

/* By hand: OpenSSL's own would ask the terminal for the password of a PEM that says it has one. */
static EVP_PKEY *key_of(struct bytes pem)
{
	BIO *in = pem.n <= DEVICEKEY_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	const unsigned char *at;
	EVP_PKEY *pkey = NULL;
	long n = 0;

	if (in != NULL && PEM_read_bio(in, &name, &header, &data, &n) == 1 &&
		strcmp(name, "PUBLIC KEY") == 0 && header[0] == '\0') {
		at = data;
		pkey = d2i_PUBKEY(NULL, &at, n);
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(in);
	if (pkey != NULL && !is_known(pkey)) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

int devicekey_fingerprint(struct bytes pem, uint8_t out[SHA256_LEN])
{
	EVP_PKEY *pkey = key_of(pem);
	unsigned char *der = NULL;
	int n = pkey != NULL ? i2d_PUBKEY(pkey, &der) : 0, err = ERR_BAD_KEY;
	struct bytes part = bytes_of(der, n > 0 ? (size_t)n : 0);

	if (n > 0)
		err = crypto_sha256(&part, 1, out);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return err;
}

int devicekey_verify(struct bytes pem, struct bytes message, struct bytes sig)
{
	EVP_PKEY *pkey = key_of(pem);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *md = pkey != NULL && EVP_PKEY_is_a(pkey, "ED25519") ? NULL : "SHA256";
	int err = ERR_BAD_SIGNATURE;

	if (ctx == NULL)
		err = ERR_CRYPTO;
	else if (pkey == NULL)
		err = ERR_BAD_KEY;
	else if (sig.n > 0 && sig.n <= DEVICEKEY_SIGNATURE_MAX &&
		EVP_DigestVerifyInit_ex(ctx, NULL, md, NULL, NULL, pkey, NULL) == 1 &&
		EVP_DigestVerify(ctx, sig.p, sig.n, message.p, message.n) == 1)
		err = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return err;
}
