/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share; nobody else includes it. */
#pragma once

#include <lmdb.h>
#include <stdatomic.h>

#include "server/store/store.h"

#define STORE_ERROR_MAX 256

struct store {
	MDB_env *env;
	MDB_dbi table[STORE__COUNT];
	_Atomic uint64_t transactions;
};

/* LMDB's own codes are one to us: what matters is whether space ran out. */
int store_err(int rc);
