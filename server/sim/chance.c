/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/chance.h"

#include <math.h>

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void chance_init(struct chance *r, uint64_t seed)
{
	for (size_t i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		r->s[i] = z ^ z >> 31;
	}
}

uint64_t chance_u64(struct chance *r)
{
	uint64_t *s = r->s, out = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return out;
}

double chance_unit(struct chance *r)
{
	return (double)(chance_u64(r) >> 11) * 0x1p-53;
}

/* From success to success: as many draws as there are successes. */
static uint32_t by_gaps(struct chance *r, uint32_t n, double p)
{
	double at = 0, scale = log1p(-p);
	uint32_t k = 0;

	for (;;) {
		at += floor(log1p(-chance_unit(r)) / scale) + 1;
		if (at > n)
			return k;
		k++;
	}
}

static double log_choose(double n, double k)
{
	int sign;

	return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

/* Transformed rejection (Hoermann 1993, BTRS); n * p >= 10 and p <= 1/2. */
static uint32_t by_rejection(struct chance *r, uint32_t trials, double p)
{
	double n = trials, spread = sqrt(n * p * (1 - p)), odds = p / (1 - p);
	double b = 1.15 + 2.53 * spread, a = -.0873 + .0248 * b + .01 * p;
	double c = n * p + .5, fast = .92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread;
	double mode = floor((n + 1) * p), at_mode = log_choose(n, mode);

	for (;;) {
		double u = chance_unit(r) - .5, v = chance_unit(r), us = .5 - fabs(u), k;
		if (us <= 0)
			continue;
		k = floor((2 * a / us + b) * u + c);
		if (us >= .07 && v <= fast)
			return (uint32_t)k;
		if (k < 0 || k > n || v <= 0)
			continue;
		v = log(v * alpha / (a / (us * us) + b));
		if (v <= log_choose(n, k) - at_mode + (k - mode) * log(odds))
			return (uint32_t)k;
	}
}

uint32_t chance_binomial(struct chance *r, uint32_t n, double p)
{
	if (n == 0 || !(p > 0))
		return 0;
	if (p >= 1)
		return n;
	if (p > .5)
		return n - chance_binomial(r, n, 1 - p);
	return n * p < 10 ? by_gaps(r, n, p) : by_rejection(r, n, p);
}

void chance_deal(struct chance *r, uint32_t n, const double *weight, size_t parts, uint32_t *out)
{
	double left = 0;

	for (size_t i = 0; i < parts; i++)
		left += weight[i];
	for (size_t i = 0; i < parts; i++) {
		out[i] = i + 1 == parts ? n : chance_binomial(r, n, weight[i] / left);
		n -= out[i];
		left -= weight[i];
	}
}
