/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cryptographic operation of huidu, and the only user of OpenSSL's EVP in this folder.
 *
 * Verifying goes through `struct crypto`, so that a phone can put its own library or keystore
 * behind the SDK; signing and key files are for the server and the CLI.  All functions may be
 * called from any thread; one crypto_hash or crypto_mac by one thread at a time.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

enum key_scheme { KEY_ED25519 = 1, KEY_P256 = 2 };
#define ED25519_PUBLIC_LEN 32u
#define P256_PUBLIC_LEN    65u
#define PUBLIC_MAX         65u

/* What verifying needs.  Each returns 0, or ERR_CRYPTO when the library fails. */
struct crypto {
	int (*sha256)(void *ctx, const void *data, size_t n, uint8_t out[SHA256_LEN]);
	int (*hmac)(void *ctx, struct bytes key, struct bytes message, uint8_t out[SHA256_LEN]);
	/* `sig` is 64 bytes (Ed25519, or P-256 r||s); ERR_BAD_SIGNATURE when it is wrong. */
	int (*verify)(void *ctx, uint32_t scheme, struct bytes public_key, struct bytes message,
		const uint8_t sig[SIG_LEN]);
	void *ctx;
};

/* OpenSSL's; valid for ever. */
const struct crypto *crypto_openssl(void);

/* SHA-256 of the concatenation of `n` parts. */
WARN_UNUSED int crypto_sha256(const struct bytes *part, size_t n, uint8_t out[SHA256_LEN]);
WARN_UNUSED int crypto_random(void *out, size_t n);
/* Takes the same time whatever the bytes are. */
bool crypto_equal(const void *a, const void *b, size_t n);
void crypto_wipe(void *p, size_t n);

/* SHA-256 of bytes that come in pieces.  crypto_hash_new returns NULL when memory is out. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
WARN_UNUSED int crypto_hash_start(struct crypto_hash *h);
WARN_UNUSED int crypto_hash_add(struct crypto_hash *h, const void *data, size_t n);
WARN_UNUSED int crypto_hash_end(struct crypto_hash *h, uint8_t out[SHA256_LEN]);
void crypto_hash_free(struct crypto_hash *h);

/*
 * HMAC-SHA256.  Signing allocates nothing, and is cheapest under the key of the time before: keep one
 * crypto_mac for a key that is used again and again.  ERR_CRYPTO; new returns NULL when memory is out.
 */
struct crypto_mac;
struct crypto_mac *crypto_mac_new(void);
WARN_UNUSED int crypto_mac_sign(struct crypto_mac *m, struct bytes key, const struct bytes *part,
	size_t n, uint8_t out[SHA256_LEN]);
void crypto_mac_free(struct crypto_mac *m);

/* A private key.  Free with crypto_key_free, which takes NULL too. */
struct crypto_key;
WARN_UNUSED int crypto_key_generate(enum key_scheme scheme, struct crypto_key **out);
/* PEM, PKCS#8, as `openssl genpkey` writes it.  ERR_BAD_KEY, or -errno. */
WARN_UNUSED int crypto_key_load(const char *path, struct crypto_key **out);
/* Creates `path` with mode 0600; -EEXIST when it is there. */
WARN_UNUSED int crypto_key_save(const struct crypto_key *key, const char *path);
/* The private key as DER, for a device that keeps it in its state; and back.  ERR_BAD_KEY. */
#define KEY_DER_MAX 160u
WARN_UNUSED int crypto_key_write(const struct crypto_key *key, uint8_t out[KEY_DER_MAX], size_t *n);
WARN_UNUSED int crypto_key_read(struct bytes der, struct crypto_key **out);
enum key_scheme crypto_key_scheme(const struct crypto_key *key);
/* 32 or 65 bytes into `out`; returns how many. */
size_t crypto_key_public(const struct crypto_key *key, uint8_t out[PUBLIC_MAX]);
WARN_UNUSED int crypto_key_sign(
	const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN]);
void crypto_key_free(struct crypto_key *key);
/* With a public key as in trust.proto; ERR_BAD_SIGNATURE also when the key is no key. */
WARN_UNUSED int crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);
