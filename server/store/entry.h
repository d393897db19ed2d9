/* SPDX-License-Identifier: Apache-2.0 */
/* The log and the metadata in force, on disk. */
#pragma once

#include "server/store/store.h"

/* Appends at `index`, which must be the next one: otherwise ERR_CORRUPT. */
void entry_append(struct store_txn *t, uint64_t index, struct bytes log_entry);
bool entry_get(struct store_txn *t, uint64_t index, struct bytes *out);
uint64_t entry_count(struct store_txn *t);

/* Signed metadata as it is served, by its name ("director/phone-a/core"). */
bool envelope_get(struct store_txn *t, const char *name, struct bytes *out);
void envelope_put(struct store_txn *t, const char *name, struct bytes envelope);

/* The number a name of a kind ("product", "line") has in this store; a new one gets the next. */
uint16_t name_number(struct store_txn *t, const char *kind, const char *name);
