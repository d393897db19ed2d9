/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, a root that lists them, and one role of it: what envelopes are verified
 * against. */
#pragma once

#include "proto/envelope.h"

#define WORLD_KEYS  5u
#define WORLD_ARENA 262144u

struct world {
	struct crypto_key *key[WORLD_KEYS];
	uint8_t public_key[WORLD_KEYS][PUBLIC_MAX];
	uint8_t id[WORLD_KEYS][SHA256_LEN];
	Pb__Key entry[WORLD_KEYS], *entries[WORLD_KEYS];
	ProtobufCBinaryData ids[WORLD_KEYS];
	Pb__Role role;
	Pb__Root root;
	uint8_t memory[WORLD_ARENA];
	struct arena arena;
};

/* Key 0 to 2 are in the role, which asks for `threshold` of them; 3 and 4 only in the
 * root. */
static inline void world_open(struct world *w, uint32_t threshold)
{
	static const enum key_scheme schemes[WORLD_KEYS] = { KEY_ED25519, KEY_P256, KEY_ED25519,
		KEY_ED25519, KEY_P256 };
	static const char *const names[WORLD_KEYS] = { "alice", "bob", "carol", "dave", "erin" };

	memset(w, 0, sizeof(*w));
	w->arena = (struct arena){ w->memory, sizeof(w->memory), 0 };
	w->root = (Pb__Root)PB__ROOT__INIT;
	w->role = (Pb__Role)PB__ROLE__INIT;
	for (size_t i = 0; i < WORLD_KEYS; i++) {
		Pb__Key *e = &w->entry[i];
		assert_int_equal(crypto_key_generate(schemes[i], &w->key[i]), 0);
		*e = (Pb__Key)PB__KEY__INIT;
		e->scheme = schemes[i];
		e->public_key =
			wire_data(w->public_key[i], crypto_key_public(w->key[i], w->public_key[i]));
		e->name = names[i];
		assert_int_equal(envelope_keyid(crypto_openssl(), e, w->id[i]), 0);
		w->entries[i] = e;
		w->ids[i] = wire_data(w->id[i], SHA256_LEN);
	}
	w->root.keys = w->entries;
	w->root.n_keys = WORLD_KEYS;
	w->role.threshold = threshold;
	w->role.keyids = w->ids;
	w->role.n_keyids = 3;
}

static inline void world_close(struct world *w)
{
	for (size_t i = 0; i < WORLD_KEYS; i++)
		crypto_key_free(w->key[i]);
}

/* The envelope of a text, signed by the keys whose bits are set. */
static inline struct bytes world_sign(
	struct world *w, enum envelope_type type, const char *text, unsigned who)
{
	struct bytes e;

	assert_int_equal(envelope_wrap(type, bytes_str(text), &w->arena, &e), 0);
	for (size_t i = 0; i < WORLD_KEYS; i++)
		if (who >> i & 1)
			assert_int_equal(envelope_sign(e, w->key[i], w->id[i], &w->arena, &e), 0);
	return e;
}

/* What verifying says; the arena is as it was afterwards. */
static inline int world_verify(struct world *w, struct bytes e, enum envelope_type type,
	struct bytes *payload, struct signers *who)
{
	size_t used = w->arena.used;
	int err = envelope_verify(
		crypto_openssl(), e, type, &w->root, &w->role, &w->arena, payload, who);

	w->arena.used = used;
	return err;
}
