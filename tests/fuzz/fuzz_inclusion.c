/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs about trees of up to 64 entries, beside a tree that is worked out from nothing each time
 * (RFC 6962, section 2.1): what is accepted is true, and what is true is accepted.
 */
#include <assert.h>

#include "proto/merkle.h"

#define ENTRIES_MAX 64u
#define PATH_MAX_N  8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct tree {
	uint8_t leaf[ENTRIES_MAX][SHA256_LEN];
};

static void node(const uint8_t *left, const uint8_t *right, uint8_t out[SHA256_LEN])
{
	uint8_t one = 1;
	struct bytes part[] = { bytes_of(&one, 1), bytes_of(left, SHA256_LEN),
		bytes_of(right, SHA256_LEN) };
	int err = crypto_sha256(part, 3, out);

	assert(err == 0);
}

/* The largest power of two below n. */
static uint64_t half(uint64_t n)
{
	uint64_t k = 1;

	while (k < n - k)
		k *= 2;
	return k;
}

static void root_of(const struct tree *t, uint64_t from, uint64_t n, uint8_t out[SHA256_LEN])
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];

	if (n == 1) {
		memcpy(out, t->leaf[from], SHA256_LEN);
		return;
	}
	root_of(t, from, half(n), left);
	root_of(t, from + half(n), n - half(n), right);
	node(left, right, out);
}

/* The path from the leaf up; returns how many. */
static size_t path_of(const struct tree *t, uint64_t index, uint64_t from, uint64_t n,
	uint8_t path[PATH_MAX_N][SHA256_LEN])
{
	bool left = index < half(n);
	size_t depth;

	if (n == 1)
		return 0;
	depth = path_of(t, left ? index : index - half(n), left ? from : from + half(n),
		left ? half(n) : n - half(n), path);
	root_of(t, left ? from + half(n) : from, left ? n - half(n) : half(n), path[depth]);
	return depth + 1;
}

/* The root a path leads to; false when its length is not that of the place. */
static bool lead(const uint8_t *leaf, uint64_t index, uint64_t n, const uint8_t *const *path,
	size_t depth, uint8_t out[SHA256_LEN])
{
	bool left = n > 1 && index < half(n);

	if (n == 1)
		memcpy(out, leaf, SHA256_LEN);
	if (n == 1 || depth == 0)
		return n == 1 && depth == 0;
	if (!lead(leaf, left ? index : index - half(n), left ? half(n) : n - half(n), path,
		    depth - 1, out))
		return false;
	if (left)
		node(out, path[depth - 1], out);
	else
		node(path[depth - 1], out, out);
	return true;
}

/* In: the place asked for, the place and size claimed, the path's length, a byte to change. */
static void check_inclusion(const struct tree *t, uint64_t size, const uint8_t in[6])
{
	uint8_t path[PATH_MAX_N][SHA256_LEN] = { 0 }, root[SHA256_LEN], want[SHA256_LEN];
	const uint8_t *hash[PATH_MAX_N];
	uint64_t index = in[0] % size;
	size_t depth = path_of(t, index, 0, size, path);
	struct merkle_path p = { index ^ in[1], size ^ in[2], hash, depth };
	int err;
	bool good;

	if (in[3] != 0)
		p.n = in[3] % PATH_MAX_N;
	path[in[4] % PATH_MAX_N][in[4] / PATH_MAX_N] ^= in[5];
	for (size_t i = 0; i < PATH_MAX_N; i++)
		hash[i] = path[i];
	root_of(t, 0, size, root);
	good = p.index < p.size && lead(t->leaf[index], p.index, p.size, hash, p.n, want) &&
		memcmp(want, root, SHA256_LEN) == 0;
	err = merkle_included(crypto_openssl(), t->leaf[index], &p, root);
	assert(err == (good ? 0 : ERR_NOT_LOGGED));
	assert(good || in[1] != 0 || in[2] != 0 || in[3] != 0 || in[5] != 0);
	/* What was changed inside the path shows. */
	assert(!good || in[5] == 0 || in[4] % PATH_MAX_N >= p.n);
}

static void check_extension(const struct tree *t, uint64_t from, uint64_t to, const uint8_t in[3])
{
	uint8_t hashes[ENTRIES_MAX][SHA256_LEN], root[SHA256_LEN], want[SHA256_LEN];
	struct merkle m = { 0 }, before;
	size_t n = 0, len;
	int err = 0;

	for (uint64_t i = 0; err == 0 && i < from; i++)
		err = merkle_add(crypto_openssl(), &m, t->leaf[i]);
	assert(err == 0);
	before = m;
	for (uint64_t at = from; at < to; n++) {
		uint64_t step = 1ull << merkle_step(at, to);
		root_of(t, at, step, hashes[n]);
		at += step;
	}
	len = n * SHA256_LEN + in[0] % 3 - (n > 0 && in[0] % 3 == 2 ? SHA256_LEN : 0);
	if (n > 0)
		hashes[in[1] % n][0] ^= in[2];
	err = merkle_extend(crypto_openssl(), &m, to, bytes_of(hashes[0], len));
	assert(err == (len == n * SHA256_LEN ? 0 : ERR_MALFORMED));
	if (err != 0) {
		assert(memcmp(&m, &before, sizeof(m)) == 0);
		return;
	}
	err = merkle_root(crypto_openssl(), &m, root);
	root_of(t, 0, to, want);
	assert(err == 0 && m.size == to);
	assert((memcmp(root, want, SHA256_LEN) == 0) == (n == 0 || in[2] == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tree t;
	uint64_t size, from;

	if (n < 11)
		return 0;
	size = data[0] % ENTRIES_MAX + 1;
	from = data[1] % size + 1;
	for (size_t i = 0; i < ENTRIES_MAX; i++) {
		uint8_t entry[] = { (uint8_t)i, data[2 + i % (n - 2)] };
		struct bytes part = bytes_of(entry, sizeof(entry));
		int err = crypto_sha256(&part, 1, t.leaf[i]);
		assert(err == 0);
	}
	check_inclusion(&t, size, data + 2);
	check_extension(&t, from, size, data + 8);
	return 0;
}
