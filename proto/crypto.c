/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* Fetched once: EVP_sha256() looks the algorithm up again at every use. */
static EVP_MD *sha256_md;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	assert(sha256_md != NULL);
}

static const EVP_MD *sha256(void)
{
	(void)pthread_once(&once, fetch);
	return sha256_md;
}

struct crypto_hash {
	EVP_MD_CTX *ctx;
};

struct crypto_hash *crypto_hash_new(void)
{
	struct crypto_hash *h = malloc(sizeof(*h));

	if (h == NULL)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

int crypto_hash_start(struct crypto_hash *h)
{
	return EVP_DigestInit_ex2(h->ctx, sha256(), NULL) == 1 ? 0 : ERR_CRYPTO;
}

int crypto_hash_add(struct crypto_hash *h, const void *data, size_t n)
{
	return EVP_DigestUpdate(h->ctx, data, n) == 1 ? 0 : ERR_CRYPTO;
}

int crypto_hash_end(struct crypto_hash *h, uint8_t out[SHA256_LEN])
{
	return EVP_DigestFinal_ex(h->ctx, out, NULL) == 1 ? 0 : ERR_CRYPTO;
}

void crypto_hash_free(struct crypto_hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int crypto_sha256(const struct bytes *part, size_t n, uint8_t out[SHA256_LEN])
{
	EVP_MD_CTX *ctx;
	int ok;

	if (n == 1)
		return EVP_Digest(part->p, part->n, out, NULL, sha256(), NULL) == 1 ? 0
										    : ERR_CRYPTO;
	ctx = EVP_MD_CTX_new();
	ok = ctx != NULL && EVP_DigestInit_ex2(ctx, sha256(), NULL) == 1;
	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, part[i].p, part[i].n) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

int crypto_random(void *out, size_t n)
{
	assert(n <= INT32_MAX);
	return RAND_bytes(out, (int)n) == 1 ? 0 : ERR_CRYPTO;
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

static int openssl_sha256(void *ctx, const void *data, size_t n, uint8_t out[SHA256_LEN])
{
	struct bytes part = bytes_of(data, n);

	(void)ctx;
	return crypto_sha256(&part, 1, out);
}

static int openssl_hmac(void *ctx, struct bytes key, struct bytes message, uint8_t out[SHA256_LEN])
{
	struct crypto_mac *m = crypto_mac_new();
	int err = m == NULL ? ERR_CRYPTO : crypto_mac_sign(m, key, &message, 1, out);

	(void)ctx;
	crypto_mac_free(m);
	return err;
}

static int openssl_verify(void *ctx, uint32_t scheme, struct bytes public_key, struct bytes message,
	const uint8_t sig[SIG_LEN])
{
	(void)ctx;
	return crypto_key_verify(scheme, public_key, message, sig);
}

const struct crypto *crypto_openssl(void)
{
	static const struct crypto openssl = { openssl_sha256, openssl_hmac, openssl_verify, NULL };
	return &openssl;
}
