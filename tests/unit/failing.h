/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptography that works for a while: whatever comes after must not be believed. */
#pragma once

#include "proto/crypto.h"

struct failing {
	struct crypto hooks; /* what is tested gets this */
	unsigned left;       /* calls that work */
	unsigned failed;
};

static inline bool failing_now(void *ctx)
{
	struct failing *f = ctx;

	f->failed += f->left == 0;
	if (f->left == 0)
		return true;
	f->left--;
	return false;
}

static inline int failing_sha256(void *ctx, const void *data, size_t n, uint8_t out[SHA256_LEN])
{
	return failing_now(ctx) ? ERR_CRYPTO : crypto_openssl()->sha256(NULL, data, n, out);
}

static inline int failing_hmac(
	void *ctx, struct bytes key, struct bytes message, uint8_t out[SHA256_LEN])
{
	return failing_now(ctx) ? ERR_CRYPTO : crypto_openssl()->hmac(NULL, key, message, out);
}

static inline int failing_verify(void *ctx, uint32_t scheme, struct bytes public_key,
	struct bytes message, const uint8_t sig[SIG_LEN])
{
	return failing_now(ctx) ? ERR_CRYPTO : crypto_key_verify(scheme, public_key, message, sig);
}

static inline void failing_after(struct failing *f, unsigned calls)
{
	f->hooks = (struct crypto){ failing_sha256, failing_hmac, failing_verify, f };
	f->left = calls;
	f->failed = 0;
}
