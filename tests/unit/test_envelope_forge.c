/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes that honest software does not make. */
#include "unit.h"

#include "proto/envelope.h"
#include "rng.h"
#include "signed_world.h"

static struct world w;
static Pb__Signature sig[4], *sigs[4];
static uint8_t sig_bytes[4][SIG_LEN + 1];

/* Three good signatures on `e`, to be tampered with; keys 0, 1, 2. */
static void make(Pb__Envelope *e)
{
	struct bytes in = world_sign(&w, ENVELOPE_PLAN, "text", 7);
	int err;
	const Pb__Envelope *m = envelope_read(in, &w.arena, &err);

	assert_non_null(m);
	*e = *m;
	e->signatures = sigs;
	for (size_t i = 0; i < 3; i++) {
		sig[i] = *m->signatures[i];
		memcpy(sig_bytes[i], sig[i].sig.data, SIG_LEN);
		sig[i].sig.data = sig_bytes[i];
		sigs[i] = &sig[i];
	}
	sig[3] = sig[0];
	sigs[3] = &sig[3];
}

static void nothing(Pb__Envelope *e)
{
	(void)e;
}

static void same_key_twice(Pb__Envelope *e)
{
	e->n_signatures = 4;
}

static void same_key_twice_once_wrong(Pb__Envelope *e)
{
	e->n_signatures = 4;
	sig_bytes[0][5] ^= 1;
	sig[3].sig = sig[1].sig;
}

static void foreign_key_twice(Pb__Envelope *e)
{
	sig[3].keyid = sig[2].keyid = w.ids[3];
	e->n_signatures = 4;
}

static void unknown_key_twice(Pb__Envelope *e)
{
	static uint8_t nobody[SHA256_LEN];

	sig[3].keyid = sig[2].keyid = wire_data(nobody, SHA256_LEN);
	e->n_signatures = 4;
}

static void short_signature(Pb__Envelope *e)
{
	(void)e;
	sig[2].sig.len = SIG_LEN - 1;
}

static void long_signature(Pb__Envelope *e)
{
	(void)e;
	sig[2].sig.len = SIG_LEN + 1;
}

static void empty_signature(Pb__Envelope *e)
{
	(void)e;
	sig[2].sig.len = 0;
}

static void zero_signatures(Pb__Envelope *e)
{
	(void)e;
	memset(sig_bytes, 0, sizeof(sig_bytes));
}

static void short_keyid(Pb__Envelope *e)
{
	(void)e;
	sig[2].keyid.len--;
}

static void empty_keyid(Pb__Envelope *e)
{
	(void)e;
	sig[2].keyid.len = 0;
}

static void keyids_swapped(Pb__Envelope *e)
{
	ProtobufCBinaryData t = sig[0].keyid;

	(void)e;
	sig[0].keyid = sig[2].keyid;
	sig[2].keyid = t;
}

static void signature_copied(Pb__Envelope *e)
{
	(void)e;
	sig[2].sig = sig[0].sig;
}

static void order_turned(Pb__Envelope *e)
{
	(void)e;
	sigs[0] = &sig[2];
	sigs[2] = &sig[0];
}

static void payload_changed(Pb__Envelope *e)
{
	e->payload = wire_data("Text", 4);
}

static void payload_longer(Pb__Envelope *e)
{
	e->payload = wire_data("text ", 5);
}

static void payload_empty(Pb__Envelope *e)
{
	e->payload.len = 0;
}

/* The same bytes, once more, under a name of its own: a different key id. */
static void one_key_two_names(Pb__Envelope *e)
{
	(void)e;
	w.entry[2] = w.entry[0];
	w.entry[2].name = "mallory";
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.entry[2], w.id[2]), 0);
	sig[2].sig = sig[0].sig;
	sig[2].keyid = w.ids[2];
}

static void wrong_scheme(Pb__Envelope *e)
{
	(void)e;
	w.entry[2].scheme = KEY_P256;
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.entry[2], w.id[2]), 0);
	sig[2].keyid = w.ids[2];
}

static void unknown_scheme(Pb__Envelope *e)
{
	(void)e;
	w.entry[2].scheme = 0;
	assert_int_equal(envelope_keyid(crypto_openssl(), &w.entry[2], w.id[2]), 0);
	sig[2].keyid = w.ids[2];
}

/* The role names a key that the root does not have. */
static void key_not_in_root(Pb__Envelope *e)
{
	(void)e;
	w.root.n_keys = 2;
}

static void key_not_in_role(Pb__Envelope *e)
{
	(void)e;
	w.role.n_keyids = 2;
}

static void keyid_twice_in_role(Pb__Envelope *e)
{
	w.ids[2] = w.ids[1];
	e->n_signatures = 2;
}

static void short_keyid_in_role(Pb__Envelope *e)
{
	(void)e;
	w.ids[2].len--;
	sig[2].keyid = w.ids[2];
}

/* All with a threshold of 3 of 3. */
static const struct {
	const char *why;
	void (*forge)(Pb__Envelope *e);
	int want;
} cases[] = {
	{ "honest", nothing, 0 },
	{ "in another order", order_turned, 0 },
	{ "one key twice", same_key_twice, ERR_DUPLICATE_KEYID },
	{ "one key twice, once wrong", same_key_twice_once_wrong, ERR_DUPLICATE_KEYID },
	{ "a key of no role twice", foreign_key_twice, ERR_DUPLICATE_KEYID },
	{ "a key nobody knows twice", unknown_key_twice, ERR_BELOW_THRESHOLD },
	{ "63 bytes", short_signature, ERR_BELOW_THRESHOLD },
	{ "65 bytes", long_signature, ERR_BELOW_THRESHOLD },
	{ "no bytes", empty_signature, ERR_BELOW_THRESHOLD },
	{ "zeros", zero_signatures, ERR_BELOW_THRESHOLD },
	{ "a short key id", short_keyid, ERR_BELOW_THRESHOLD },
	{ "no key id", empty_keyid, ERR_BELOW_THRESHOLD },
	{ "key ids swapped", keyids_swapped, ERR_BELOW_THRESHOLD },
	{ "another's signature", signature_copied, ERR_BELOW_THRESHOLD },
	{ "another payload", payload_changed, ERR_BELOW_THRESHOLD },
	{ "a longer payload", payload_longer, ERR_BELOW_THRESHOLD },
	{ "no payload", payload_empty, ERR_BELOW_THRESHOLD },
	{ "one public key under two names", one_key_two_names, ERR_BELOW_THRESHOLD },
	{ "another scheme", wrong_scheme, ERR_BELOW_THRESHOLD },
	{ "no scheme", unknown_scheme, ERR_BELOW_THRESHOLD },
	{ "a key that is not in the root", key_not_in_root, ERR_BELOW_THRESHOLD },
	{ "a key that is not in the role", key_not_in_role, ERR_BELOW_THRESHOLD },
	{ "one key twice in the role", keyid_twice_in_role, ERR_BELOW_THRESHOLD },
	{ "a short key id in the role", short_keyid_in_role, ERR_BELOW_THRESHOLD },
};

static void test_forged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		Pb__Envelope e;
		struct bytes in, payload = { 0 };
		int err;
		world_open(&w, 3);
		make(&e);
		cases[i].forge(&e);
		assert_int_equal(wire_pack(&e, &w.arena, &in), 0);
		err = world_verify(&w, in, ENVELOPE_PLAN, &payload, NULL);
		if (err != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(err));
		/* Nothing is handed out that was not verified. */
		assert_int_equal(payload.p == NULL, err != 0);
		world_close(&w);
	}
}

/* Keys that nobody knows are a hint of somebody else's, not an error. */
static void test_unknown_keys_are_skipped(void **state)
{
	uint8_t nobody[SHA256_LEN] = { 1 };
	struct bytes e, payload;
	struct signers who;

	(void)state;
	world_open(&w, 2);
	e = world_sign(&w, ENVELOPE_PLAN, "text", 8);
	assert_int_equal(envelope_sign(e, w.key[4], nobody, &w.arena, &e), 0);
	assert_int_equal(envelope_sign(e, w.key[0], w.id[0], &w.arena, &e), 0);
	assert_int_equal(envelope_sign(e, w.key[2], w.id[2], &w.arena, &e), 0);
	assert_int_equal(world_verify(&w, e, ENVELOPE_PLAN, &payload, &who), 0);
	assert_int_equal(who.n, 2);
	assert_int_equal(who.key[0], 0);
	assert_int_equal(who.key[1], 2);
	world_close(&w);
}

/* True when it still passes, and then it means the same. */
static bool check_damaged(struct bytes in, const uint8_t *copy)
{
	struct bytes payload = { 0 };
	int err = world_verify(&w, bytes_of(copy, in.n), ENVELOPE_PLAN, &payload, NULL);

	if (err == 0)
		assert_true(bytes_eq(payload, bytes_str("what was signed")));
	return err == 0;
}

/* Every bit of every byte: rejected, or it still says what was signed. */
static void check_flips(unsigned who, uint32_t threshold, bool may_pass)
{
	uint8_t copy[1024];
	struct bytes in;
	size_t passed = 0;

	world_open(&w, threshold);
	in = world_sign(&w, ENVELOPE_PLAN, "what was signed", who);
	assert_true(in.n <= sizeof(copy));
	memcpy(copy, in.p, in.n);
	for (size_t i = 0; i < in.n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			copy[i] ^= (uint8_t)(1u << bit);
			passed += check_damaged(in, copy);
			copy[i] = in.p[i];
		}
	}
	assert_int_equal(passed > 0, may_pass);
	world_close(&w);
}

static void test_every_bit(void **state)
{
	(void)state;
	check_flips(1, 1, false);
	check_flips(2, 1, false);
	check_flips(5, 2, false);
	/* One signature more than asked for: it may be damaged, the rest may not. */
	check_flips(5, 1, true);
}

static void test_cut_and_longer(void **state)
{
	uint8_t copy[1024];
	struct bytes in, payload;

	(void)state;
	world_open(&w, 1);
	in = world_sign(&w, ENVELOPE_PLAN, "what was signed", 1);
	assert_true(in.n < sizeof(copy));
	memcpy(copy, in.p, in.n);
	for (size_t n = 0; n < in.n; n++)
		assert_int_not_equal(
			world_verify(&w, bytes_of(copy, n), ENVELOPE_PLAN, &payload, NULL), 0);
	for (unsigned b = 0; b < 256; b++) {
		copy[in.n] = (uint8_t)b;
		assert_int_not_equal(
			world_verify(&w, bytes_of(copy, in.n + 1), ENVELOPE_PLAN, &payload, NULL),
			0);
	}
	world_close(&w);
}

static void test_random_damage(void **state)
{
	uint8_t copy[1024];
	struct rng r = { 14 };
	struct bytes in;

	(void)state;
	world_open(&w, 1);
	in = world_sign(&w, ENVELOPE_PLAN, "what was signed", 1);
	assert_true(in.n <= sizeof(copy));
	for (unsigned i = 0; i < 5000; i++) {
		memcpy(copy, in.p, in.n);
		for (uint64_t k = 1 + rng_below(&r, 4); k > 0; k--)
			copy[rng_below(&r, in.n)] = (uint8_t)rng_u64(&r);
		(void)check_damaged(in, copy); /* it may have drawn what was there */
	}
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_unknown_keys_are_skipped),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_cut_and_longer),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
