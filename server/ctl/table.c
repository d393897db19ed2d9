/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/mem.h"

#define GAP         2u
#define COLUMNS_MAX 12u

struct cell {
	char *text;
	enum style style;
};

void table_cell(struct table *t, enum style style, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort(); /* out of memory */
	va_end(args);
	t->cells = mem_resize(t->cells, t->n_cells + 1, sizeof(*t->cells));
	t->cells[t->n_cells++] = (struct cell){ text, style };
}

static void spaces(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_str(out, " ");
}

/* Nothing follows the last column, so it is not filled up. */
static void print_cell(const struct table *t, const struct term *term, struct buf *out,
	size_t column, size_t width, const struct cell *cell)
{
	bool last = column + 1 == t->n_columns;
	size_t used = text_width(cell->text);
	size_t fill = used < width ? width - used : 0;

	if (column > 0)
		spaces(out, GAP);
	if (t->columns[column].right)
		spaces(out, fill);
	put_text(out, term, cell->style, cell->text);
	if (!t->columns[column].right && !last)
		spaces(out, fill);
	if (!last)
		return;
	while (cell->text[0] == '\0' && out->len > 0 && out->data[out->len - 1] == ' ')
		out->len--;
	buf_str(out, "\n");
}

static void measure(const struct table *t, size_t width[COLUMNS_MAX])
{
	for (size_t c = 0; c < t->n_columns; c++)
		width[c] = text_width(t->columns[c].head);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = text_width(t->cells[i].text), c = i % t->n_columns;
		if (w > width[c])
			width[c] = w;
	}
}

/* A last column of prose takes what the others leave. */
static void cut_last(const struct table *t, const struct term *term, size_t *width)
{
	size_t last = t->n_columns - 1, before = 0, room;

	if (t->columns[last].right || !term->tty)
		return;
	for (size_t c = 0; c < last; c++)
		before += width[c] + GAP;
	room = (size_t)term->width > before + 8 ? (size_t)term->width - before : 8;
	for (size_t i = last; i < t->n_cells; i += t->n_columns)
		t->cells[i].text[text_fit(t->cells[i].text, room)] = '\0';
}

void table_print(struct table *t, const struct term *term, struct buf *out)
{
	size_t width[COLUMNS_MAX];

	assert(t->n_columns <= COLUMNS_MAX && t->n_cells % t->n_columns == 0);
	measure(t, width);
	cut_last(t, term, width);
	for (size_t c = 0; c < t->n_columns; c++) {
		char *head = mem_strdup(t->columns[c].head);
		struct cell cell = { head, STYLE_DIM };
		print_cell(t, term, out, c, width[c], &cell);
		free(head);
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t c = i % t->n_columns;
		print_cell(t, term, out, c, width[c], &t->cells[i]);
		free(t->cells[i].text);
	}
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
}
