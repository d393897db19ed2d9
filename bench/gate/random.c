/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gate/random.h"

#include <math.h>

void random_seed(struct random *r, uint64_t run)
{
	chance_init(&r->chance, run);
}

uint64_t random_u64(struct random *r)
{
	return chance_u64(&r->chance);
}

double random_uniform(struct random *r)
{
	return ((double)(random_u64(r) >> 12) + .5) * 0x1p-52;
}

bool random_chance(struct random *r, double p)
{
	return random_uniform(r) < p;
}

uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)((random_u64(r) >> 32) * n >> 32);
}

double random_exponential(struct random *r)
{
	return -log(random_uniform(r));
}

/* Polar method; the second of the pair is not kept, so that the state is all there is. */
static double normal(struct random *r)
{
	double x, y, s;

	do {
		x = 2 * random_uniform(r) - 1;
		y = 2 * random_uniform(r) - 1;
		s = x * x + y * y;
	} while (s >= 1 || s == 0);
	return x * sqrt(-2 * log(s) / s);
}

/* Marsaglia and Tsang 2000. */
double random_gamma(struct random *r, double shape)
{
	double d, c, x, v;

	if (shape < 1)
		return random_gamma(r, shape + 1) * pow(random_uniform(r), 1 / shape);
	d = shape - 1.0 / 3;
	c = 1 / sqrt(9 * d);
	do {
		do {
			x = normal(r);
			v = 1 + c * x;
		} while (v <= 0);
		v = v * v * v;
	} while (log(random_uniform(r)) >= .5 * x * x + d - d * v + d * log(v));
	return d * v;
}

double random_pareto(struct random *r, double shape, double least)
{
	return least * pow(random_uniform(r), -1 / shape);
}

/* Where to stop halving and to count one by one. */
#define FEW 16

/* Arrivals at unit rate within `mean`.  While it is long, jump to the m-th arrival first. */
uint64_t random_poisson(struct random *r, double mean)
{
	uint64_t n = 0;

	while (mean > FEW) {
		uint64_t m = (uint64_t)(mean * 7 / 8);
		double at = random_gamma(r, (double)m);
		if (at > mean)
			return n + random_binomial(r, m - 1, mean / at);
		n += m;
		mean -= at;
	}
	for (double at = random_exponential(r); at < mean; at += random_exponential(r))
		n++;
	return n;
}

/* Successes one by one, by the geometric gaps between them; p < 1. */
static uint64_t binomial_few(struct random *r, uint64_t n, double p)
{
	double at = 0, scale = -1 / log1p(-p);
	uint64_t x = 0;

	if (p <= 0)
		return 0;
	for (;;) {
		at += floor(random_exponential(r) * scale) + 1;
		if (at > (double)n)
			return x;
		x++;
	}
}

/*
 * How many of n uniforms lie below p.  While that is many, draw the uniform of middle rank, which
 * is beta distributed, and go on with the side on which p lies.
 */
uint64_t random_binomial(struct random *r, uint64_t n, double p)
{
	uint64_t x = 0;

	while ((double)n * fmin(p, 1 - p) > FEW) {
		uint64_t rank = n / 2 + 1;
		double below = random_gamma(r, (double)rank);
		double at = below / (below + random_gamma(r, (double)(n + 1 - rank)));
		if (at >= p) {
			n = rank - 1;
			p = p / at;
		} else {
			x += rank;
			n -= rank;
			p = (p - at) / (1 - at);
		}
	}
	return x + (p <= .5 ? binomial_few(r, n, p) : n - binomial_few(r, n, 1 - p));
}
