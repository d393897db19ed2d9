/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of struct huidu_crypto on proto/crypto, and struct crypto on those hooks.
 */
#include "client-sdk/src/private.h"

static int own_sha256(void *ctx, const void *data, size_t len, uint8_t out[SHA256_LEN])
{
	struct bytes part = bytes_of(data, len);

	(void)ctx;
	return crypto_sha256(&part, 1, out);
}

static int own_hmac(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
	uint8_t out[SHA256_LEN])
{
	const struct crypto *c = crypto_openssl();

	(void)ctx;
	return c->hmac(c->ctx, bytes_of(key, key_len), bytes_of(data, len), out);
}

static int own_verify(void *ctx, uint32_t scheme, const uint8_t *key, size_t key_len,
	const uint8_t *message, size_t len, const uint8_t sig[SIG_LEN])
{
	(void)ctx;
	return crypto_key_verify(scheme, bytes_of(key, key_len), bytes_of(message, len), sig);
}

static int own_hash_start(void *ctx)
{
	return crypto_hash_start(((struct own_crypto *)ctx)->hash);
}

static int own_hash_add(void *ctx, const void *data, size_t len)
{
	return crypto_hash_add(((struct own_crypto *)ctx)->hash, data, len);
}

static int own_hash_end(void *ctx, uint8_t out[SHA256_LEN])
{
	return crypto_hash_end(((struct own_crypto *)ctx)->hash, out);
}

static int own_device_key(void *ctx, uint8_t point[P256_PUBLIC_LEN])
{
	const struct own_crypto *own = ctx;

	if (own->key == NULL)
		return ERR_CRYPTO;
	return crypto_key_public(own->key, point) == P256_PUBLIC_LEN ? 0 : ERR_CRYPTO;
}

static int own_device_sign(void *ctx, const uint8_t *message, size_t len, uint8_t sig[SIG_LEN])
{
	const struct own_crypto *own = ctx;

	if (own->key == NULL)
		return ERR_CRYPTO;
	return crypto_key_sign(own->key, bytes_of(message, len), sig);
}

int own_crypto_open(huidu_t *h)
{
	h->own.hash = crypto_hash_new();
	if (h->own.hash == NULL)
		return ERR_NO_ROOM;
	h->hooks = (struct huidu_crypto){ .size = sizeof(h->hooks),
		.ctx = &h->own,
		.sha256 = own_sha256,
		.hmac_sha256 = own_hmac,
		.verify = own_verify,
		.hash_start = own_hash_start,
		.hash_add = own_hash_add,
		.hash_end = own_hash_end,
		.device_key = own_device_key,
		.device_sign = own_device_sign };
	return 0;
}

void own_crypto_close(huidu_t *h)
{
	crypto_hash_free(h->own.hash);
	crypto_key_free(h->own.key);
	h->own = (struct own_crypto){ 0 };
}

int own_crypto_key(huidu_t *h, struct state *next)
{
	size_t n = 0;
	int err = 0;

	if (h->own.hash == NULL) /* the device has its own */
		return 0;
	if (h->own.key == NULL && next->key_len > 0)
		err = crypto_key_read(bytes_of(next->key, next->key_len), &h->own.key);
	else if (h->own.key == NULL)
		err = crypto_key_generate(KEY_P256, &h->own.key);
	if (err != 0 || next->key_len > 0)
		return err;
	err = crypto_key_write(h->own.key, next->key, &n);
	next->key_len = (uint32_t)n;
	return err;
}

static int hook_sha256(void *ctx, const void *data, size_t n, uint8_t out[SHA256_LEN])
{
	const struct huidu_crypto *c = ctx;

	return c->sha256(c->ctx, data, n, out);
}

static int hook_hmac(void *ctx, struct bytes key, struct bytes message, uint8_t out[SHA256_LEN])
{
	const struct huidu_crypto *c = ctx;

	return c->hmac_sha256(c->ctx, key.p, key.n, message.p, message.n, out);
}

static int hook_verify(void *ctx, uint32_t scheme, struct bytes public_key, struct bytes message,
	const uint8_t sig[SIG_LEN])
{
	const struct huidu_crypto *c = ctx;

	return c->verify(c->ctx, scheme, public_key.p, public_key.n, message.p, message.n, sig);
}

void crypto_adapt(huidu_t *h)
{
	h->crypto = (struct crypto){ hook_sha256, hook_hmac, hook_verify, &h->hooks };
}
