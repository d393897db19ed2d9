/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the store in words, as a line of JSON. */
#pragma once

#include "proto/wire.h"
#include "server/base/json.h"
#include "server/store/store.h"

struct dump {
	struct store_txn *t; /* tolerant */
	struct json j;
	struct arena arena; /* that one entry of the log fits in */
};

/* What `c` is at; one that is damaged as the bytes it has. */
void dump_record(struct dump *d, enum store_table table, const struct store_cursor *c);
