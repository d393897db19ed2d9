/* SPDX-License-Identifier: Apache-2.0 */
/* Tables on a terminal: columns as wide as what is in them. */
#pragma once

#include "server/ctl/term.h"

struct column {
	const char *head;
	bool right; /* numbers */
};

struct table {
	const struct column *columns;
	size_t n_columns;
	struct cell *cells; /* row by row; owned */
	size_t n_cells;
};

/* The next cell, left to right; rows follow by themselves. */
void table_cell(struct table *t, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Adds the table to `out` and gives its memory back.  On a terminal, prose of the last column
 * that does not fit goes below its row.  The last row must be whole.
 */
void table_print(struct table *t, const struct term *term, struct buf *out);
/* Prose in lines of whole words, where there is a terminal whose width matters. */
void text_wrap(struct buf *out, const struct term *term, enum style style, size_t indent,
	const char *text);
