/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the log (RFC 6962, section 2.1), kept as the roots of its complete
 * subtrees: adding an entry and asking for the root both cost log2(size) hashes, and who keeps them
 * can follow the log without ever seeing an entry again.
 *
 * All functions return 0, ERR_CRYPTO when the library fails, or what they say besides.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/wire.h"

#define MERKLE_LEVELS   63u /* sizes are below 2^63 */
#define MERKLE_SIZE_MAX (1ull << 62)

struct merkle {
	uint64_t size; /* entries */
	/* The root of 2^i entries is valid where bit i of size is set. */
	uint8_t subtree[MERKLE_LEVELS][SHA256_LEN];
};

/* Uses entry.n + 1 bytes of the arena, and gives them back; ERR_NO_ROOM. */
WARN_UNUSED int merkle_leaf(
	const struct crypto *c, struct bytes entry, struct arena *a, uint8_t out[SHA256_LEN]);
/* `out` may be `left` or `right`. */
WARN_UNUSED int merkle_node(
	const struct crypto *c, const uint8_t *left, const uint8_t *right, uint8_t out[SHA256_LEN]);
WARN_UNUSED int merkle_add(
	const struct crypto *c, struct merkle *m, const uint8_t leaf[SHA256_LEN]);
/* Of the empty tree it is SHA-256 of nothing, as RFC 6962 says. */
WARN_UNUSED int merkle_root(
	const struct crypto *c, const struct merkle *m, uint8_t out[SHA256_LEN]);

/* The level of the largest complete subtree that begins at `from` and ends at or before `size`. */
unsigned merkle_step(uint64_t from, uint64_t size);
/*
 * Goes on to `size` entries, of which the roots of complete subtrees are given, left to right, as
 * merkle_step() cuts them.  ERR_MALFORMED when they are not as many; then `m` is as it was.
 */
WARN_UNUSED int merkle_extend(
	const struct crypto *c, struct merkle *m, uint64_t size, struct bytes hashes);

/* An entry's place and the hashes that lead from it to the root: its siblings, from the leaf up. */
struct merkle_path {
	uint64_t index, size;
	const uint8_t *const *hash; /* SHA256_LEN each */
	size_t n;
};
/* ERR_NOT_LOGGED when the leaf at this place does not lead to `root`. */
WARN_UNUSED int merkle_included(const struct crypto *c, const uint8_t leaf[SHA256_LEN],
	const struct merkle_path *path, const uint8_t root[SHA256_LEN]);
