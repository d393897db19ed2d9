/* SPDX-License-Identifier: Apache-2.0 */
/* How often which time was seen, in buckets 3 % wide. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BUCKETS (64 * 32)

struct histogram {
	uint64_t n, max_ns;
	uint64_t seen[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The end of the bucket below which `share` of all are; 0 when there are none. */
double histogram_us(const struct histogram *h, double share);
