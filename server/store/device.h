/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a device: 60 bytes behind its id. */
#pragma once

#include "server/core/ring.h"
#include "server/store/store.h"

struct device {
	uint8_t id[ID_LEN];
	uint8_t public_key[33]; /* P-256, compressed */
	uint16_t product;       /* number in the store's product table */
	enum ring ring, wish;
	bool left;             /* consent withdrawn */
	uint8_t failed_tag;    /* of the build that last failed here; 0: none */
	uint32_t enrolled_day; /* days since 1970 */
	uint32_t last_seq;     /* highest event number taken */
	uint64_t build;        /* device_build_hash() of the build it last booted; 0: not told */
};

/* How a build id is remembered; never compared across deployments. */
uint64_t device_build_hash(const char *build_id);

bool device_get(struct store_txn *t, const uint8_t id[ID_LEN], struct device *out);
void device_put(struct store_txn *t, const struct device *d);

/* Of the device id itself; what else is kept under it has calls of its own. */
void device_delete(struct store_txn *t, const uint8_t id[ID_LEN]);

/* How a public key (compressed) is looked up by. */
WARN_UNUSED int device_key_hash(const uint8_t public_key[33], uint8_t out[SHA256_LEN]);
/* The device that has this key, if any. */
bool device_of_key(struct store_txn *t, const uint8_t key_hash[SHA256_LEN], uint8_t id[ID_LEN]);
void device_key_put(
	struct store_txn *t, const uint8_t key_hash[SHA256_LEN], const uint8_t id[ID_LEN]);
void device_key_delete(struct store_txn *t, const uint8_t key_hash[SHA256_LEN]);
/* False: it is to be bound to the first key that comes with the device's token. */
bool device_has_key(const struct device *d);

/*
 * Devices' own tokens: `token` is the first half of SHA-256 of its text, so that looking one up tells
 * nothing of those there are.
 */
#define TOKEN_LEN 16u
bool device_of_token(struct store_txn *t, const uint8_t token[TOKEN_LEN], uint8_t id[ID_LEN]);
void device_token_put(
	struct store_txn *t, const uint8_t token[TOKEN_LEN], const uint8_t id[ID_LEN]);
void device_token_delete(struct store_txn *t, const uint8_t token[TOKEN_LEN]);
/* Reads what store_foreach over STORE_TOKEN found. */
bool device_token_read(const struct store_cursor *c, uint8_t token[TOKEN_LEN], uint8_t id[ID_LEN]);

/* Devices that opted in to a ring inside the one they are in. */
void waiting_put(struct store_txn *t, uint16_t line, const uint8_t id[ID_LEN], enum ring wish);
void waiting_delete(struct store_txn *t, uint16_t line, const uint8_t id[ID_LEN]);
/* Reads what store_foreach over STORE_WAITING found. */
enum ring waiting_read(const struct store_cursor *c, uint8_t id[ID_LEN]);
/* The prefix of a line's waiting devices; `key` is scratch. */
struct bytes waiting_prefix(uint16_t line, uint8_t key[2]);

/* Reads what store_foreach over STORE_DEVICE found. */
bool device_read(const struct store_cursor *c, struct device *out);
