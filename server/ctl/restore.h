/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of huiductl store restore.  Functions that return `int` return 0 or an error. */
#pragma once

#include "server/ctl/store_at.h"
#include "server/trust/floor.h"

struct restored_log {
	struct signer_log want; /* what the ledger has */
	/* What was found and made: */
	uint64_t had;     /* entries in the backup */
	uint64_t journal; /* in the journal */
	bool cut;         /* what follows in it is damaged */
	char error[256];  /* the line of a journal that cannot be read, or "" */
	uint64_t size;    /* now; after ERR_MISMATCH the first that differs */
};

/*
 * Adds the entries of the journal that the store's log lacks, with the directives among them, in one
 * commit; `journal` NULL: there is none.  ERR_FLOOR: even so it is shorter than the ledger; ERR_MISMATCH: store and journal differ;
 * ERR_FORKED: it is as long as the ledger, and not the log that was signed.
 */
WARN_UNUSED int restored_log_make(struct restored_log *l, struct store *s, const char *journal);

/* The file, or the data.mdb of a folder, as data.mdb of the folder `to`; on disk on return. */
WARN_UNUSED int restore_copy(const char *from, const char *to);
/* On disk, without what belongs to this process, and as the folder `like` to whoever owns that. */
WARN_UNUSED int restore_settle(const char *folder, const char *like);
/* `made` is `store` and `store` is `kept`, in one step; if there is no store yet, the first only. */
WARN_UNUSED int restore_exchange(const char *made, const char *store, const char *kept);
/* A store's folder, if there is one; nothing but a store's files goes. */
void restore_remove(const char *folder);
