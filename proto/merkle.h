/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the log (RFC 6962, section 2.1), kept as the roots of its complete
 * subtrees: adding an entry and asking for the root both cost log2(size) hashes.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

#define MERKLE_LEVELS 64u

struct merkle {
	uint64_t size; /* entries */
	/* The root of 2^i entries is valid where bit i of size is set. */
	uint8_t subtree[MERKLE_LEVELS][SHA256_LEN];
};

WARN_UNUSED int merkle_leaf(struct bytes entry, uint8_t out[SHA256_LEN]);
WARN_UNUSED int merkle_add(struct merkle *m, const uint8_t leaf[SHA256_LEN]);
/* Of the empty tree it is SHA-256 of nothing, as RFC 6962 says. */
WARN_UNUSED int merkle_root(const struct merkle *m, uint8_t out[SHA256_LEN]);
