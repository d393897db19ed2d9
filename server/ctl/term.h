/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal can show, and how numbers look on it. */
#pragma once

#include "server/base/buf.h"

struct term {
	bool tty;
	bool color;
	bool ascii; /* no characters beyond it */
	int width, height;
};

/*
 * Of the file descriptor.  `color` is auto, always or never, NULL for auto: only on a
 * terminal, and not with NO_COLOR set or TERM=dumb.
 */
void term_init(struct term *t, int fd, const char *color, bool ascii);
/* Asks again how large it is. */
void term_measure(struct term *t, int fd);

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_BAD,
	STYLE_WARN,
	STYLE_BUSY,
	STYLE__COUNT
};
void put(struct buf *out, const struct term *t, enum style style, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void put_text(struct buf *out, const struct term *t, enum style style, const char *text);

enum icon {
	ICON_WAITING,
	ICON_READY,
	ICON_RUNNING,
	ICON_PAUSED,
	ICON_HALTED,
	ICON_DONE,
	ICON_PASSED,
	ICON_GONE,
	ICON_WARNING,
	ICON_BRANCH, /* of a tree: more follow */
	ICON_LAST,
	ICON_TRUNK,
	ICON_SPACE,
	ICON__COUNT
};
const char *icon(const struct term *t, enum icon icon);

/* Columns `s` takes, which is UTF-8 without escape sequences. */
size_t text_width(const char *s);
/* The longest beginning of `s` that takes at most `width` columns, in bytes. */
size_t text_fit(const char *s, size_t width);
