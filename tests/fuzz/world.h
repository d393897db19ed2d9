/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are the same in every run, so that what is signed with them can be kept, and a root that
 * names them.  Ends the process when it cannot be made.
 */
#pragma once

#include <assert.h>
#include <stdio.h>

#include "proto/base64.h"
#include "proto/checkpoint.h"
#include "proto/envelope.h"

enum { WORLD_ALICE, WORLD_BOB, WORLD_CAROL, WORLD_LOG, WORLD_W1, WORLD_W2, WORLD_KEYS };

#define WORLD_ORIGIN "example.org/huidu"
/* What the honest sign: nothing else may ever be found signed. */
#define WORLD_PAYLOAD "signed by two of three"

struct world {
	struct crypto_key *key[WORLD_KEYS];
	uint8_t public_key[WORLD_KEYS][PUBLIC_MAX], id[WORLD_KEYS][SHA256_LEN];
	Pb__Key entry[WORLD_KEYS], *entries[WORLD_KEYS];
	ProtobufCBinaryData ids[WORLD_KEYS];
	Pb__Role role; /* two of alice, bob and carol */
	Pb__Witness witness[2], *witnesses[2];
	Pb__LogPolicy log; /* one of two witnesses */
	Pb__Root root;
	uint8_t memory[1 << 20];
	struct arena arena;
};

/* PKCS#8: an Ed25519 key is 32 bytes of anything. */
static inline struct crypto_key *world_key(uint8_t n)
{
	static const uint8_t head[] = { 0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4,
		0x22, 4, 0x20 };
	uint8_t der[sizeof(head) + 32];
	struct crypto_key *key;
	int err;

	memcpy(der, head, sizeof(head));
	memset(der + sizeof(head), n + 1, 32);
	err = crypto_key_read(bytes_of(der, sizeof(der)), &key);
	assert(err == 0);
	return key;
}

static inline struct crypto_key *world_p256(void)
{
	static const char hex[] =
		"308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420d05e9bc163"
		"31ca2abce089e82a3b78cc6b31fa9b42e2a51a96abe16eb97a97a1a144034200048ba4de163691b4e4"
		"a1b042d9ee61066266b38c01fc91758a6097eed3628d74620e5ed32ed614544ba5664e47248a6aa994"
		"5762550408ab3171f75fe5d63226e4";
	uint8_t der[(sizeof(hex) - 1) / 2];
	struct crypto_key *key;
	bool ok = hex_decode(der, sizeof(der), hex);
	int err = crypto_key_read(bytes_of(der, sizeof(der)), &key);

	assert(ok && err == 0);
	return key;
}

static inline void world_witness(struct world *w, unsigned i, const char *name, unsigned key)
{
	w->witness[i] = (Pb__Witness)PB__WITNESS__INIT;
	w->witness[i].name = name;
	w->witness[i].public_key = w->entry[key].public_key;
	w->witnesses[i] = &w->witness[i];
}

static inline void world_log(struct world *w)
{
	world_witness(w, 0, "witness.example", WORLD_W1);
	world_witness(w, 1, "second.example", WORLD_W2);
	w->log = (Pb__LogPolicy)PB__LOG_POLICY__INIT;
	w->log.origin = WORLD_ORIGIN;
	w->log.log_keyid = w->ids[WORLD_LOG];
	w->log.witnesses = w->witnesses;
	w->log.n_witnesses = 2;
	w->log.witness_threshold = 1;
	w->root.log = &w->log;
}

/* Made at the first call; one a process. */
static inline struct world *world(void)
{
	static struct world w;

	if (w.arena.base != NULL)
		return &w;
	w.arena = (struct arena){ w.memory, sizeof(w.memory), 0 };
	w.root = (Pb__Root)PB__ROOT__INIT;
	w.role = (Pb__Role)PB__ROLE__INIT;
	for (unsigned i = 0; i < WORLD_KEYS; i++) {
		Pb__Key *e = &w.entry[i];
		int err;
		w.key[i] = i == WORLD_BOB ? world_p256() : world_key((uint8_t)i);
		*e = (Pb__Key)PB__KEY__INIT;
		e->scheme = (uint32_t)crypto_key_scheme(w.key[i]);
		e->public_key =
			wire_data(w.public_key[i], crypto_key_public(w.key[i], w.public_key[i]));
		err = envelope_keyid(crypto_openssl(), e, w.id[i]);
		assert(err == 0);
		w.entries[i] = e;
		w.ids[i] = wire_data(w.id[i], SHA256_LEN);
	}
	w.root.keys = w.entries;
	w.root.n_keys = WORLD_KEYS;
	w.role.threshold = 2;
	w.role.keyids = w.ids;
	w.role.n_keyids = 3;
	world_log(&w);
	return &w;
}

/* "em dash name base64" for any blob, and a newline. */
static inline struct bytes world_line(struct world *w, const char *name, struct bytes blob)
{
	size_t n = strlen(name) + BASE64_LEN(blob.n) + 6;
	char *p = arena_alloc(&w->arena, n);
	int at;

	assert(p != NULL);
	at = snprintf(p, n, "\xe2\x80\x94 %s ", name);
	at += (int)base64_write(blob, p + at);
	p[at] = '\n';
	return bytes_of(p, (size_t)at + 1);
}

/* The first four bytes of SHA-256(name || newline || type || key) (c2sp.org/signed-note). */
static inline void world_hash(
	const struct world *w, unsigned key, const char *name, uint8_t type, uint8_t out[4])
{
	uint8_t middle[] = { '\n', type }, sha256[SHA256_LEN];
	struct bytes part[] = { bytes_str(name), bytes_of(middle, 2),
		wire_bytes(w->entry[key].public_key) };
	int err = crypto_sha256(part, 3, sha256);

	assert(err == 0);
	memcpy(out, sha256, 4);
}

/* The line of the log's key under `text`. */
static inline struct bytes world_log_line(struct world *w, struct bytes text)
{
	uint8_t blob[4 + SIG_LEN];
	int err = crypto_key_sign(w->key[WORLD_LOG], text, blob + 4);

	assert(err == 0);
	world_hash(w, WORLD_LOG, WORLD_ORIGIN, 1, blob);
	return world_line(w, WORLD_ORIGIN, bytes_of(blob, sizeof(blob)));
}

/* That of a witness, who signs the time too (c2sp.org/tlog-cosignature). */
static inline struct bytes world_witness_line(struct world *w, struct bytes text, unsigned witness)
{
	static const char head[] = "cosignature/v1\ntime 1790000000\n";
	const char *name = w->witness[witness].name;
	uint8_t blob[12 + SIG_LEN], message[1024];
	int err;

	memcpy(message, head, sizeof(head) - 1);
	memcpy(message + sizeof(head) - 1, text.p, text.n);
	world_hash(w, WORLD_W1 + witness, name, 4, blob);
	put_be64(blob + 4, 1790000000);
	err = crypto_key_sign(w->key[WORLD_W1 + witness],
		bytes_of(message, sizeof(head) - 1 + text.n), blob + 12);
	assert(err == 0);
	return world_line(w, name, bytes_of(blob, sizeof(blob)));
}

static inline struct bytes world_join(struct world *w, struct bytes a, struct bytes b)
{
	uint8_t *p = arena_alloc(&w->arena, a.n + b.n);

	assert(p != NULL);
	memcpy(p, a.p, a.n);
	memcpy(p + a.n, b.p, b.n);
	return bytes_of(p, a.n + b.n);
}

/* What a note's signatures are over. */
static inline struct bytes world_text(struct bytes note)
{
	size_t n = 1;

	while (note.p[n - 1] != '\n' || note.p[n] != '\n')
		n++;
	return bytes_of(note.p, n);
}

static inline struct bytes world_cosign(struct world *w, struct bytes note, unsigned witness)
{
	return world_join(w, note, world_witness_line(w, world_text(note), witness));
}
