/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/sha1.h"

#include <openssl/evp.h>

/* The context itself, under a name of ours. */
static EVP_MD_CTX *ctx_of(struct sha1 *s)
{
	return (EVP_MD_CTX *)s;
}

struct sha1 *sha1_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	return (struct sha1 *)ctx;
}

int sha1_add(struct sha1 *s, const void *data, size_t n)
{
	return EVP_DigestUpdate(ctx_of(s), data, n) == 1 ? 0 : ERR_CRYPTO;
}

int sha1_end(struct sha1 *s, uint8_t out[SHA1_LEN])
{
	return EVP_DigestFinal_ex(ctx_of(s), out, NULL) == 1 ? 0 : ERR_CRYPTO;
}

void sha1_free(struct sha1 *s)
{
	EVP_MD_CTX_free(ctx_of(s));
}
