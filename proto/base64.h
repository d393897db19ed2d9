/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding (RFC 4648, section 4), as signed notes have it. */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

/* Characters for `n` bytes, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(in.n) characters and returns how many. */
size_t base64_write(struct bytes in, char *out);
/*
 * At most `max` bytes into `out`.  ERR_MALFORMED: not canonical, ERR_NO_ROOM: more than `max`.
 */
WARN_UNUSED int base64_read(struct bytes text, uint8_t *out, size_t max, size_t *n);
