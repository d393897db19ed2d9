/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a store whole, and does what is in it fit together?  Every record is read, looked up where it
 * names another one, and what was added up from records is added up again.
 */
#pragma once

#include "server/store/store.h"

struct store_finding {
	enum store_table table;
	struct bytes key; /* of the record; n 0: of the table as a whole */
	const char *says; /* what is wrong, as the rest of a sentence that begins with the record */
};

struct store_check {
	/* Called once for each thing that is wrong; what it is given is valid during the call. */
	void (*found)(void *ctx, const struct store_finding *f);
	void *ctx;
	uint64_t at; /* the log's root is wanted as it was with so many entries, besides; 0: no */

	/* What it leaves: */
	uint64_t findings, records;
	uint64_t log_size; /* entries that are there without a gap */
	uint8_t log_root[SHA256_LEN];
	bool has_at; /* the log is that long: */
	uint8_t at_root[SHA256_LEN];
};

/*
 * Looks at everything `t` sees.  0 when nothing is wrong, ERR_CORRUPT when something was found,
 * ERR_CRYPTO.  What no commit can leave behind, killed or not, is wrong; what a server mends at its
 * next start is not.  Damage inside a record or a lost one never crashes it; bytes of LMDB's own pages
 * that are not what LMDB wrote may: who looks at a file that may be spoilt does it in a child.
 */
WARN_UNUSED int store_check(struct store_txn *t, struct store_check *c);
