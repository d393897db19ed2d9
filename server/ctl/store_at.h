/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deployment's files, for who looks after the store: huiductl store opens them itself, beside a
 * server or without one.  Functions that return `int` return an exit code, as in ctl.h.
 */
#pragma once

#include "server/config/config.h"
#include "server/ctl/ctl.h"
#include "server/store/store.h"

struct store_at {
	struct config config;
	char *file; /* huidud.yaml */
	char *store, *journal, *ledger;
};

/* By --config, or the huidud.yaml beside the context's huiductl.yaml; released either way. */
WARN_UNUSED int store_at_find(struct ctl *c, struct store_at *out);
void store_at_release(struct store_at *s);

/* For reading: a folder, or a copy in a file. */
WARN_UNUSED int store_at_open(const char *path, struct store **out);

/* Its log's last entry, or what was signed last, whichever is later; 0: neither. */
uint64_t stored_last_ms(struct store_txn *t);

/* Bytes that are free where `path` lies, or is to lie; 0 with errno set. */
uint64_t disk_free(const char *path);

/*
 * Runs it in a child and returns what it returned, or -1 when a signal ended it: bytes of a file that
 * are not what LMDB wrote may take their reader along.
 */
WARN_UNUSED int in_child(int (*run)(void *ctx), void *ctx);

/*
 * Is the store there whole?  EXIT_FAILED when it is not, after a line for each of the first things
 * that are wrong, and what to do.
 */
WARN_UNUSED int store_at_check(const char *path);

/* "device 9f3c...", "log 42", "envelope snapshot/phone-a". */
void put_record(struct buf *out, enum store_table table, struct bytes key);
