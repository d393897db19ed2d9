/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/front/histogram.h"

#include <math.h>

/* The five bits after the first that is set, and where that is. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned octave;

	if (ns < 32)
		return (unsigned)ns;
	octave = 63u - (unsigned)__builtin_clzll(ns);
	return (octave - 4) * 32 + (unsigned)(ns >> (octave - 5) & 31);
}

static double end_ns(unsigned bucket)
{
	if (bucket < 32)
		return bucket + 1;
	return ldexp(32 + bucket % 32 + 1, (int)(bucket / 32) - 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->n++;
	h->seen[bucket_of(ns)]++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

double histogram_us(const struct histogram *h, double share)
{
	uint64_t want = (uint64_t)ceil(share * (double)h->n), sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		sum += h->seen[i];
		if (sum >= want && sum > 0)
			return end_ns(i) / 1e3;
	}
	return 0;
}
