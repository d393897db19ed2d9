/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB environment, and nothing of what is in it: the record kinds have files of their own.
 *
 * Each value is kept with a checksum over table, key and value, which is looked at whenever one is
 * read: what the disk changed is ERR_CORRUPT, and is handed to nobody.
 *
 * Errors are sticky: once an operation of a transaction fails, the rest do nothing, and
 * store_commit() says what happened.  Bytes got from a transaction point into the map and are valid
 * until its next write or its end.  One write transaction at a time, by the writer thread; read
 * transactions by any thread, each by one.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

/* Numbers and names are on disk. */
enum store_table {
	STORE_META,     /* name -> value */
	STORE_LOG,      /* u64 index -> LogEntry */
	STORE_ENVELOPE, /* metadata name -> Envelope as it is served */
	STORE_DEVICE,   /* device id -> struct device */
	STORE_KEY,      /* SHA-256 of the device key (compressed), first half -> device id */
	STORE_WAITING,  /* u16 line, device id -> u8 wish: opted in, not there yet */
	STORE_ARM,      /* u32 rollout, u8 step, device id -> struct evidence_device */
	STORE_STAGE,    /* u32 rollout, u8 step, u16 product -> struct evidence */
	STORE_ROW,      /* u32 rollout, u64 number -> struct stored_row */
	STORE_SEEN,     /* u16 line, signature, first half -> u64 when it was first seen */
	STORE_NOVEL,    /* u32 rollout, u8 step, signature, first half -> struct novel */
	STORE_HIT,      /* u32 rollout, u8 step, 8 of signature, device id -> nothing */
	STORE_TOKEN,    /* SHA-256 of a device's own token, first half -> device id */
	STORE_FOREIGN,  /* device id -> struct stored_foreign */
	STORE__COUNT
};

#define STORE_KEY_MAX 32u

struct store;

struct store_txn {
	struct store *store;
	void *mdb;
	int err; /* sticky */
	bool wrote;
	bool tolerant; /* set by who looks for damage: cursors hand out damaged records too */
};

/*
 * Address space for the map, not disk: fixed and far beyond any fleet, so that a store that grows
 * never has to be opened anew.
 */
#define STORE_ROOM ((uint64_t)1 << 40)

/*
 * Opens or creates the environment in the directory `path`; the file may grow to `map_bytes`, or to
 * less where so much address space is not to be had.
 * A store of an older format is brought to this one, whole or not at all.  ERR_STORE with a line in
 * `error` (at least 256 bytes): a newer format, no permission, in use, or a last commit that the
 * disk kept only half of, which is not served.
 */
WARN_UNUSED int store_open(const char *path, uint64_t map_bytes, struct store **out, char *error);
/*
 * Opens one that is there for reading, beside a server that may be writing to it: nothing is made,
 * changed or mended, so it must be of this format.  `path` may also be what store_copy() wrote.
 */
WARN_UNUSED int store_open_read(const char *path, struct store **out, char *error);
/*
 * Brings one that is there to this format, as store_open() does, and makes none: an empty one is
 * ERR_STORE.
 */
WARN_UNUSED int store_upgrade(const char *path, char *error);
void store_close(struct store *s);

/* A consistent copy of what is committed now, compacted, while others go on writing; not synced. */
WARN_UNUSED int store_copy(struct store *s, int fd);

struct store_info {
	uint32_t format;
	uint32_t page_bytes;
	uint64_t last_commit; /* its number */
	uint64_t file_bytes;  /* that the file needs */
	uint64_t free_bytes;  /* of these that no table uses, as of the last commit */
	struct {
		uint64_t records, bytes; /* pages of the table */
	} table[STORE__COUNT];
};
/* As `t` sees it. */
WARN_UNUSED int store_info(struct store_txn *t, struct store_info *out);
/* "device" and so on, as people know the table; NULL when there is no such one. */
const char *store_table_str(enum store_table table);

/* Bytes of the file that are in use or free for use again. */
uint64_t store_bytes(const struct store *s);
/* Now and then: what readers that were killed kept from being used again. */
void store_tidy(struct store *s);

void store_begin(struct store *s, struct store_txn *t, bool write);
/* 0: durable.  Otherwise nothing of the transaction has happened: -ENOSPC or ERR_STORE. */
WARN_UNUSED int store_commit(struct store_txn *t);
void store_abort(struct store_txn *t);
/* Begun since it was opened: nothing is read or written outside of one. */
uint64_t store_transactions(const struct store *s);

/* False when there is no such key, or on an error. */
bool store_get(struct store_txn *t, enum store_table table, struct bytes key, struct bytes *value);
void store_put(struct store_txn *t, enum store_table table, struct bytes key, struct bytes value);
/* No error when there is no such key. */
void store_delete(struct store_txn *t, enum store_table table, struct bytes key);
uint64_t store_count(struct store_txn *t, enum store_table table);

/* The last key that begins with `prefix`. */
bool store_last(
	struct store_txn *t, enum store_table table, struct bytes prefix, struct bytes *key);

/* All records whose key begins with `prefix`, in order of key; the bytes of both must stay. */
struct store_cursor {
	struct bytes key, value;
	struct bytes prefix, from;
	enum store_table table;
	bool damaged; /* only where the transaction is tolerant */
	struct store_txn *txn;
	void *mdb;
};

void store_seek(
	struct store_cursor *c, struct store_txn *t, enum store_table table, struct bytes prefix);
/* The same from the first key at or behind `from`, which begins with the prefix. */
void store_seek_from(struct store_cursor *c, struct store_txn *t, enum store_table table,
	struct bytes prefix, struct bytes from);
/* False at the end, or once the transaction has an error; then the cursor is closed. */
bool store_next(struct store_cursor *c);
void store_cursor_close(struct store_cursor *c);

/* Leave the loop with store_cursor_close(), not with break alone. */
#define store_foreach(cursor, txn, table, prefix)                                                  \
	for (store_seek((cursor), (txn), (table), (prefix)); store_next(cursor);)
