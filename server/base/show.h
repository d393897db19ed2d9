/* SPDX-License-Identifier: Apache-2.0 */
/* How counts, shares, times and evidence look, wherever a person reads them. */
#pragma once

#include <stdint.h>

/* Short texts, by value: valid to the end of the statement they are made in. */
struct shown {
	char s[40];
};
struct shown show_count(uint64_t n);                     /* 1,234,567 */
struct shown show_share(uint32_t ppm);                   /* 1 %, 0.5 % */
struct shown show_range(uint32_t lower, uint32_t upper); /* 1 to 10 % */
struct shown show_age(uint64_t ms);                      /* 3h12m */
struct shown show_size(uint64_t bytes);                  /* 412.0 MiB */
struct shown show_ratio(double ratio);                   /* 1.25x */
struct shown show_odds(double log_k);                    /* 4.4 : 1 */
struct shown show_minute(uint64_t unix_ms);              /* 2026-11-21 18:56 */
