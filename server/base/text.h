/* SPDX-License-Identifier: Apache-2.0 */
/* Words and numbers as people write them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "90s", "15m", "4h", "7d", "250ms"; a bare number is refused. */
bool text_duration(const char *s, uint64_t *ms);
/* "1 %", "0.5%" or a bare whole number of parts per million. */
bool text_ppm(const char *s, uint32_t *ppm);
/* "64 MiB", "1GiB", "4096". */
bool text_size(const char *s, uint64_t *bytes);
/* All of `s` is a whole decimal number. */
bool text_u64(const char *s, uint64_t *out);

/* The same word; NULL is none. */
bool text_same(const char *a, const char *b);
/*
 * The entry of `words` (NULL at the end) that `s` most likely meant, or NULL when none is within
 * two typing errors.
 */
const char *text_nearest(const char *s, const char *const *words);
