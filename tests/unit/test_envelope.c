/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "failing.h"
#include "proto/envelope.h"
#include "rfc8032.h"
#include "signed_world.h"

#define TYPE(name) "application/vnd.huidu." name ".v1+protobuf"

static struct world w;

/* Golden: these texts are signed. */
static void test_types(void **state)
{
	static const char *const want[ENVELOPE__COUNT] = { TYPE("root"), TYPE("timestamp"),
		TYPE("snapshot"), TYPE("targets"), TYPE("plan"), TYPE("director"), TYPE("decision"),
		TYPE("ringgrant"), TYPE("time"), TYPE("admin"), TYPE("query"), TYPE("upload"),
		TYPE("reply") };
	static const char *const strange[] = { "", "root", TYPE("Root"), TYPE("roots"),
		TYPE("root") " ", "application/vnd.huidu.root.v2+protobuf" };
	Pb__Envelope e = PB__ENVELOPE__INIT;
	enum envelope_type type;

	(void)state;
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++) {
		assert_string_equal(envelope_type_str(t), want[t]);
		e.payload_type = want[t];
		assert_true(envelope_type_of(&e, &type));
		assert_int_equal(type, t);
	}
	for (size_t i = 0; i < COUNT(strange); i++) {
		e.payload_type = strange[i];
		assert_false(envelope_type_of(&e, &type));
	}
}

static void test_roles(void **state)
{
	Pb__Role r[6] = { PB__ROLE__INIT };
	Pb__Root root = PB__ROOT__INIT;
	const struct {
		enum envelope_type type;
		const Pb__Role *want;
	} row[] = {
		{ ENVELOPE_ROOT, &r[0] },
		{ ENVELOPE_TIMESTAMP, &r[1] },
		{ ENVELOPE_SNAPSHOT, &r[2] },
		{ ENVELOPE_TARGETS, &r[3] },
		{ ENVELOPE_DIRECTOR, &r[4] },
		{ ENVELOPE_DECISION, &r[4] },
		{ ENVELOPE_GRANT, &r[4] },
		{ ENVELOPE_TIME, &r[1] },
		{ ENVELOPE_PLAN, &r[5] },
		{ ENVELOPE_COMMAND, NULL },
		{ ENVELOPE_QUERY, NULL },
		{ ENVELOPE_UPLOAD, NULL },
		{ ENVELOPE_REPLY, NULL },
	};

	(void)state;
	root.root = &r[0];
	root.timestamp = &r[1];
	root.snapshot = &r[2];
	root.targets = &r[3];
	root.director = &r[4];
	root.approver = &r[5];
	assert_int_equal(COUNT(row), ENVELOPE__COUNT);
	for (size_t i = 0; i < COUNT(row); i++)
		assert_ptr_equal(envelope_role(&root, row[i].type), row[i].want);
	/* Who cannot tell the type has no role either. */
	assert_null(envelope_role(&root, ENVELOPE__COUNT));
	assert_null(envelope_role(&root, (enum envelope_type)99));
}

/*
 * Golden: "DSSEv1 41 application/vnd.huidu.targets.v1+protobuf 11 hello world", signed
 * by the first key of RFC 8032 with `openssl pkeyutl`; and that key's id as `sha256sum`
 * has it.
 */
static void test_golden(void **state)
{
	struct crypto_key *key = key_of_pem(rfc8032[0].pem);
	uint8_t public_key[PUBLIC_MAX], id[SHA256_LEN];
	Pb__Key entry = PB__KEY__INIT;
	const Pb__Envelope *e;
	struct bytes in;
	char hex[2 * SIG_LEN + 1];
	int err;

	(void)state;
	world_open(&w, 1);
	entry.scheme = KEY_ED25519;
	entry.public_key = wire_data(public_key, crypto_key_public(key, public_key));
	entry.name = "alice";
	assert_int_equal(envelope_keyid(crypto_openssl(), &entry, id), 0);
	assert_string_equal(hex_encode(hex, id, SHA256_LEN),
		"2e9d0cdf7ddeb42a80f7997ca70939c8688dcfd2f13afae995c622b75fb56de0");
	assert_int_equal(
		envelope_wrap(ENVELOPE_TARGETS, bytes_str("hello world"), &w.arena, &in), 0);
	assert_int_equal(envelope_sign(in, key, id, &w.arena, &in), 0);
	e = envelope_read(in, &w.arena, &err);
	assert_non_null(e);
	assert_int_equal(e->n_signatures, 1);
	assert_int_equal(e->signatures[0]->sig.len, SIG_LEN);
	assert_string_equal(hex_encode(hex, e->signatures[0]->sig.data, SIG_LEN),
		"91a35d4e03fa3b5196db09f63e2a513b04e6eabcd8d5b3bb3aacb149426784f5"
		"43f951a6be595ed57df02d3cf3aec021240e25f18b137410c65256904a11910b");
	assert_true(bytes_eq(wire_bytes(e->signatures[0]->keyid), bytes_of(id, 32)));
	crypto_key_free(key);
	world_close(&w);
}

/* Who signed: bits 0 to 2 are keys of the role, 3 and 4 are not. */
static void test_thresholds(void **state)
{
	static const struct {
		const char *why;
		uint32_t threshold;
		unsigned who, n;
		int want;
	} row[] = {
		{ "nobody", 1, 0, 0, ERR_BELOW_THRESHOLD },
		{ "one of one", 1, 1, 1, 0 },
		{ "the P-256 key", 1, 2, 1, 0 },
		{ "another of one", 1, 4, 1, 0 },
		{ "more than asked for", 1, 7, 3, 0 },
		{ "one of two", 2, 1, 1, ERR_BELOW_THRESHOLD },
		{ "two of two", 2, 3, 2, 0 },
		{ "two others", 2, 6, 2, 0 },
		{ "two of three", 3, 5, 2, ERR_BELOW_THRESHOLD },
		{ "three of three", 3, 7, 3, 0 },
		{ "four asked for, three there", 4, 7, 3, ERR_BELOW_THRESHOLD },
		{ "none asked for", 0, 7, 3, ERR_BELOW_THRESHOLD },
		{ "none asked for, nobody signed", 0, 0, 0, ERR_BELOW_THRESHOLD },
		{ "far too many asked for", UINT32_MAX, 7, 3, ERR_BELOW_THRESHOLD },
		{ "another role's", 1, 8, 0, ERR_BELOW_THRESHOLD },
		{ "both of another role", 1, 24, 0, ERR_BELOW_THRESHOLD },
		{ "one of each role", 2, 9, 1, ERR_BELOW_THRESHOLD },
		{ "two, and one of another role", 2, 11, 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct bytes e, payload = { 0 };
		struct signers who = { 0 };
		int err;
		world_open(&w, row[i].threshold);
		e = world_sign(&w, ENVELOPE_PLAN, "text", row[i].who);
		err = world_verify(&w, e, ENVELOPE_PLAN, &payload, &who);
		if (err != row[i].want || who.n != row[i].n)
			fail_msg("%s: %s, %u keys", row[i].why, err_name(err), who.n);
		if (err == 0) {
			assert_true(bytes_eq(payload, bytes_str("text")));
			/* As the arena lives, not as the bytes it came from. */
			assert_true(
				payload.p >= w.memory && payload.p < w.memory + sizeof(w.memory));
			assert_false(payload.p >= e.p && payload.p < e.p + e.n);
		}
		for (unsigned k = 0; k < who.n; k++)
			assert_true(row[i].who >> who.key[k] & 1 && who.key[k] < 3);
		world_close(&w);
	}
}

static void test_wrong_type(void **state)
{
	struct bytes e, payload;

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_TIMESTAMP, "text", 7);
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		assert_int_equal(world_verify(&w, e, t, &payload, NULL),
			t == ENVELOPE_TIMESTAMP ? 0 : ERR_WRONG_TYPE);
	world_close(&w);
}

/* A type that is changed afterwards is not the one that was signed. */
static void test_type_is_signed(void **state)
{
	struct bytes e, payload, changed;
	Pb__Envelope *m;
	int err;

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_TIMESTAMP, "text", 7);
	m = envelope_read(e, &w.arena, &err);
	assert_non_null(m);
	m->payload_type = envelope_type_str(ENVELOPE_SNAPSHOT);
	assert_int_equal(wire_pack(m, &w.arena, &changed), 0);
	assert_int_equal(
		world_verify(&w, changed, ENVELOPE_SNAPSHOT, &payload, NULL), ERR_BELOW_THRESHOLD);
	world_close(&w);
}

static void test_open(void **state)
{
	struct bytes e, payload;

	(void)state;
	world_open(&w, 2);
	w.root.approver = &w.role;
	e = world_sign(&w, ENVELOPE_PLAN, "text", 3);
	assert_int_equal(
		envelope_open(crypto_openssl(), e, ENVELOPE_PLAN, &w.root, &w.arena, &payload), 0);
	assert_true(bytes_eq(payload, bytes_str("text")));
	world_close(&w);
}

static unsigned count_signatures(struct bytes e)
{
	static uint8_t memory[65536];
	struct arena a = { memory, sizeof(memory), 0 };
	int err;
	const Pb__Envelope *m = envelope_read(e, &a, &err);

	assert_non_null(m);
	return (unsigned)m->n_signatures;
}

static void test_merge(void **state)
{
	static const struct {
		const char *why;
		unsigned a, b, n;
	} row[] = {
		{ "nothing and nothing", 0, 0, 0 },
		{ "one and nothing", 1, 0, 1 },
		{ "nothing and one", 0, 2, 1 },
		{ "different people", 1, 2, 2 },
		{ "the same", 3, 3, 2 },
		{ "some in both", 3, 6, 3 },
		{ "everybody", 7, 31, 5 },
	};
	struct bytes a, b, both, payload;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		world_open(&w, 1);
		a = world_sign(&w, ENVELOPE_PLAN, "text", row[i].a);
		b = world_sign(&w, ENVELOPE_PLAN, "text", row[i].b);
		assert_int_equal(envelope_merge(a, b, &w.arena, &both), 0);
		if (count_signatures(both) != row[i].n)
			fail_msg("%s: %u signatures", row[i].why, count_signatures(both));
		w.role.threshold = ((row[i].a | row[i].b) & 1) + ((row[i].a | row[i].b) >> 1 & 1) +
			((row[i].a | row[i].b) >> 2 & 1);
		assert_int_equal(world_verify(&w, both, ENVELOPE_PLAN, &payload, NULL),
			w.role.threshold > 0 ? 0 : ERR_BELOW_THRESHOLD);
		world_close(&w);
	}
}

static void test_merge_of_different_things(void **state)
{
	struct bytes a, b, out;

	(void)state;
	world_open(&w, 1);
	a = world_sign(&w, ENVELOPE_PLAN, "text", 1);
	b = world_sign(&w, ENVELOPE_PLAN, "Text", 2);
	assert_int_equal(envelope_merge(a, b, &w.arena, &out), ERR_MISMATCH);
	b = world_sign(&w, ENVELOPE_TARGETS, "text", 2);
	assert_int_equal(envelope_merge(a, b, &w.arena, &out), ERR_MISMATCH);
	assert_int_equal(envelope_merge(a, bytes_of("\xff", 1), &w.arena, &out), ERR_TRUNCATED);
	assert_int_equal(envelope_merge(bytes_of("\xff", 1), b, &w.arena, &out), ERR_TRUNCATED);
	world_close(&w);
}

/* Signing again replaces one's own signature, and nobody else's. */
static void test_sign_again(void **state)
{
	struct bytes e, payload;
	struct signers who;

	(void)state;
	world_open(&w, 3);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(envelope_sign(e, w.key[i], w.id[i], &w.arena, &e), 0);
		assert_int_equal(count_signatures(e), 3);
	}
	assert_int_equal(world_verify(&w, e, ENVELOPE_PLAN, &payload, &who), 0);
	assert_int_equal(who.n, 3);
	world_close(&w);
}

static void test_sixteen_signatures(void **state)
{
	uint8_t id[SHA256_LEN] = { 0 };
	struct bytes e, other, out;

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 0);
	for (id[0] = 0; id[0] < ENVELOPE_SIGNATURES_MAX; id[0]++)
		assert_int_equal(envelope_sign(e, w.key[0], id, &w.arena, &e), 0);
	assert_int_equal(envelope_sign(e, w.key[0], id, &w.arena, &out), ERR_REPEATED_FIELD);
	other = world_sign(&w, ENVELOPE_PLAN, "text", 1);
	assert_int_equal(envelope_merge(e, other, &w.arena, &out), ERR_REPEATED_FIELD);
	/* One of the sixteen may still sign again. */
	id[0] = 3;
	assert_int_equal(envelope_sign(e, w.key[0], id, &w.arena, &e), 0);
	world_close(&w);
}

static void test_no_room(void **state)
{
	struct bytes e, out, payload;
	struct arena small;

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	for (size_t n = 0; n < 512; n += 16) {
		int err;
		small = (struct arena){ w.memory + sizeof(w.memory) - 512, n, 0 };
		err = envelope_verify(crypto_openssl(), e, ENVELOPE_PLAN, &w.root, &w.role, &small,
			&payload, NULL);
		assert_true(err == 0 || err == ERR_NO_ROOM);
		assert_true(n > 0 || err == ERR_NO_ROOM);
		small.used = 0;
		assert_int_equal(envelope_sign(e, w.key[3], w.id[3], &small, &out), ERR_NO_ROOM);
	}
	world_close(&w);
}

/* With all the memory but the last of it: nothing is believed. */
static void test_no_room_at_the_end(void **state)
{
	static uint8_t memory[4096];
	struct bytes e, out, payload;
	size_t need;

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	for (unsigned what = 0; what < 3; what++) {
		struct arena a = { memory, sizeof(memory), 0 };
		for (need = 0; need < sizeof(memory); need += 16) {
			int err;
			a = (struct arena){ memory, need, 0 };
			if (what == 0)
				err = envelope_verify(crypto_openssl(), e, ENVELOPE_PLAN, &w.root,
					&w.role, &a, &payload, NULL);
			else if (what == 1)
				err = envelope_sign(e, w.key[0], w.id[0], &a, &out);
			else
				err = envelope_merge(e, e, &a, &out);
			if (err == 0)
				break;
			assert_int_equal(err, ERR_NO_ROOM);
		}
		assert_in_range(need, 512, sizeof(memory) - 1);
	}
	world_close(&w);
}

/* Whatever the library fails at first. */
static void test_crypto_fails(void **state)
{
	struct bytes e, payload;
	struct failing f;
	unsigned believed = 0;

	(void)state;
	world_open(&w, 3);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	for (unsigned n = 0; n < 10; n++) {
		size_t used = w.arena.used;
		int err;
		failing_after(&f, n);
		err = envelope_verify(
			&f.hooks, e, ENVELOPE_PLAN, &w.root, &w.role, &w.arena, &payload, NULL);
		w.arena.used = used;
		believed += err == 0;
		assert_int_equal(err == 0, f.failed == 0);
		assert_true(err == 0 || err == ERR_CRYPTO || err == ERR_BELOW_THRESHOLD);
	}
	assert_int_equal(believed, 2); /* five key ids and three signatures: eight calls */
	world_close(&w);
}

/* A key whose text is longer than any key has no id: a root that lists it is of no use. */
static void test_long_key(void **state)
{
	static char name[200];
	struct bytes e, payload;
	uint8_t id[SHA256_LEN];

	(void)state;
	world_open(&w, 1);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	memset(name, 'n', sizeof(name) - 1);
	w.entry[4].name = name;
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.entry[4], id), ERR_BAD_KEY);
	assert_int_equal(world_verify(&w, e, ENVELOPE_PLAN, &payload, NULL), ERR_BAD_KEY);
	name[150] = '\0';
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.entry[4], id), 0);
	world_close(&w);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_roles),
		IN_TMPDIR(test_golden),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_wrong_type),
		cmocka_unit_test(test_type_is_signed),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_of_different_things),
		cmocka_unit_test(test_sign_again),
		cmocka_unit_test(test_sixteen_signatures),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_no_room_at_the_end),
		cmocka_unit_test(test_crypto_fails),
		cmocka_unit_test(test_long_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
