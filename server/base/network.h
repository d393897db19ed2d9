/* SPDX-License-Identifier: Apache-2.0 */
/* "10.0.0.0/8", "2001:db8::/32", "192.0.2.1": which addresses are of a network. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"

/* An address as IPv6 has it; one of IPv4 is ::ffff:a.b.c.d. */
#define NETWORK_ADDRESS 16u

struct network {
	uint8_t at[NETWORK_ADDRESS];
	unsigned bits; /* of `at` that count */
};

/* An address alone is a network of one.  ERR_CONFIG: it is none, or has bits beyond its length. */
WARN_UNUSED int network_read(const char *text, struct network *out);
bool network_has(const struct network *n, const uint8_t address[NETWORK_ADDRESS]);
