/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bucket.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PRODUCT_MAX 64u

static uint64_t hash(
	const char *domain, const uint8_t *seed, const uint8_t *id, const char *product)
{
	uint8_t text[16 + SEED_LEN + ID_LEN + PRODUCT_MAX];
	size_t d = strlen(domain), n = strlen(product);

	assert(d <= 16 && n <= PRODUCT_MAX);
	memcpy(text, domain, d);
	memcpy(text + d, seed, SEED_LEN);
	memcpy(text + d + SEED_LEN, id, ID_LEN);
	memcpy(text + d + SEED_LEN + ID_LEN, product, n);
	return XXH3_64bits(text, d + SEED_LEN + ID_LEN + n);
}

/* h * PPM >> 64 without a 128-bit product. */
static uint32_t scale(uint64_t h)
{
	uint64_t high = (h >> 32) * PPM, low = (h & UINT32_MAX) * PPM;

	return (uint32_t)((high + (low >> 32)) >> 32);
}

uint32_t bucket_of(const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product)
{
	return scale(hash("", seed, id, product));
}

uint32_t bucket_admission(
	const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product)
{
	return scale(hash("admit", seed, id, product));
}

uint64_t bucket_seat(const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN])
{
	return hash("seat", seed, id, "");
}

uint64_t hash64(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

uint64_t hash64_seeded(const void *p, size_t n, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, n, seed);
}
