/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, and a table to put texts in. */
#pragma once

#include "server/store/store.h"
#include "tmpdir.h"

#define MAP ((uint64_t)64 << 20)

static inline struct store *open_store(uint64_t map_bytes)
{
	struct store *s;
	char error[256] = "";

	if (store_open(tmpdir_path("store"), map_bytes, &s, error) != 0)
		fail_msg("%s", error);
	return s;
}

static inline void put(struct store_txn *t, const char *key, const char *value)
{
	store_put(t, STORE_ENVELOPE, bytes_str(key), bytes_str(value));
}

static inline bool has(struct store_txn *t, const char *key, const char *value)
{
	struct bytes v;

	return store_get(t, STORE_ENVELOPE, bytes_str(key), &v) && bytes_eq(v, bytes_str(value));
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)
