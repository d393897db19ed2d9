/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence on disk: one record a device and stage, one a stage and stratum, one a closed row. */
#pragma once

#include "server/core/evidence.h"
#include "server/store/store.h"

/* A stage of a rollout; `rollout` is the log index of its proposal. */
struct stage_key {
	uint32_t rollout;
	uint8_t step;
};

bool arm_get(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN],
	struct evidence_device *out);
void arm_put(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN],
	const struct evidence_device *d);
void arm_delete(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN]);
/* Reads what store_foreach over STORE_ARM found. */
bool arm_read(const struct store_cursor *c, struct stage_key *stage, uint8_t id[ID_LEN],
	struct evidence_device *out);

bool stage_get(struct store_txn *t, struct stage_key stage, uint16_t product, struct evidence *out);
void stage_put(
	struct store_txn *t, struct stage_key stage, uint16_t product, const struct evidence *e);
/* Which one store_foreach over STORE_STAGE found. */
bool stage_key_read(const struct store_cursor *c, struct stage_key *stage, uint16_t *product);

/*
 * Devices' records of the rollout were removed, or some of them: what was counted of them cannot be
 * counted again.
 */
void stage_purged_put(struct store_txn *t, uint32_t rollout);
bool stage_purged(struct store_txn *t, uint32_t rollout);

/* One closed row, with where it belongs. */
struct stored_row {
	struct stage_key stage;
	uint16_t product;
	struct evidence_row row;
};

/*
 * Rows of a rollout are numbered from 0 in the order in which they were closed, and never
 * rewritten: one that is there already is ERR_CORRUPT.
 */
void row_put(struct store_txn *t, uint64_t number, const struct stored_row *r);
#define ROW_BYTES (12u + 36u) /* key and value */
/* False when it is no such record. */
bool row_unpack(struct bytes key, struct bytes value, uint64_t *number, struct stored_row *out);
/* Reads what store_foreach over STORE_ROW found. */
bool row_read(const struct store_cursor *c, uint64_t *number, struct stored_row *out);
/* How many rows the rollout has. */
uint64_t row_count(struct store_txn *t, uint32_t rollout);
/* The first key of a rollout from row `number` on, and the prefix of them all. */
struct bytes row_key(uint32_t rollout, uint64_t number, uint8_t key[12]);
