/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log a second time, in a plain file that is only ever added to: <data>/journal.  The store is
 * what the server works from; the journal is what brings back, with any backup or with none, every
 * entry that was acknowledged when the store itself is lost.
 *
 * An entry is u32 length, u32 checksum of index and bytes, then the LogEntry's bytes; big-endian, from
 * index 0 on and without gaps.  What a crash left half written at the end is cut off at the next open.
 * A journal that is damaged before its end is set aside as <path>.damaged, and begun anew: whoever has
 * the store writes it again.  One thread at a time.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

#define JOURNAL_ENTRY_MAX (1u << 20)

struct journal;

/* Makes it when it is missing.  On failure `error` (at least 256 bytes) has the line for a person. */
WARN_UNUSED int journal_open(const char *path, struct journal **out, char *error);
/* The same to look only: nothing is made, cut or set aside. */
WARN_UNUSED int journal_open_read(const char *path, struct journal **out, char *error);
void journal_close(struct journal *j);

/* Entries that are whole, from the first on. */
uint64_t journal_count(const struct journal *j);
/* Bytes behind them that are none: of one that was half written, or damage.  0 once it was opened to write. */
uint64_t journal_rest(const struct journal *j);
/*
 * Durable on return.  `index` must be the next one: ERR_CONFLICT.  After another error the entry is
 * not there, and may be appended again.
 */
WARN_UNUSED int journal_append(struct journal *j, uint64_t index, struct bytes entry);
/*
 * From entry `from` on, as long as each() returns 0: what it returned, or ERR_CORRUPT when the file
 * has changed since it was opened.  The bytes are valid within the call.
 */
WARN_UNUSED int journal_each(struct journal *j, uint64_t from,
	int (*each)(void *ctx, uint64_t index, struct bytes entry), void *ctx);
