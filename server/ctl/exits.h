/* SPDX-License-Identifier: Apache-2.0 */
/* How huiductl ends: one number per kind of failure, one form for every error. */
#pragma once

#include "proto/err.h"
#include "server/ctl/term.h"

enum exit_code {
#define EXIT(name, number, sentence) EXIT_##name = (number),
#include "server/ctl/exits.def"
#undef EXIT
};

/* The exit code of an error, the server's or our own. */
enum exit_code exit_of(int err);
/* The table, for `huiductl help exit-codes`. */
void exit_help(struct buf *out);

/*
 * "huiductl: WHAT" and "  try: NEXT" on stderr; returns `code`.  Every error says what
 * to type next.
 */
int fail(enum exit_code code, const char *next, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Whole lines for stderr, in one piece; gives the buffer's memory back. */
void note_text(struct buf *text);
/* A line of progress or warning on stderr, as it is. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Colours of stderr; plain until called. */
void fail_style(const struct term *stderr_term);
