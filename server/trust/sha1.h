/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 of a file that comes in pieces: what other servers' clients compare, and nothing rests on. */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

#define SHA1_LEN 20u

struct sha1;
/* NULL when the library fails. */
struct sha1 *sha1_new(void);
WARN_UNUSED int sha1_add(struct sha1 *s, const void *data, size_t n);
WARN_UNUSED int sha1_end(struct sha1 *s, uint8_t out[SHA1_LEN]);
void sha1_free(struct sha1 *s);
