/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share; nobody else includes it but a bench. */
#pragma once

#include <lmdb.h>
#include <stdatomic.h>

#include "server/store/store.h"

#define STORE_ERROR_MAX 256

struct store {
	MDB_env *env;
	MDB_dbi table[STORE__COUNT];
	bool made[STORE__COUNT]; /* by this process: it was missing */
	_Atomic uint64_t transactions;
	_Atomic bool dead; /* and somebody was told */
};

static inline MDB_val store_val(struct bytes b)
{
	union {
		const void *in;
		void *out; /* LMDB does not write through it */
	} u = { b.p };
	return (MDB_val){ b.n, u.out };
}

/* LMDB's own codes are one to us: what matters is whether space ran out. */
int store_err(int rc);
