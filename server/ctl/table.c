/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define GAP         2u
#define COLUMNS_MAX 12u

struct cell {
	char *text;
	enum style style;
};

void table_cell(struct table *t, enum style style, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = mem_vprintf(format, args);
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

/* The longest beginning of `s` of whole words that fits, in bytes; a long word is cut. */
static size_t words_fit(const char *s, size_t width)
{
	size_t n = text_fit(s, width), end = n;

	if (s[n] == '\0')
		return n;
	while (end > 0 && s[end] != ' ')
		end--;
	return end > 0 ? end : n > 0 ? n : strlen(s);
}

void text_wrap(
	struct buf *out, const struct term *term, enum style style, size_t indent, const char *text)
{
	size_t room = (size_t)term->width > indent + 8 ? (size_t)term->width - indent : 8;
	const char *s = text;

	while (*s != '\0') {
		size_t n = term->tty ? words_fit(s, room) : strlen(s);
		char *line = mem_printf("%.*s", (int)n, s);
		spaces(out, indent);
		put_text(out, term, style, line);
		buf_str(out, "\n");
		free(line);
		for (s += n; *s == ' ';)
			s++;
	}
}

static void print_last(const struct table *t, const struct term *term, struct buf *out,
	const size_t *width, struct cell *cell)
{
	const struct cell none = { (char[]){ "" }, STYLE_PLAIN };
	size_t last = t->n_columns - 1, before = 0, indent = 0;

	for (size_t c = 0; c < last; c++) {
		indent = before;
		before += width[c] + GAP;
	}
	if (!term->tty || t->columns[last].right ||
		before + text_width(cell->text) <= (size_t)term->width) {
		print_cell(t, term, out, last, width[last], cell);
		return;
	}
	/* What does not fit behind its row stands below it, from where the column before begins. */
	print_cell(t, term, out, last, width[last], &none);
	text_wrap(out, term, cell->style, indent, cell->text);
}

void table_print(struct table *t, const struct term *term, struct buf *out)
{
	size_t width[COLUMNS_MAX];

	assert(t->n_columns <= COLUMNS_MAX && t->n_cells % t->n_columns == 0);
	measure(t, width);
	for (size_t c = 0; c < t->n_columns; c++) {
		char *head = mem_strdup(t->columns[c].head);
		struct cell cell = { head, STYLE_DIM };
		print_cell(t, term, out, c, width[c], &cell);
		free(head);
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t c = i % t->n_columns;
		if (c + 1 == t->n_columns)
			print_last(t, term, out, width, &t->cells[i]);
		else
			print_cell(t, term, out, c, width[c], &t->cells[i]);
		free(t->cells[i].text);
	}
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
}
