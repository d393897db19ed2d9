/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in memory beside the definition, and what a phone makes of its proofs. */
#include "unit.h"

#include <pthread.h>

#include "rng.h"
#include "server/trust/logtree.h"

#define SMALL 300u
#define LARGE 20000u

static const struct crypto *c;
static uint8_t leaf[LARGE][SHA256_LEN];

/* RFC 6962, 2.1, word for word. */
static void naive_root(size_t from, size_t n, uint8_t out[SHA256_LEN])
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];
	size_t k = 1;

	if (n == 0)
		assert_int_equal(crypto_sha256(NULL, 0, out), 0);
	if (n == 1)
		memcpy(out, leaf[from], SHA256_LEN);
	if (n <= 1)
		return;
	while (2 * k < n)
		k *= 2;
	naive_root(from, k, left);
	naive_root(from + k, n - k, right);
	assert_int_equal(merkle_node(c, left, right, out), 0);
}

static struct logtree *grow(size_t n)
{
	struct logtree *t = logtree_new();
	struct rng r = { 4 };

	c = crypto_openssl();
	for (size_t i = 0; i < n; i++) {
		rng_fill(&r, leaf[i], SHA256_LEN);
		assert_int_equal(logtree_add(t, leaf[i]), 0);
		assert_int_equal(logtree_size(t), i + 1);
	}
	return t;
}

static int included(
	const struct logtree *t, uint64_t index, uint64_t size, const uint8_t root[SHA256_LEN])
{
	uint8_t hash[LOGTREE_PATH_MAX][SHA256_LEN];
	const uint8_t *list[LOGTREE_PATH_MAX];
	struct merkle_path path = { .index = index, .size = size, .hash = list };

	assert_int_equal(logtree_inclusion(t, index, size, hash, &path.n), 0);
	for (size_t i = 0; i < path.n; i++)
		list[i] = hash[i];
	return merkle_included(c, leaf[index], &path, root);
}

/* A phone that holds the tree of `from` entries, and is told how to go on. */
static void check_extension(
	const struct logtree *t, uint64_t from, uint64_t size, const uint8_t root[SHA256_LEN])
{
	uint8_t hash[LOGTREE_EXTENSION_MAX][SHA256_LEN], have[SHA256_LEN];
	struct merkle m = { 0 };
	size_t n = logtree_extension(t, 0, from, hash);

	assert_int_equal(merkle_extend(c, &m, from, bytes_of(hash, n * SHA256_LEN)), 0);
	n = logtree_extension(t, from, size, hash);
	assert_int_equal(merkle_extend(c, &m, size, bytes_of(hash, n * SHA256_LEN)), 0);
	assert_int_equal(m.size, size);
	assert_int_equal(merkle_root(c, &m, have), 0);
	assert_memory_equal(have, root, SHA256_LEN);
}

/* Every size up to SMALL of a tree that has grown beyond it, and every place in it. */
static void all_small(void **state)
{
	struct logtree *t = grow(SMALL);
	uint8_t root[SHA256_LEN], want[SHA256_LEN];

	(void)state;
	for (uint64_t size = 0; size <= SMALL; size++) {
		assert_int_equal(logtree_root(t, size, root), 0);
		naive_root(0, size, want);
		assert_memory_equal(root, want, SHA256_LEN);
		for (uint64_t i = 0; i < size; i++)
			assert_int_equal(included(t, i, size, root), 0);
		for (uint64_t from = 0; from <= size; from += 1 + size / 40)
			check_extension(t, from, size, root);
	}
	logtree_free(t);
}

static void random_large(void **state)
{
	struct logtree *t = grow(LARGE);
	struct rng r = { 5 };

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		uint64_t size = 1 + rng_below(&r, LARGE), at = rng_below(&r, size);
		uint8_t root[SHA256_LEN], want[SHA256_LEN];
		assert_int_equal(logtree_root(t, size, root), 0);
		naive_root(0, size, want);
		assert_memory_equal(root, want, SHA256_LEN);
		assert_int_equal(included(t, at, size, root), 0);
		check_extension(t, rng_below(&r, size + 1), size, root);
		/* Another leaf's path, or another tree's root, proves nothing. */
		root[i % SHA256_LEN] ^= 1;
		assert_int_equal(included(t, at, size, root), ERR_NOT_LOGGED);
	}
	logtree_free(t);
}

static void tiles(void **state)
{
	static const struct {
		const char *why;
		uint64_t size;
		unsigned level;
		uint64_t index;
		unsigned width;
		bool want;
	} cases[] = {
		{ "whole", 600, 0, 1, 256, true },
		{ "partial, as wide as it is", 600, 0, 2, 88, true },
		{ "partial, narrower", 600, 0, 2, 87, true },
		{ "wider than the tree", 600, 0, 2, 89, false },
		{ "not full yet", 600, 0, 2, 256, false },
		{ "behind the end", 600, 0, 3, 1, false },
		{ "level 1", 600, 1, 0, 2, true },
		{ "level 1 of an incomplete tile", 600, 1, 0, 3, false },
		{ "an older size has less", 511, 1, 0, 2, false },
		{ "level 2", 600, 2, 0, 1, false },
		{ "far beyond", 600, 0, UINT64_MAX, 1, false },
		{ "far above", 600, 63, 0, 1, false },
		{ "nothing", 600, 0, 0, 0, false },
		{ "too wide", 600, 0, 0, 257, false },
	};
	struct logtree *t = grow(600);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = { 0 };
		uint8_t want[SHA256_LEN];
		bool ok = logtree_tile(
			t, cases[i].size, cases[i].level, cases[i].index, cases[i].width, &out);
		if (ok != cases[i].want)
			fail_msg("%s", cases[i].why);
		assert_int_equal(out.len, ok ? cases[i].width * SHA256_LEN : 0);
		for (unsigned k = 0; k * SHA256_LEN < out.len; k++) {
			uint64_t width = 1ull << 8 * cases[i].level;
			naive_root((cases[i].index * 256 + k) * width, width, want);
			assert_memory_equal(out.data + k * SHA256_LEN, want, SHA256_LEN);
		}
		buf_release(&out);
	}
	logtree_free(t);
}

/* One thread adds while others read what is there: for the thread sanitizer above all. */
static void *read_while_it_grows(void *arg)
{
	const struct logtree *t = arg;
	uint8_t root[SHA256_LEN];
	uint64_t size = 0, wrong = 0;

	while (size < LARGE) {
		size = logtree_size(t);
		if (size == 0)
			continue;
		if (logtree_root(t, size, root) != 0 || included(t, size / 2, size, root) != 0)
			wrong++;
	}
	return (void *)(uintptr_t)wrong;
}

static void readers_need_no_lock(void **state)
{
	struct logtree *t = grow(LARGE), *again = logtree_new();
	pthread_t reader[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_while_it_grows, again), 0);
	for (size_t i = 0; i < LARGE; i++)
		assert_int_equal(logtree_add(again, leaf[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		void *wrong;
		assert_int_equal(pthread_join(reader[i], &wrong), 0);
		assert_ptr_equal(wrong, NULL);
	}
	logtree_free(t);
	logtree_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_small),
		cmocka_unit_test(random_large),
		cmocka_unit_test(tiles),
		cmocka_unit_test(readers_need_no_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
