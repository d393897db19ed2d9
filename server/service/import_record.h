/* SPDX-License-Identifier: Apache-2.0 */
/* How far an import came: in memory, in the store, and as people see it.  Of import.c alone. */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/wire.h"
#include "server/service/import_row.h"

#define IMPORT_TROUBLES_MAX 20u
#define IMPORT_RECORD_ARENA ((size_t)64 * 1024)
#define IMPORT_MAGIC_LEN    8u /* what the file begins with; rows come behind it */

/* How far it came: what a commit makes true. */
struct import_progress {
	uint64_t at;
	uint32_t done, added, known, conflicts, waiting;
	uint32_t given[RING_STABLE];
	uint32_t n_troubles;
	struct {
		uint32_t line;
		enum row_end why;
	} trouble[IMPORT_TROUBLES_MAX];
};

/* A row that was not taken. */
void import_note(struct import_progress *p, uint32_t line, enum row_end why);
/* Without the troubles. */
void import_progress_view(
	const Pb__Import *m, const struct import_progress *p, Pb__ImportView *out);
/* The troubles, in `a`: as many as there is room for. */
void import_progress_troubles(const struct import_progress *p, Pb__ImportView *v, struct arena *a);

/*
 * Into the transaction, packed in `a`.  The troubles themselves are for who waits for them now: after
 * a restart their number is left.
 */
void import_record_put(struct store_txn *t, const Pb__Import *m, uint32_t day,
	const struct import_progress *p, struct arena *a);
/* The newest one, in `a`; NULL with 0: there never was one. */
WARN_UNUSED int import_record_get(struct store *s, struct arena *a, const Pb__ImportRecord **out);
struct import_progress import_progress_of(const Pb__ImportRecord *r);
