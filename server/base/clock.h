/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that asks what time it is; everything else is told. */
#pragma once

#include <stdint.h>

#define CLOCK_TEXT 25 /* "2026-11-21T18:56:00.123Z" and a NUL */

uint64_t clock_ms(void);      /* unix milliseconds */
uint64_t clock_mono_ms(void); /* never steps; for intervals */
uint64_t clock_boot_ms(void); /* the same, and counts the time the machine slept */
/* RFC 3339, UTC; returns `out`. */
const char *clock_text(uint64_t unix_ms, char out[CLOCK_TEXT]);
