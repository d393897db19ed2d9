/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On SHA-256 itself: EVP allocates at every start of a digest, five times for each HMAC, and takes
 * three times as long, and every poll has two of them.  These functions OpenSSL calls deprecated:
 * the only ones we use.
 */
#undef OPENSSL_NO_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>

#include "proto/crypto.h"

struct crypto_mac {
	bool keyed;
	uint8_t key[SHA256_CBLOCK]; /* of the last time, filled up with zeros */
	SHA256_CTX inner, outer;    /* after their first block, which is all of the key */
};

struct crypto_mac *crypto_mac_new(void)
{
	return calloc(1, sizeof(struct crypto_mac));
}

static bool begin(SHA256_CTX *ctx, const uint8_t key[SHA256_CBLOCK], uint8_t pad)
{
	uint8_t block[SHA256_CBLOCK];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	return SHA256_Init(ctx) == 1 && SHA256_Update(ctx, block, sizeof(block)) == 1;
}

/* In the same time whatever they are, and in few steps: crypto_equal takes a byte at a time. */
static bool is_same(const uint8_t a[SHA256_CBLOCK], const uint8_t b[SHA256_CBLOCK])
{
	uint64_t differ = 0;

	for (size_t i = 0; i < SHA256_CBLOCK; i += 8)
		differ |= get_be64(a + i) ^ get_be64(b + i);
	return differ == 0;
}

static bool take_key(struct crypto_mac *m, struct bytes key)
{
	uint8_t block[SHA256_CBLOCK] = { 0 };

	if (key.n > sizeof(block) && crypto_sha256(&key, 1, block) != 0)
		return false;
	if (key.n > 0 && key.n <= sizeof(block))
		memcpy(block, key.p, key.n);
	if (m->keyed && is_same(block, m->key))
		return true;
	memcpy(m->key, block, sizeof(block));
	m->keyed = begin(&m->inner, block, 0x36) && begin(&m->outer, block, 0x5c);
	return m->keyed;
}

int crypto_mac_sign(struct crypto_mac *m, struct bytes key, const struct bytes *part, size_t n,
	uint8_t out[SHA256_LEN])
{
	SHA256_CTX ctx;
	bool ok = take_key(m, key);

	ctx = m->inner;
	for (size_t i = 0; ok && i < n; i++)
		ok = SHA256_Update(&ctx, part[i].p, part[i].n) == 1;
	ok = ok && SHA256_Final(out, &ctx) == 1;
	ctx = m->outer;
	ok = ok && SHA256_Update(&ctx, out, SHA256_LEN) == 1 && SHA256_Final(out, &ctx) == 1;
	return ok ? 0 : ERR_CRYPTO;
}

void crypto_mac_free(struct crypto_mac *m)
{
	if (m != NULL)
		crypto_wipe(m, sizeof(*m));
	free(m);
}
