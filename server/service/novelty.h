/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash signatures that are new in a rollout: one e-process each, in the order in which they were
 * first seen in either arm, so that the order does not look at the arm.  The writer's thread.
 */
#pragma once

#include "server/service/stages.h"
#include "server/store/novel.h"

#define SEEN_MAX 1000000u /* signatures a store remembers; more are not looked at */

/* A device of the stage crashed with the signature. */
void novelty_crash(struct stage *g, struct store_txn *t, uint16_t product, const uint8_t id[ID_LEN],
	const uint8_t signature[SIGNATURE_LEN], uint64_t now_ms);
/* Some device of the line did: it is known from now on. */
void novelty_seen(struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN],
	uint64_t now_ms);
/*
 * Writes the rows of the batch that is about to close, from row `number` of the rollout on;
 * returns how many.
 */
size_t novelty_close(struct stage *g, struct store_txn *t, uint64_t number, uint64_t now_ms);
