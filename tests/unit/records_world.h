/* SPDX-License-Identifier: Apache-2.0 */
/* A write transaction that is always open, in a store of its own. */
#pragma once

#include "rng.h"
#include "server/store/store.h"
#include "tmpdir.h"

#define ROUNDS 300u

static struct store *store;
static struct store_txn txn;

static inline int begin(void **state)
{
	char error[256];

	return tmpdir_make(state) != 0 ||
		store_open(tmpdir_path("store"), 64 << 20, &store, error) != 0 ||
		(store_begin(store, &txn, true), txn.err);
}

static inline int end(void **state)
{
	store_abort(&txn);
	store_close(store);
	return tmpdir_drop(state);
}

/* Commits, and goes on in a new transaction. */
static inline void turn(void)
{
	assert_int_equal(store_commit(&txn), 0);
	store_begin(store, &txn, true);
}

#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, begin, end)
