/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the check share; nobody else includes it. */
#pragma once

#include "proto/wire.h"
#include "server/store/check.h"

struct check {
	struct store_txn *t;
	struct store_check *out;
	struct arena arena;
	enum store_table table; /* that is walked */
	struct bytes key;       /* of the record that is looked at; n 0: none */
	int err;                /* that keeps it from going on */
};

__attribute__((format(printf, 2, 3))) void check_found(struct check *k, const char *format, ...);

/* One table from the first record to the last, over damage. */
struct check_walk {
	struct store_cursor c;
	uint8_t last[512]; /* the key before */
	size_t last_n;
	uint64_t n;
	bool stopped;
};
void check_begin(struct check *k, struct check_walk *w, enum store_table table);
/*
 * True with a record in w->c that is whole; what is wrong with others and their order is said.  To be
 * called until it is false.
 */
bool check_next(struct check *k, struct check_walk *w);
/* A record that is damaged has a finding of its own: it counts as there. */
bool check_has(struct check *k, enum store_table table, struct bytes key);
/* The same for all that begins with a prefix. */
bool check_has_any(struct check *k, enum store_table table, struct bytes prefix);

/* ---- check_log.c: the log, the metadata, and what each says of the other ---- */

void check_log(struct check *k);

/* ---- check_count.c: evidence once more from what is kept of each device ---- */

void check_counts(struct check *k);
