/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/term.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/base/mem.h"

#define WIDTH_DEFAULT 80

static const char *const escape[STYLE__COUNT] = {
	[STYLE_PLAIN] = "",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_DIM] = "\033[2m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_BAD] = "\033[31m",
	[STYLE_WARN] = "\033[33m",
	[STYLE_BUSY] = "\033[36m",
};

static const struct {
	const char *utf8, *ascii;
} icons[ICON__COUNT] = {
	[ICON_WAITING] = { "○", "o" },
	[ICON_READY] = { "◎", "@" },
	[ICON_RUNNING] = { "●", "*" },
	[ICON_PAUSED] = { "‖", "=" },
	[ICON_HALTED] = { "✖", "x" },
	[ICON_DONE] = { "✔", "+" },
	[ICON_PASSED] = { "◉", "w" },
	[ICON_GONE] = { "↷", ">" },
	[ICON_WARNING] = { "▲", "!" },
	[ICON_BRANCH] = { "├─ ", "|- " },
	[ICON_LAST] = { "└─ ", "`- " },
	[ICON_TRUNK] = { "│  ", "|  " },
	[ICON_SPACE] = { "   ", "   " },
};

void term_measure(struct term *t, int fd)
{
	struct winsize w;

	t->width = WIDTH_DEFAULT;
	t->height = 0;
	if (t->tty && ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
		t->width = w.ws_col;
		t->height = w.ws_row;
	}
}

void term_init(struct term *t, int fd, const char *color, bool ascii)
{
	const char *name = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool dumb = name != NULL && strcmp(name, "dumb") == 0;

	t->tty = isatty(fd) == 1;
	t->color = t->tty && !dumb && (no_color == NULL || no_color[0] == '\0');
	if (color != NULL && strcmp(color, "auto") != 0)
		t->color = strcmp(color, "always") == 0;
	t->ascii = ascii || (t->tty && dumb) || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	term_measure(t, fd);
}

void put_text(struct buf *out, const struct term *t, enum style style, const char *text)
{
	bool styled = t->color && style != STYLE_PLAIN;

	if (styled)
		buf_str(out, escape[style]);
	buf_str(out, text);
	if (styled)
		buf_str(out, "\033[0m");
}

void put(struct buf *out, const struct term *t, enum style style, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = mem_vprintf(format, args);
	va_end(args);
	put_text(out, t, style, text);
	free(text);
}

const char *icon(const struct term *t, enum icon i)
{
	return t->ascii ? icons[i].ascii : icons[i].utf8;
}

/* One code point; a byte that starts none counts as one by itself. */
static size_t decode(const char *s, uint32_t *point)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;

	*point = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 1;
		*point = *point << 6 | (p[i] & 0x3f);
	}
	return n;
}

static size_t columns(uint32_t point)
{
	static const struct {
		uint32_t from, to;
		size_t columns;
	} special[] = {
		{ 0x0300, 0x036f, 0 }, /* combining marks */
		{ 0x200b, 0x200f, 0 }, /* no space, joiners, directions */
		{ 0xfe00, 0xfe0f, 0 }, /* variation selectors */
		{ 0x1100, 0x115f, 2 }, /* Hangul */
		{ 0x2e80, 0xa4cf, 2 }, /* CJK, kana, Yi */
		{ 0xac00, 0xd7a3, 2 },
		{ 0xf900, 0xfaff, 2 },
		{ 0xfe30, 0xfe6f, 2 },
		{ 0xff00, 0xff60, 2 }, /* full width forms */
		{ 0xffe0, 0xffe6, 2 },
		{ 0x1f300, 0x1faff, 2 }, /* pictures */
		{ 0x20000, 0x3fffd, 2 },
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (point >= special[i].from && point <= special[i].to)
			return special[i].columns;
	return 1;
}

size_t text_fit(const char *s, size_t width)
{
	size_t at = 0, used = 0;

	while (s[at] != '\0') {
		uint32_t point;
		size_t n = decode(s + at, &point);
		if (used + columns(point) > width)
			break;
		used += columns(point);
		at += n;
	}
	return at;
}

size_t text_width(const char *s)
{
	size_t width = 0;

	while (*s != '\0') {
		uint32_t point;
		s += decode(s, &point);
		width += columns(point);
	}
	return width;
}
