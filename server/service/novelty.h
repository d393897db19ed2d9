/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash signatures that are new in a rollout: one e-process each, in the order in which a second
 * device of either arm had them, so that the order does not look at the arm.  (The order of first
 * sighting is as good, and lets what happened once push the others back: measured, a bug of .1 % a
 * day is halted in 62 instead of 90 hours.)  The writer's thread.
 */
#pragma once

#include "server/service/stages.h"
#include "server/store/novel.h"

#define NOVEL_MAX 4096u    /* new signatures a stage keeps; more are not looked at */
#define SEEN_MAX  1000000u /* signatures a store remembers; more are not looked at */

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
