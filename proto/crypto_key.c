/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 and P-256 keys: make, load, save, sign, verify. */
#include "proto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define HALF (SIG_LEN / 2)
/* DER of two 33-byte integers in a sequence. */
#define DER_MAX 72

struct crypto_key {
	EVP_PKEY *pkey;
	enum key_scheme scheme;
};

/* Several curves have 256 bits. */
static bool is_p256(const EVP_PKEY *pkey)
{
	char group[32];

	return EVP_PKEY_is_a(pkey, "EC") &&
		EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
		strcmp(group, "prime256v1") == 0;
}

static struct crypto_key *wrap(EVP_PKEY *pkey)
{
	struct crypto_key *key = NULL;
	enum key_scheme scheme = KEY_ED25519;

	if (pkey == NULL)
		return NULL;
	if (is_p256(pkey))
		scheme = KEY_P256;
	else if (!EVP_PKEY_is_a(pkey, "ED25519"))
		goto out;
	key = malloc(sizeof(*key));
	if (key == NULL)
		goto out;
	*key = (struct crypto_key){ pkey, scheme };
	pkey = NULL;
out:
	EVP_PKEY_free(pkey);
	return key;
}

int crypto_key_generate(enum key_scheme scheme, struct crypto_key **out)
{
	*out = wrap(scheme == KEY_P256 ? EVP_EC_gen("P-256")
				       : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	return *out == NULL ? ERR_CRYPTO : 0;
}

int crypto_key_load(const char *path, struct crypto_key **out)
{
	FILE *f = fopen(path, "re");

	*out = NULL;
	if (f == NULL)
		return -errno;
	*out = wrap(PEM_read_PrivateKey(f, NULL, NULL, NULL));
	(void)fclose(f); /* only read */
	return *out == NULL ? ERR_BAD_KEY : 0;
}

int crypto_key_save(const struct crypto_key *key, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int err = 0;

	if (f == NULL) {
		err = -errno;
		if (fd >= 0) {
			(void)close(fd);
			(void)unlink(path);
		}
		return err;
	}
	if (PEM_write_PKCS8PrivateKey(f, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		err = ERR_CRYPTO;
	else if (fflush(f) != 0 || fsync(fd) != 0)
		err = -errno;
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	if (err != 0)
		(void)unlink(path); /* half a key is none, and would be in the way */
	return err;
}

int crypto_key_write(const struct crypto_key *key, uint8_t out[KEY_DER_MAX], size_t *n)
{
	int len = i2d_PrivateKey(key->pkey, NULL);

	if (len <= 0 || len > (int)KEY_DER_MAX)
		return ERR_BAD_KEY;
	*n = (size_t)len;
	return i2d_PrivateKey(key->pkey, &out) == len ? 0 : ERR_CRYPTO;
}

int crypto_key_read(struct bytes der, struct crypto_key **out)
{
	const unsigned char *p = der.p;

	*out = wrap(d2i_AutoPrivateKey(NULL, &p, (long)der.n));
	return *out == NULL ? ERR_BAD_KEY : 0;
}

enum key_scheme crypto_key_scheme(const struct crypto_key *key)
{
	return key->scheme;
}

size_t crypto_key_public(const struct crypto_key *key, uint8_t out[PUBLIC_MAX])
{
	size_t n = PUBLIC_MAX;
	int ok;

	if (key->scheme == KEY_ED25519)
		ok = EVP_PKEY_get_raw_public_key(key->pkey, out, &n);
	else
		ok = EVP_PKEY_get_octet_string_param(
			key->pkey, OSSL_PKEY_PARAM_PUB_KEY, out, PUBLIC_MAX, &n);
	return ok == 1 ? n : 0;
}

void crypto_key_free(struct crypto_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* r||s and back: DER lengths vary, ours do not. */
static int raw_of_der(const uint8_t *der, size_t n, uint8_t sig[SIG_LEN])
{
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);
	const BIGNUM *r, *v;
	int ok = 0;

	if (s != NULL) {
		ECDSA_SIG_get0(s, &r, &v);
		ok = BN_bn2binpad(r, sig, HALF) == HALF &&
			BN_bn2binpad(v, sig + HALF, HALF) == HALF;
	}
	ECDSA_SIG_free(s);
	return ok ? 0 : ERR_CRYPTO;
}

static int der_of_raw(const uint8_t sig[SIG_LEN], uint8_t *der, size_t *n)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig, HALF, NULL), *v = BN_bin2bn(sig + HALF, HALF, NULL);
	int len = 0;

	if (s != NULL && r != NULL && v != NULL && ECDSA_SIG_set0(s, r, v) == 1) {
		r = v = NULL; /* taken */
		len = i2d_ECDSA_SIG(s, &der);
	}
	BN_free(r);
	BN_free(v);
	ECDSA_SIG_free(s);
	*n = (size_t)(len > 0 ? len : 0);
	return len > 0 ? 0 : ERR_CRYPTO;
}

int crypto_key_sign(const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *md = key->scheme == KEY_P256 ? "SHA256" : NULL;
	uint8_t der[DER_MAX];
	size_t n = sizeof(der);
	int err = ERR_CRYPTO;

	if (ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, md, NULL, NULL, key->pkey, NULL) == 1 &&
		EVP_DigestSign(ctx, der, &n, message.p, message.n) == 1)
		err = 0;
	EVP_MD_CTX_free(ctx);
	if (err != 0)
		return err;
	if (key->scheme == KEY_P256)
		return raw_of_der(der, n, sig);
	memcpy(sig, der, SIG_LEN);
	return 0;
}

static EVP_PKEY *public_of(uint32_t scheme, struct bytes raw)
{
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx;
	char group[] = "P-256";
	uint8_t point[P256_PUBLIC_LEN];

	if (scheme == KEY_ED25519 && raw.n == ED25519_PUBLIC_LEN)
		return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw.p, raw.n);
	/* OpenSSL also takes the hybrid form, and then one key would have two texts. */
	if (scheme != KEY_P256 || raw.n != P256_PUBLIC_LEN || raw.p[0] != 4)
		return NULL;
	memcpy(point, raw.p, raw.n);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

int crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN])
{
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *md = scheme == KEY_P256 ? "SHA256" : NULL;
	uint8_t der[DER_MAX];
	size_t n = SIG_LEN;
	int err = ERR_CRYPTO;

	(void)ERR_set_mark(); /* of an empty queue there is none, and all that comes is ours */
	pkey = public_of(scheme, public_key);
	if (ctx == NULL)
		goto out;
	err = ERR_BAD_SIGNATURE;
	if (pkey == NULL)
		goto out;
	if (scheme == KEY_ED25519)
		memcpy(der, sig, SIG_LEN);
	else if (der_of_raw(sig, der, &n) != 0)
		goto out;
	if (EVP_DigestVerifyInit_ex(ctx, NULL, md, NULL, NULL, pkey, NULL) == 1 &&
		EVP_DigestVerify(ctx, der, n, message.p, message.n) == 1)
		err = 0;
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	/* The thread's next TLS call would take for its own what is left here. */
	(void)ERR_pop_to_mark();
	return err;
}
