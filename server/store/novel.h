/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash signatures: when a line first saw one, and those that are new in a stage.  The first half
 * of a signature stands for it.
 */
#pragma once

#include "server/store/stage.h"

#define SIGNATURE_LEN 16u

/* When the line saw the signature first; UINT64_MAX when it has not. */
uint64_t seen_get(struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN]);
void seen_put(struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN],
	uint64_t now_ms);

/* A new signature in a stage. */
#define NOVEL_ONCE UINT16_MAX
struct novel {
	uint16_t number; /* in order of second sighting in the stage, from 0; NOVEL_ONCE before */
	uint64_t first_ms;
	uint32_t open[ARM__COUNT];  /* devices in the open batch */
	uint32_t total[ARM__COUNT]; /* ever */
};
bool novel_get(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	struct novel *out);
void novel_put(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const struct novel *n);
/* Reads what store_foreach over STORE_NOVEL found. */
bool novel_read(const struct store_cursor *c, uint8_t signature[SIGNATURE_LEN], struct novel *out);
/* The prefix of a stage's. */
struct bytes novel_prefix(struct stage_key stage, uint8_t key[5]);

bool hit_has(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN]);
void hit_delete(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN]);
/* Marks that the device had it; false when it was marked already. */
bool hit_put(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN]);
