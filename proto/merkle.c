/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/merkle.h"

#include "proto/crypto.h"

static const uint8_t leaf_prefix = 0, node_prefix = 1;

int merkle_leaf(struct bytes entry, uint8_t out[SHA256_LEN])
{
	struct bytes part[] = { bytes_of(&leaf_prefix, 1), entry };

	return crypto_sha256(part, 2, out);
}

static int node(const uint8_t *left, const uint8_t *right, uint8_t out[SHA256_LEN])
{
	struct bytes part[] = { bytes_of(&node_prefix, 1), bytes_of(left, SHA256_LEN),
		bytes_of(right, SHA256_LEN) };

	return crypto_sha256(part, 3, out);
}

int merkle_add(struct merkle *m, const uint8_t leaf[SHA256_LEN])
{
	uint8_t carry[SHA256_LEN];
	unsigned level = 0;

	memcpy(carry, leaf, SHA256_LEN);
	for (; m->size >> level & 1; level++) {
		int err = node(m->subtree[level], carry, carry);
		if (err != 0)
			return err;
	}
	memcpy(m->subtree[level], carry, SHA256_LEN);
	m->size++;
	return 0;
}

int merkle_root(const struct merkle *m, uint8_t out[SHA256_LEN])
{
	bool any = false;

	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		int err = 0;
		if ((m->size >> level & 1) == 0)
			continue;
		if (any)
			err = node(m->subtree[level], out, out);
		else
			memcpy(out, m->subtree[level], SHA256_LEN);
		if (err != 0)
			return err;
		any = true;
	}
	return any ? 0 : crypto_sha256(NULL, 0, out);
}
