/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/merkle.h"

#include <assert.h>

#define NODE_LEN (1 + 2 * SHA256_LEN)

int merkle_leaf(
	const struct crypto *c, struct bytes entry, struct arena *a, uint8_t out[SHA256_LEN])
{
	size_t used = a->used;
	uint8_t *p = arena_alloc(a, entry.n + 1);
	int err;

	if (p == NULL)
		return ERR_NO_ROOM;
	p[0] = 0;
	memcpy(p + 1, entry.p, entry.n);
	err = c->sha256(c->ctx, p, entry.n + 1, out);
	a->used = used;
	return err;
}

int merkle_node(
	const struct crypto *c, const uint8_t *left, const uint8_t *right, uint8_t out[SHA256_LEN])
{
	uint8_t in[NODE_LEN];

	in[0] = 1;
	memcpy(in + 1, left, SHA256_LEN);
	memcpy(in + 1 + SHA256_LEN, right, SHA256_LEN);
	return c->sha256(c->ctx, in, sizeof(in), out);
}

/* Adds the root of 2^level entries; those before it are complete down to that level. */
static int add(
	const struct crypto *c, struct merkle *m, const uint8_t root[SHA256_LEN], unsigned level)
{
	uint8_t carry[SHA256_LEN];
	unsigned l = level;

	memcpy(carry, root, SHA256_LEN);
	for (; m->size >> l & 1; l++) {
		int err = merkle_node(c, m->subtree[l], carry, carry);
		if (err != 0)
			return err;
	}
	memcpy(m->subtree[l], carry, SHA256_LEN);
	m->size += 1ull << level;
	return 0;
}

int merkle_add(const struct crypto *c, struct merkle *m, const uint8_t leaf[SHA256_LEN])
{
	assert(m->size < MERKLE_SIZE_MAX);
	return add(c, m, leaf, 0);
}

int merkle_root(const struct crypto *c, const struct merkle *m, uint8_t out[SHA256_LEN])
{
	bool any = false;

	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		int err = 0;
		if ((m->size >> level & 1) == 0)
			continue;
		if (any)
			err = merkle_node(c, m->subtree[level], out, out);
		else
			memcpy(out, m->subtree[level], SHA256_LEN);
		if (err != 0)
			return err;
		any = true;
	}
	return any ? 0 : c->sha256(c->ctx, "", 0, out);
}

unsigned merkle_step(uint64_t from, uint64_t size)
{
	unsigned level = 0;

	assert(from < size && size <= MERKLE_SIZE_MAX);
	while ((from >> level & 1) == 0 && size - from >= 2ull << level)
		level++;
	return level;
}

int merkle_extend(const struct crypto *c, struct merkle *m, uint64_t size, struct bytes hashes)
{
	struct merkle next = *m;

	if (size < m->size || size > MERKLE_SIZE_MAX)
		return ERR_MALFORMED;
	while (next.size < size) {
		int err;
		if (hashes.n < SHA256_LEN)
			return ERR_MALFORMED;
		err = add(c, &next, hashes.p, merkle_step(next.size, size));
		if (err != 0)
			return err;
		hashes = bytes_of(hashes.p + SHA256_LEN, hashes.n - SHA256_LEN);
	}
	if (hashes.n != 0)
		return ERR_MALFORMED;
	*m = next;
	return 0;
}

/* RFC 9162, section 2.1.3.2. */
int merkle_included(const struct crypto *c, const uint8_t leaf[SHA256_LEN],
	const struct merkle_path *path, const uint8_t root[SHA256_LEN])
{
	uint64_t at = path->index, last = path->size - 1;
	uint8_t hash[SHA256_LEN];

	if (path->index >= path->size)
		return ERR_NOT_LOGGED;
	memcpy(hash, leaf, SHA256_LEN);
	for (size_t i = 0; i < path->n; i++) {
		bool right = (at & 1) != 0 || at == last;
		int err;
		if (last == 0)
			return ERR_NOT_LOGGED;
		/* A right edge without a sibling goes up as it is. */
		while (right && (at & 1) == 0) {
			at >>= 1;
			last >>= 1;
		}
		err = right ? merkle_node(c, path->hash[i], hash, hash)
			    : merkle_node(c, hash, path->hash[i], hash);
		if (err != 0)
			return err;
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && memcmp(hash, root, SHA256_LEN) == 0 ? 0 : ERR_NOT_LOGGED;
}
