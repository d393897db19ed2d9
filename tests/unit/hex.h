/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes against literals. */
#pragma once

#include "proto/bytes.h"

static inline void check_hex(const uint8_t *have, size_t n, const char *want)
{
	char hex[2 * 65 + 1];

	assert_string_equal(hex_encode(hex, have, n), want);
}
