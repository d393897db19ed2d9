/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE envelopes (secure-systems-lab/dsse 1.0.2): signed bytes with their type and signatures.
 * One verify function for all roles: what is checked for one is checked for each.
 *
 * Signatures are over PAE = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body.
 */
#pragma once

#include "proto/crypto.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define ENVELOPE_SIGNATURES_MAX 16u

enum envelope_type {
	ENVELOPE_ROOT,
	ENVELOPE_TIMESTAMP,
	ENVELOPE_SNAPSHOT,
	ENVELOPE_TARGETS,
	ENVELOPE_PLAN,
	ENVELOPE_DIRECTOR,
	ENVELOPE_DECISION,
	ENVELOPE_GRANT,
	ENVELOPE_TIME,
	ENVELOPE_COMMAND,
	ENVELOPE_QUERY,  /* never signed */
	ENVELOPE_UPLOAD, /* never signed */
	ENVELOPE_REPLY,  /* never signed */
	ENVELOPE__COUNT
};

/* "application/vnd.huidu.<name>.v1+protobuf" */
const char *envelope_type_str(enum envelope_type type);
/* True, with `*type` set, when the envelope says it is of a known type. */
bool envelope_type_of(const Pb__Envelope *e, enum envelope_type *type);

/* The role of `root` that signs this type; NULL for commands, which each role may sign. */
const Pb__Role *envelope_role(const Pb__Root *root, enum envelope_type type);

/* Who signed: indexes into root->keys. */
struct signers {
	unsigned n;
	unsigned key[ENVELOPE_SIGNATURES_MAX];
};

/* Reads an envelope; nothing in it can be believed yet.  NULL with *err set. */
WARN_UNUSED Pb__Envelope *envelope_read(struct bytes in, struct arena *a, int *err);

/*
 * 0 when the envelope is of `type` and at least role->threshold different keys of `role` signed
 * it; then `*payload` (in the arena) may be unpacked.  `who`, if not NULL, gets the keys.
 * The arena must have room for the payload once more.
 */
WARN_UNUSED int envelope_verify(const struct crypto *c, struct bytes in, enum envelope_type type,
	const Pb__Root *root, const Pb__Role *role, struct arena *a, struct bytes *payload,
	struct signers *who);

/* envelope_verify against the type's own role. */
WARN_UNUSED int envelope_open(const struct crypto *c, struct bytes in, enum envelope_type type,
	const Pb__Root *root, struct arena *a, struct bytes *payload);

/* A new envelope around `payload`, not signed. */
WARN_UNUSED int envelope_wrap(
	enum envelope_type type, struct bytes payload, struct arena *a, struct bytes *out);
/*
 * The same envelope with one more signature, made by `key` and attributed to `keyid`.  A key that
 * signed before replaces its signature.
 */
WARN_UNUSED int envelope_sign(struct bytes in, const struct crypto_key *key,
	const uint8_t keyid[SHA256_LEN], struct arena *a, struct bytes *out);
/* `into` with the signatures of `from` it does not have; both must hold the same payload. */
WARN_UNUSED int envelope_merge(
	struct bytes into, struct bytes from, struct arena *a, struct bytes *out);

/* True when the key id is one of a list, as roles and grants have them. */
bool envelope_lists(const ProtobufCBinaryData *keyids, size_t n, struct bytes keyid);
/* SHA-256 of the serialized Key. */
WARN_UNUSED int envelope_keyid(const struct crypto *c, const Pb__Key *key, uint8_t out[SHA256_LEN]);
