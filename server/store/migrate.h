/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of the store, and the way from each to the next. */
#pragma once

#include "server/store/store.h"

/*
 * 1: values as they are.
 * 2: four bytes of checksum behind each value.
 * 3: devices are found by the hash of their compressed key, which is what is kept of it.
 * 4: devices may have a record in the table "foreign": who does not know it must not write here.
 */
#define STORE_FORMAT 4u

/*
 * Rewrites the store, of format `from` as it was committed last, into that of the next, within `t`.
 * Its error is t->err.
 */
void migrate(struct store_txn *t, uint32_t from);
