/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded chance: the same seed, the same world, on every machine with the same libm. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* xoshiro256** */
struct chance {
	uint64_t s[4];
};

void chance_init(struct chance *r, uint64_t seed);
uint64_t chance_u64(struct chance *r);
double chance_unit(struct chance *r); /* in [0, 1) */
/* How many of n succeed, each with chance p; p outside 0..1 is taken as the nearer end. */
uint32_t chance_binomial(struct chance *r, uint32_t n, double p);
/* Deals n into `parts` bins by weight; the weights need not sum to 1. */
void chance_deal(struct chance *r, uint32_t n, const double *weight, size_t parts, uint32_t *out);
