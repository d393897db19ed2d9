/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's tree in memory: all leaves and all complete subtrees, 64 bytes an entry (as much again
 * is set aside, at most, and not touched).
 *
 * One thread adds; any thread may read what a size it was given covers, without a lock.  Why that
 * is safe: a node lies in a chunk that never moves, and is written once, before the size that
 * covers it is stored (released).  Who has that size, from logtree_size() or from something that was
 * handed over after it, sees the node; nobody looks beyond the size he has.
 *
 * A size beyond the tree's is a bug of the caller's and ends the program.  Memory that is out ends
 * the server.  What returns int returns 0 or ERR_CRYPTO.
 */
#pragma once

#include "proto/merkle.h"
#include "server/base/buf.h"

struct logtree;

struct logtree *logtree_new(void);
void logtree_free(struct logtree *t);

WARN_UNUSED int logtree_add(struct logtree *t, const uint8_t leaf[SHA256_LEN]);
uint64_t logtree_size(const struct logtree *t);
/* Of the tree when it had `size` entries. */
WARN_UNUSED int logtree_root(const struct logtree *t, uint64_t size, uint8_t out[SHA256_LEN]);

#define LOGTREE_PATH_MAX MERKLE_LEVELS
/* Siblings from the leaf up; `*n` of them.  `index` is below `size`. */
WARN_UNUSED int logtree_inclusion(const struct logtree *t, uint64_t index, uint64_t size,
	uint8_t out[LOGTREE_PATH_MAX][SHA256_LEN], size_t *n);

#define LOGTREE_EXTENSION_MAX (2 * MERKLE_LEVELS)
/* What merkle_extend() needs to get from one size to the other; returns how many hashes. */
size_t logtree_extension(const struct logtree *t, uint64_t from, uint64_t size,
	uint8_t out[LOGTREE_EXTENSION_MAX][SHA256_LEN]);

#define LOGTREE_TILE 256u
/*
 * A tile of c2sp.org/tlog-tiles: `width` (1..256) hashes of level 8 * `level`, from `index` * 256 on.
 * False when a tree of `size` entries has not that many.
 */
bool logtree_tile(const struct logtree *t, uint64_t size, unsigned level, uint64_t index,
	unsigned width, struct buf *out);
