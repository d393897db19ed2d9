/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People of a deployment and what they sign: any command by any of them, and the next root.  Anything
 * that fails to be made ends the program; what the server answers is returned.
 */
#pragma once

#include "deployment.h"
#include "proto/root.h"
#include "server/service/admin.h"
#include "server/trust/keys.h"

#define WORLD_KEYS 8u

/* A key made by a test, known by its entry as soon as a root lists it. */
struct world_key {
	struct crypto_key *key;
	Pb__Key entry;
	uint8_t public_key[PUBLIC_MAX], id[SHA256_LEN];
	ProtobufCBinaryData keyid;
};
void world_key_make(struct world_key *k, const char *name, bool demo);
void world_key_free(struct world_key *k);

/* A key of the ceremony's: person 0 is alice, 1 bob, ...; to be given back with key_release. */
void world_load(struct deployment *d, unsigned who, enum key_role role, struct held_key *out);

/* The command as an Envelope without signatures, in the deployment's arena; expires in 10 minutes. */
struct bytes world_command(struct deployment *d, Pb__AdminCommand *m);
struct bytes world_sign(struct deployment *d, struct bytes envelope, const struct crypto_key *key,
	const uint8_t *id);
struct bytes world_sign_as(
	struct deployment *d, struct bytes envelope, unsigned who, enum key_role role);
/* What the server says to it. */
int world_send(struct deployment *d, struct bytes envelope);
/* The command, signed by one person of the ceremony, and sent. */
int world_do(struct deployment *d, Pb__AdminCommand *m, unsigned who, enum key_role role);

/* A root that is like the one in force but for what `change` does to it, and one version on. */
struct world_root {
	Pb__Root root;
	Pb__Key *keys[ROOT_KEYS_MAX];
	Pb__Role role[6];
	ProtobufCBinaryData ids[6][16];
	Pb__AdminRole admin[8], *admins[8];
};
/* In the order of Pb__Root: root, timestamp, snapshot, targets, director, approver. */
enum { WORLD_ROOT, WORLD_TIMESTAMP, WORLD_SNAPSHOT, WORLD_TARGETS, WORLD_DIRECTOR, WORLD_APPROVER };
void world_root_next(struct deployment *d, struct world_root *r);
void world_root_add(struct world_root *r, int role, struct world_key *k);
/* Takes the role's first key out. */
void world_root_drop(struct world_root *r, int role);
/* A grant to one key; `product` NULL and `ring` -1: all of them. */
void world_root_grant(struct world_root *r, Pb__AdminKind kind, const uint8_t *keyid,
	const char *product, int ring);
/* Unsigned; sign it with the ceremony's root keys and others. */
struct bytes world_root_wrap(struct deployment *d, const struct world_root *r);
struct bytes world_root_sign(struct deployment *d, struct bytes envelope);
int world_root_send(struct deployment *d, struct bytes envelope);

/* A query's answer, in the deployment's arena. */
const Pb__AdminReply *world_ask(
	struct deployment *d, Pb__QueryKind kind, const char *name, uint64_t from);
