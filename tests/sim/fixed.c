/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would be drawn is drawn from the seed, in both processes, and signatures are toys.  (--real signs
 * with Ed25519, and a signature that was verified once is known.)
 */
#include <assert.h>
#include <stdlib.h>

#include "proto/bucket.h"
#include "tests/lib/toy_signature.h"
#include "tests/sim/fixed.h"
#include "tests/sim/sim.h"

#define KNOWN 65536u

bool fixed_real;

int __wrap_crypto_random(void *out, size_t n);
int __wrap_crypto_key_generate(enum key_scheme scheme, struct crypto_key **out);
int __wrap_crypto_key_sign(
	const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN]);
int __real_crypto_key_sign(
	const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN]);
int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);
int __real_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);

int __wrap_crypto_random(void *out, size_t n)
{
	chance_fill(&world_sim.crypto, out, n);
	return 0;
}

/* PKCS#8: an Ed25519 key is 32 bytes of anything.  Phones bring keys of their own kind. */
int __wrap_crypto_key_generate(enum key_scheme scheme, struct crypto_key **out)
{
	static const uint8_t head[] = { 0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4,
		0x22, 4, 0x20 };
	uint8_t der[sizeof(head) + 32];

	assert(scheme == KEY_ED25519);
	memcpy(der, head, sizeof(head));
	chance_fill(&world_sim.crypto, der + sizeof(head), 32);
	return crypto_key_read(bytes_of(der, sizeof(der)), out);
}

int __wrap_crypto_key_sign(const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN])
{
	uint8_t public_key[PUBLIC_MAX];

	if (fixed_real)
		return __real_crypto_key_sign(key, message, sig);
	toy_sign(bytes_of(public_key, crypto_key_public(key, public_key)), message, sig);
	return 0;
}

static bool is_known(
	struct bytes public_key, struct bytes message, const uint8_t *sig, uint64_t **place)
{
	static uint64_t known[KNOWN];
	uint64_t h = hash64(public_key.p, public_key.n) * 31 + hash64(message.p, message.n);

	h = h * 31 + hash64(sig, SIG_LEN);
	*place = &known[h % KNOWN];
	if (**place == h)
		return true;
	**place = h;
	return false;
}

int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN])
{
	uint64_t *place;
	int err;

	if (!fixed_real || scheme == KEY_P256)
		return toy_verify(public_key, message, sig);
	if (is_known(public_key, message, sig, &place))
		return 0;
	err = __real_crypto_key_verify(scheme, public_key, message, sig);
	if (err != 0)
		*place = 0;
	return err;
}
