/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys: where they lie, and which of the root's keys they are.
 *
 * People's keys are files PERSON.ROLE.pem; the server's own are ROLE.pem in one folder,
 * beside device.key, the secret that devices' report keys are derived from.
 */
#pragma once

#include "proto/envelope.h"

enum key_role {
	KEY_ROOT,
	KEY_RELEASE,
	KEY_APPROVER,
	/* Sign no metadata: the root's admins name them. */
	KEY_TESTER,
	KEY_OBSERVER,
	/* Online: held by the server. */
	KEY_DIRECTOR,
	KEY_SNAPSHOT,
	KEY_TIMESTAMP,
	KEY_LOG,
	KEY_ROLE__COUNT
};
#define KEY_ONLINE_FIRST KEY_DIRECTOR

/* "root", "release", ... as in file names. */
const char *key_role_str(enum key_role role);
/* The role of this name; false when there is none. */
bool key_role_find(const char *name, enum key_role *out);
/* The role's entry in the root; NULL for those that sign no metadata: tester, observer, log. */
const Pb__Role *key_role_of(const Pb__Root *root, enum key_role role);
/* "FOLDER/PERSON.ROLE.pem"; no PERSON when `person` is NULL.  Owned by the caller. */
char *key_path(const char *folder, const char *person, enum key_role role);

/* The root's entry for a key: `public` and `name` are borrowed. */
void key_entry(const struct crypto_key *key, const char *name, bool demo,
	uint8_t public[PUBLIC_MAX], Pb__Key *out);

/* A private key and who it is according to a root, which must outlive it. */
struct held_key {
	struct crypto_key *key;
	const Pb__Key *entry;
	uint8_t id[SHA256_LEN];
};

/* Finds `key`, which it does not take, among the root's keys; ERR_NOT_FOUND. */
WARN_UNUSED int key_find(const Pb__Root *root, const struct crypto_key *key, struct held_key *out);
/*
 * The key in a file; ERR_NOT_FOUND when it is not of this root, ERR_NOT_AUTHORISED when
 * it is but has another role.  On 0 to be given back with key_release.
 */
WARN_UNUSED int key_load(
	const char *path, const Pb__Root *root, enum key_role role, struct held_key *out);
/* What the role's keys may order; false for roles that order nothing. */
bool key_role_kind(enum key_role role, Pb__AdminKind *out);
/* True when the role lists it; of tester and observer: when an AdminRole of that kind does. */
bool key_is_in(const struct held_key *key, const Pb__Root *root, enum key_role role);
void key_release(struct held_key *key);
