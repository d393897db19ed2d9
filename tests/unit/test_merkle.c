/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "failing.h"
#include "proto/crypto.h"
#include "proto/merkle.h"
#include "rng.h"

/* The leaves that implementations of RFC 6962 are tested with, and the roots of the
 * first n. */
static const struct {
	const char *leaf, *root;
} vectors[] = {
	{ "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
	{ "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
	{ "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
	{ "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
	{ "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
	{ "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
	{ "5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
	{ "606162636465666768696a6b6c6d6e6f",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

static void check_root(const struct merkle *m, const char *want)
{
	uint8_t root[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	assert_int_equal(merkle_root(crypto_openssl(), m, root), 0);
	assert_string_equal(hex_encode(hex, root, SHA256_LEN), want);
}

static void test_vectors(void **state)
{
	struct merkle m = { 0 };
	uint8_t entry[16], leaf[SHA256_LEN], room[64];
	struct arena a = { room, sizeof(room), 0 };

	(void)state;
	check_root(&m, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t n = strlen(vectors[i].leaf) / 2;
		assert_true(hex_decode(entry, n, vectors[i].leaf));
		assert_int_equal(merkle_leaf(crypto_openssl(), bytes_of(entry, n), &a, leaf), 0);
		assert_int_equal(merkle_add(crypto_openssl(), &m, leaf), 0);
		assert_int_equal(m.size, i + 1);
		check_root(&m, vectors[i].root);
	}
}

#define LEAVES 200

/* RFC 6962, 2.1, word for word. */
static void naive_root(const uint8_t (*leaf)[SHA256_LEN], size_t n, uint8_t out[SHA256_LEN])
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];
	struct bytes part[] = { bytes_of("\1", 1), bytes_of(left, SHA256_LEN),
		bytes_of(right, SHA256_LEN) };
	size_t k = 1;

	if (n == 0)
		assert_int_equal(crypto_sha256(NULL, 0, out), 0);
	if (n == 1)
		memcpy(out, leaf[0], SHA256_LEN);
	if (n <= 1)
		return;
	while (2 * k < n)
		k *= 2;
	naive_root(leaf, k, left);
	naive_root(leaf + k, n - k, right);
	assert_int_equal(crypto_sha256(part, 3, out), 0);
}

static void test_against_naive(void **state)
{
	static uint8_t leaf[LEAVES][SHA256_LEN];
	uint8_t want[SHA256_LEN], have[SHA256_LEN];
	struct merkle m = { 0 };
	struct rng r = { 2 };

	(void)state;
	/* What lies above the size must not matter. */
	rng_fill(&r, m.subtree, sizeof(m.subtree));
	for (size_t n = 0; n <= LEAVES; n++) {
		naive_root((const uint8_t(*)[SHA256_LEN])leaf, n, want);
		assert_int_equal(merkle_root(crypto_openssl(), &m, have), 0);
		assert_memory_equal(have, want, SHA256_LEN);
		if (n == LEAVES)
			break;
		rng_fill(&r, leaf[n], SHA256_LEN);
		assert_int_equal(merkle_add(crypto_openssl(), &m, leaf[n]), 0);
	}
}

/* An entry that is the concatenation of two hashes must not pass for the node above
 * them. */
static void test_leaf_is_no_node(void **state)
{
	uint8_t pair[2 * SHA256_LEN] = { 0 }, leaf[SHA256_LEN], root[SHA256_LEN];
	uint8_t room[2 * SHA256_LEN + 1];
	struct arena a = { room, sizeof(room), 0 };
	struct merkle m = { 0 };

	(void)state;
	assert_int_equal(merkle_add(crypto_openssl(), &m, pair), 0);
	assert_int_equal(merkle_add(crypto_openssl(), &m, pair + SHA256_LEN), 0);
	assert_int_equal(merkle_root(crypto_openssl(), &m, root), 0);
	assert_int_equal(merkle_leaf(crypto_openssl(), bytes_of(pair, sizeof(pair)), &a, leaf), 0);
	assert_memory_not_equal(leaf, root, SHA256_LEN);
}

static void test_leaf_needs_room(void **state)
{
	uint8_t room[8], leaf[SHA256_LEN];
	struct arena a = { room, sizeof(room), 0 };

	(void)state;
	assert_int_equal(
		merkle_leaf(crypto_openssl(), bytes_str("12345678"), &a, leaf), ERR_NO_ROOM);
	assert_int_equal(merkle_leaf(crypto_openssl(), bytes_str("1234567"), &a, leaf), 0);
	assert_int_equal(a.used, 0);
}

/* ---- proofs, beside the definition ---- */

/* RFC 6962, 2.1.1, word for word. */
static size_t naive_path(
	const uint8_t (*leaf)[SHA256_LEN], size_t m, size_t n, uint8_t (*out)[SHA256_LEN])
{
	size_t k = 1, len;

	if (n == 1)
		return 0;
	while (2 * k < n)
		k *= 2;
	if (m < k) {
		len = naive_path(leaf, m, k, out);
		naive_root(leaf + k, n - k, out[len]);
	} else {
		len = naive_path(leaf + k, m - k, n - k, out);
		naive_root(leaf, k, out[len]);
	}
	return len + 1;
}

#define PROVED 70

static uint8_t tree[PROVED][SHA256_LEN];

static void make_tree(void)
{
	struct rng r = { 3 };

	rng_fill(&r, tree, sizeof(tree));
}

static int included(const uint8_t leaf[SHA256_LEN], uint64_t index, uint64_t size,
	uint8_t (*path)[SHA256_LEN], size_t n, const uint8_t root[SHA256_LEN])
{
	const uint8_t *hash[MERKLE_LEVELS];
	struct merkle_path p = { .index = index, .size = size, .hash = hash, .n = n };

	for (size_t i = 0; i < n; i++)
		hash[i] = path[i];
	return merkle_included(crypto_openssl(), leaf, &p, root);
}

static void test_inclusion(void **state)
{
	uint8_t path[MERKLE_LEVELS][SHA256_LEN], root[SHA256_LEN];

	(void)state;
	make_tree();
	for (size_t n = 1; n <= PROVED; n++) {
		naive_root((const uint8_t(*)[SHA256_LEN])tree, n, root);
		for (size_t i = 0; i < n; i++) {
			size_t len = naive_path((const uint8_t(*)[SHA256_LEN])tree, i, n, path);
			assert_int_equal(included(tree[i], i, n, path, len, root), 0);
			/* Another place, another leaf, a path cut or made longer. */
			assert_int_equal(
				included(tree[i], i ^ 1, n, path, len, root), ERR_NOT_LOGGED);
			assert_int_equal(
				included(tree[i], i + n, n, path, len, root), ERR_NOT_LOGGED);
			assert_int_equal(included(tree[(i + 1) % PROVED], i, n, path, len, root),
				ERR_NOT_LOGGED);
			memset(path[len], 0, SHA256_LEN);
			assert_int_equal(
				included(tree[i], i, n, path, len + 1, root), ERR_NOT_LOGGED);
			if (len == 0)
				continue;
			assert_int_equal(
				included(tree[i], i, n, path, len - 1, root), ERR_NOT_LOGGED);
			path[len / 2][7] ^= 1;
			assert_int_equal(included(tree[i], i, n, path, len, root), ERR_NOT_LOGGED);
		}
	}
	assert_int_equal(included(tree[0], 0, 0, path, 0, root), ERR_NOT_LOGGED);
}

/* The roots of complete subtrees from `from` to `to`. */
static size_t naive_extension(size_t from, size_t to, uint8_t *out)
{
	size_t n = 0;

	for (size_t at = from; at < to;) {
		size_t k = 1;
		while (at % (2 * k) == 0 && at + 2 * k <= to)
			k *= 2;
		naive_root((const uint8_t(*)[SHA256_LEN])tree + at, k, out + n);
		assert_int_equal(1u << merkle_step(at, to), k);
		at += k;
		n += SHA256_LEN;
	}
	return n;
}

static void test_extension(void **state)
{
	uint8_t hashes[2 * MERKLE_LEVELS * SHA256_LEN], want[SHA256_LEN], have[SHA256_LEN];
	const struct crypto *c = crypto_openssl();

	(void)state;
	make_tree();
	for (size_t from = 0; from <= PROVED; from++) {
		struct merkle old = { 0 };
		for (size_t i = 0; i < from; i++)
			assert_int_equal(merkle_add(c, &old, tree[i]), 0);
		for (size_t to = from; to <= PROVED; to++) {
			struct merkle m = old;
			size_t n = naive_extension(from, to, hashes);
			naive_root((const uint8_t(*)[SHA256_LEN])tree, to, want);
			assert_int_equal(merkle_extend(c, &m, to, bytes_of(hashes, n)), 0);
			assert_int_equal(merkle_root(c, &m, have), 0);
			assert_memory_equal(have, want, SHA256_LEN);
			m = old;
			assert_int_equal(merkle_extend(c, &m, to, bytes_of(hashes, n + SHA256_LEN)),
				ERR_MALFORMED);
			if (n > 0)
				assert_int_equal(merkle_extend(c, &m, to, bytes_of(hashes, n - 1)),
					ERR_MALFORMED);
			assert_memory_equal(&m, &old, sizeof(m));
		}
		if (from > 0) {
			struct merkle m = old;
			assert_int_equal(
				merkle_extend(c, &m, from - 1, bytes_of(hashes, 0)), ERR_MALFORMED);
		}
	}
}

/* Whatever the library fails at first: no root, and a tree that goes on is as it was. */
static void test_crypto_fails(void **state)
{
	uint8_t leaf[SHA256_LEN] = { 5 }, root[SHA256_LEN], hashes[SHA256_LEN] = { 6 };
	struct merkle seven = { .size = 7 }, m, eight;
	const uint8_t *path[] = { leaf, leaf, leaf };
	struct merkle_path p = { 0, 8, path, 3 };
	struct failing f;

	(void)state;
	eight = seven;
	assert_int_equal(
		merkle_extend(crypto_openssl(), &eight, 8, bytes_of(hashes, SHA256_LEN)), 0);
	for (unsigned n = 0; n < 4; n++) {
		m = seven;
		failing_after(&f, n);
		assert_int_equal(merkle_extend(&f.hooks, &m, 8, bytes_of(hashes, SHA256_LEN)),
			n < 3 ? ERR_CRYPTO : 0);
		assert_memory_equal(&m, n < 3 ? &seven : &eight, sizeof(m));
		failing_after(&f, n);
		assert_int_equal(merkle_included(&f.hooks, leaf, &p, root),
			n < 3 ? ERR_CRYPTO : ERR_NOT_LOGGED);
		failing_after(&f, n);
		assert_int_equal(merkle_root(&f.hooks, &seven, root), n < 2 ? ERR_CRYPTO : 0);
		failing_after(&f, n);
		m = seven;
		assert_int_equal(merkle_add(&f.hooks, &m, hashes), n < 3 ? ERR_CRYPTO : 0);
	}
}

/* A size nobody will see is no size. */
static void test_too_large(void **state)
{
	struct merkle m = { .size = MERKLE_SIZE_MAX - 1 }, before = m;
	uint8_t hash[2 * SHA256_LEN] = { 0 };

	(void)state;
	assert_int_equal(merkle_extend(crypto_openssl(), &m, MERKLE_SIZE_MAX + 1,
				 bytes_of(hash, sizeof(hash))),
		ERR_MALFORMED);
	assert_int_equal(
		merkle_extend(crypto_openssl(), &m, UINT64_MAX, bytes_of(hash, 0)), ERR_MALFORMED);
	assert_memory_equal(&m, &before, sizeof(m));
	assert_int_equal(
		merkle_extend(crypto_openssl(), &m, MERKLE_SIZE_MAX, bytes_of(hash, SHA256_LEN)),
		0);
	assert_true(m.size == MERKLE_SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_against_naive),
		cmocka_unit_test(test_leaf_is_no_node),
		cmocka_unit_test(test_leaf_needs_room),
		cmocka_unit_test(test_inclusion),
		cmocka_unit_test(test_extension),
		cmocka_unit_test(test_crypto_fails),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
