/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lint lets through is canonical, of every message there is: random valid ones,
 * and many times as many that were damaged.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "messages.h"
#include "proto/wire.h"

#define ARENA     ((size_t)1 << 20)
#define PER_TYPE  90u /* valid messages of each type */
#define MUTATIONS 60u /* of each of those */

static const struct lint_rules strict = { 65536, 64, 0 }, tolerant = { 65536, 64, 4 };

struct counts {
	size_t tried, passed;
};

/* Reads with the given rules; what passes must pack to the same bytes. */
static bool check_canonical(
	const ProtobufCMessageDescriptor *type, struct bytes in, const struct lint_rules *rules)
{
	static uint8_t memory[ARENA];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes again;
	int err = lint(type, in, rules), read_err;
	const ProtobufCMessage *m = wire_read(type, in, rules, &a, &read_err);

	assert_int_equal(read_err, err);
	assert_int_equal(m != NULL, err == 0);
	if (m == NULL)
		return false;
	assert_int_equal(protobuf_c_message_check(m), 1);
	assert_int_equal(wire_pack(m, &a, &again), 0);
	if (again.n != in.n)
		fail_msg("%s: %zu bytes became %zu", type->name, in.n, again.n);
	/* protobuf-c keeps what it does not know, but puts it behind the rest. */
	if (rules->max_unknown == 0 && !bytes_eq(in, again))
		fail_msg("%s: other bytes", type->name);
	return true;
}

static void test_valid(void **state)
{
	struct buf b = { 0 };
	struct rng r = { 10 };

	(void)state;
	for (size_t t = 0; t < COUNT(messages); t++) {
		for (unsigned i = 0; i < PER_TYPE; i++) {
			b.len = 0;
			random_message(messages[t], &r, &b);
			if (!check_canonical(messages[t], buf_bytes(&b), &strict))
				fail_msg("%s: refused", messages[t]->name);
		}
	}
	buf_release(&b);
}

/* One damage of many kinds; returns the new length. */
static size_t damage(struct rng *r, uint8_t *p, size_t n, size_t size)
{
	size_t at = n > 0 ? rng_below(r, n) : 0, to, len;

	switch (n == 0 ? 2 : rng_below(r, 6)) {
	case 0:
		p[at] ^= (uint8_t)(1u << rng_below(r, 8));
		return n;
	case 1:
		p[at] = (uint8_t)rng_u64(r);
		return n;
	case 2: /* a byte more */
		if (n == size)
			return n;
		memmove(p + at + 1, p + at, n - at);
		p[at] = (uint8_t)(rng_below(r, 2) ? rng_u64(r) : 0x80);
		return n + 1;
	case 3: /* one less */
		memmove(p + at, p + at + 1, n - at - 1);
		return n - 1;
	case 4: /* some of it once more, somewhere */
		len = 1 + rng_below(r, n - at < 12 ? n - at : 12);
		to = rng_below(r, n);
		memmove(p + to, p + at, len < n - to ? len : n - to);
		return n;
	default:
		return at;
	}
}

static void mutate(const ProtobufCMessageDescriptor *type, struct rng *r, const struct buf *valid,
	struct counts *c)
{
	uint8_t copy[8192];
	size_t n = valid->len;

	assert_true(n + 4 < sizeof(copy));
	if (n > 0)
		memcpy(copy, valid->data, n);
	for (uint64_t k = 1 + rng_below(r, 3); k > 0; k--)
		n = damage(r, copy, n, sizeof(copy));
	c->tried++;
	c->passed += check_canonical(type, bytes_of(copy, n), &strict);
	(void)check_canonical(type, bytes_of(copy, n), &tolerant);
}

static void test_mutations(void **state)
{
	struct counts all = { 0 };
	struct buf b = { 0 };
	struct rng r = { 11 };

	(void)state;
	for (size_t t = 0; t < COUNT(messages); t++) {
		struct counts c = { 0 };
		for (unsigned i = 0; i < PER_TYPE; i++) {
			b.len = 0;
			random_message(messages[t], &r, &b);
			for (unsigned k = 0; k < MUTATIONS; k++)
				mutate(messages[t], &r, &b, &c);
		}
		/* Neither all nor none: otherwise this would test nothing. */
		assert_true(c.passed > 0 && c.passed < c.tried);
		all.tried += c.tried;
		all.passed += c.passed;
	}
	print_message("# %zu mutations, %zu canonical\n", all.tried, all.passed);
	buf_release(&b);
}

/* Cut anywhere, what is left is refused, or is itself a whole message. */
static void test_truncated(void **state)
{
	struct buf b = { 0 };
	struct rng r = { 12 };

	(void)state;
	for (size_t t = 0; t < COUNT(messages); t++) {
		for (unsigned i = 0; i < 8; i++) {
			b.len = 0;
			random_message(messages[t], &r, &b);
			for (size_t n = 0; n < b.len; n++)
				(void)check_canonical(messages[t], bytes_of(b.data, n), &strict);
		}
	}
	/* Nothing optional in it: no part of it is a message. */
	b.len = 0;
	random_message(&pb__meta_file__descriptor, &r, &b);
	for (size_t n = 0; n < b.len; n++)
		assert_false(
			check_canonical(&pb__meta_file__descriptor, bytes_of(b.data, n), &strict));
	buf_release(&b);
}

/* How much of the arena a message takes. */
static size_t need_of(const ProtobufCMessageDescriptor *type, struct bytes in)
{
	static uint8_t memory[ARENA];
	struct arena a = { memory, sizeof(memory), 0 };
	int err;

	assert_non_null(wire_read(type, in, &strict, &a, &err));
	return a.used;
}

/* With `size` bytes of memory, and a sanitizer behind the last of them. */
static int read_in(const ProtobufCMessageDescriptor *type, struct bytes in, size_t size)
{
	struct arena a = { malloc(size > 0 ? size : 1), size, 0 };
	int err;

	assert_non_null(a.base);
	if (wire_read(type, in, &strict, &a, &err) == NULL)
		assert_int_not_equal(err, 0);
	free(a.base);
	return err;
}

static void test_arena_runs_out(void **state)
{
	struct buf b = { 0 };
	struct rng r = { 13 };

	(void)state;
	for (size_t t = 0; t < COUNT(messages); t++) {
		for (unsigned i = 0; i < 3; i++) {
			size_t need, step;
			b.len = 0;
			random_message(messages[t], &r, &b);
			need = need_of(messages[t], buf_bytes(&b));
			step = 1 + need / 400;
			for (size_t n = 0; n < need; n += step)
				assert_int_equal(
					read_in(messages[t], buf_bytes(&b), n), ERR_NO_ROOM);
			assert_int_equal(
				read_in(messages[t], buf_bytes(&b), need - 1), ERR_NO_ROOM);
			assert_int_equal(read_in(messages[t], buf_bytes(&b), need), 0);
		}
	}
	buf_release(&b);
}

static void test_arena(void **state)
{
	_Alignas(16) uint8_t memory[64];
	struct arena a = { memory, sizeof(memory), 0 };
	Pb__Key key = PB__KEY__INIT;
	struct bytes out;

	(void)state;
	assert_ptr_equal(arena_alloc(&a, 1), memory);
	assert_ptr_equal(arena_alloc(&a, 17), memory + 16);
	assert_ptr_equal(arena_alloc(&a, 0), memory + 48);
	assert_null(arena_alloc(&a, 17));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_ptr_equal(arena_alloc(&a, 16), memory + 48);
	assert_null(arena_alloc(&a, 1));
	assert_non_null(arena_alloc(&a, 0));
	assert_int_equal(wire_pack(&key, &a, &out), ERR_NO_ROOM);
}

/* No message contains itself, and none is deeper than lint lets pass. */
static unsigned depth_of(const ProtobufCMessageDescriptor *type, unsigned above)
{
	unsigned deepest = above + 1;

	assert_true(above < 8);
	for (unsigned i = 0; i < type->n_fields; i++) {
		unsigned d;
		if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		d = depth_of(type->fields[i].descriptor, above + 1);
		deepest = d > deepest ? d : deepest;
	}
	return deepest;
}

static void test_schema(void **state)
{
	(void)state;
	for (size_t t = 0; t < COUNT(messages); t++) {
		if (depth_of(messages[t], 0) > LINT_MAX_DEPTH)
			fail_msg("%s is too deep", messages[t]->name);
		/* One cursor over them is all that lint has. */
		for (unsigned i = 1; i < messages[t]->n_fields; i++)
			assert_true(messages[t]->fields[i].id > messages[t]->fields[i - 1].id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_arena_runs_out),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
