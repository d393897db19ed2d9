/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/logtree.h"

#include <assert.h>
#include <stdatomic.h>

#include "server/base/mem.h"

/* Chunk k of a level holds FIRST << k nodes: few chunks, and none ever moves. */
#define FIRST  64u
#define CHUNKS 48u

struct level {
	uint8_t (*chunk[CHUNKS])[SHA256_LEN];
};

struct logtree {
	_Atomic uint64_t size;
	struct level level[MERKLE_LEVELS];
};

struct logtree *logtree_new(void)
{
	return mem_zalloc(sizeof(struct logtree));
}

void logtree_free(struct logtree *t)
{
	if (t == NULL)
		return;
	for (unsigned l = 0; l < MERKLE_LEVELS; l++)
		for (unsigned k = 0; k < CHUNKS; k++)
			free(t->level[l].chunk[k]);
	free(t);
}

uint64_t logtree_size(const struct logtree *t)
{
	return atomic_load_explicit(&t->size, memory_order_acquire);
}

/* Chunk k begins at node FIRST * (2^k - 1). */
static unsigned chunk_of(uint64_t i, uint64_t *at)
{
	unsigned k = 63u - (unsigned)__builtin_clzll(i / FIRST + 1);

	*at = i - FIRST * ((1ull << k) - 1);
	return k;
}

/* The root of the 2^level entries from i * 2^level on. */
static const uint8_t *node(const struct logtree *t, unsigned level, uint64_t i)
{
	uint64_t at;
	unsigned k = chunk_of(i, &at);

	return t->level[level].chunk[k][at];
}

static uint8_t *new_node(struct logtree *t, unsigned level, uint64_t i)
{
	uint64_t at;
	unsigned k = chunk_of(i, &at);
	struct level *l = &t->level[level];

	assert(k < CHUNKS);
	if (l->chunk[k] == NULL)
		l->chunk[k] = mem_alloc(((size_t)FIRST << k) * SHA256_LEN);
	return l->chunk[k][at];
}

int logtree_add(struct logtree *t, const uint8_t leaf[SHA256_LEN])
{
	uint64_t i = atomic_load_explicit(&t->size, memory_order_relaxed);
	uint64_t size = i + 1;

	memcpy(new_node(t, 0, i), leaf, SHA256_LEN);
	for (unsigned l = 1; (i & 1) != 0; l++) {
		int err = merkle_node(crypto_openssl(), node(t, l - 1, i - 1), node(t, l - 1, i),
			new_node(t, l, i >> 1));
		if (err != 0)
			return err;
		i >>= 1;
	}
	atomic_store_explicit(&t->size, size, memory_order_release);
	return 0;
}

/*
 * The root of the entries from `from`, where a subtree larger than all of them begins, to `size`:
 * the complete subtrees on the right edge, put together from the right.
 */
static int edge(const struct logtree *t, uint64_t from, uint64_t size, uint8_t out[SHA256_LEN])
{
	uint64_t n = size - from;
	bool any = false;

	for (unsigned l = 0; n >> l > 0; l++) {
		const uint8_t *left;
		int err = 0;
		if ((n >> l & 1) == 0)
			continue;
		left = node(t, l, (size >> l) - 1);
		if (any)
			err = merkle_node(crypto_openssl(), left, out, out);
		else
			memcpy(out, left, SHA256_LEN);
		if (err != 0)
			return err;
		any = true;
	}
	return any ? 0 : crypto_sha256(NULL, 0, out);
}

int logtree_root(const struct logtree *t, uint64_t size, uint8_t out[SHA256_LEN])
{
	assert(size <= logtree_size(t));
	return edge(t, 0, size, out);
}

int logtree_inclusion(const struct logtree *t, uint64_t index, uint64_t size,
	uint8_t out[LOGTREE_PATH_MAX][SHA256_LEN], size_t *n)
{
	uint64_t at = index, last = size - 1;

	assert(index < size && size <= logtree_size(t));
	*n = 0;
	for (unsigned l = 0; last > 0; l++, at >>= 1, last >>= 1) {
		uint64_t sibling = at ^ 1;
		int err = 0;
		if (sibling > last)
			continue; /* a right edge without one goes up as it is */
		if ((sibling + 1) << l <= size)
			memcpy(out[*n], node(t, l, sibling), SHA256_LEN);
		else
			err = edge(t, sibling << l, size, out[*n]);
		if (err != 0)
			return err;
		(*n)++;
	}
	return 0;
}

size_t logtree_extension(const struct logtree *t, uint64_t from, uint64_t size,
	uint8_t out[LOGTREE_EXTENSION_MAX][SHA256_LEN])
{
	size_t n = 0;

	assert(size <= logtree_size(t));
	while (from < size) {
		unsigned l = merkle_step(from, size);
		memcpy(out[n++], node(t, l, from >> l), SHA256_LEN);
		from += 1ull << l;
	}
	return n;
}

bool logtree_tile(const struct logtree *t, uint64_t size, unsigned level, uint64_t index,
	unsigned width, struct buf *out)
{
	uint64_t have;

	assert(size <= logtree_size(t));
	if (8 * level >= MERKLE_LEVELS || width == 0 || width > LOGTREE_TILE)
		return false;
	have = size >> 8 * level;
	if (index > have / LOGTREE_TILE || index * LOGTREE_TILE + width > have)
		return false;
	for (unsigned i = 0; i < width; i++)
		buf_add(out, node(t, 8 * level, index * LOGTREE_TILE + i), SHA256_LEN);
	return true;
}
