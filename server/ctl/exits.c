/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/exits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/mem.h"

static const struct {
	int number;
	const char *sentence;
} codes[] = {
#define EXIT(name, number, sentence) { number, sentence },
#include "server/ctl/exits.def"
#undef EXIT
};

static const struct {
	int err;
	enum exit_code code;
} of_err[] = {
	{ 0, EXIT_DONE },
	{ ERR_CONFIG, EXIT_USAGE },
	{ ERR_BAD_PLAN, EXIT_USAGE },
	{ ERR_BAD_BUILD, EXIT_USAGE },
	{ ERR_NOT_FOUND, EXIT_NOT_FOUND },
	{ -ENOENT, EXIT_NOT_FOUND },
	{ ERR_NOT_AUTHORISED, EXIT_NOT_AUTHORISED },
	{ ERR_BELOW_THRESHOLD, EXIT_NOT_AUTHORISED },
	{ ERR_BAD_SIGNATURE, EXIT_NOT_AUTHORISED },
	{ ERR_DUPLICATE_KEYID, EXIT_NOT_AUTHORISED },
	{ -EACCES, EXIT_NOT_AUTHORISED },
	{ ERR_CONFLICT, EXIT_CONFLICT },
	{ ERR_EXISTS, EXIT_CONFLICT },
	{ -EEXIST, EXIT_CONFLICT },
	{ ERR_REPLAYED, EXIT_CONFLICT },
	{ ERR_STALE, EXIT_CONFLICT },
	{ ERR_WRONG_STATE, EXIT_REFUSED },
	{ ERR_PLAN_EXCEEDED, EXIT_REFUSED },
	{ ERR_TOO_EARLY, EXIT_REFUSED },
	{ ERR_SIGNER, EXIT_REFUSED },
	{ ERR_FLOOR, EXIT_REFUSED },
	{ ERR_WRONG_REPOSITORY, EXIT_REFUSED },
	{ ERR_WRONG_PRODUCT, EXIT_REFUSED },
	{ ERR_MISMATCH, EXIT_REFUSED },
	{ ERR_BAD_HASH, EXIT_REFUSED },
	{ ERR_ROLLBACK, EXIT_REFUSED },
	{ ERR_EXPIRED, EXIT_REFUSED },
	{ ERR_BUILD_HALTED, EXIT_HALTED },
	{ ERR_UNREACHABLE, EXIT_UNREACHABLE },
};

enum exit_code exit_of(int err)
{
	for (size_t i = 0; i < sizeof(of_err) / sizeof(of_err[0]); i++)
		if (of_err[i].err == err)
			return of_err[i].code;
	return EXIT_FAILED;
}

void exit_help(struct buf *out)
{
	buf_str(out, "huiductl ends with\n\n");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		buf_printf(out, "  %3d  %s\n", codes[i].number, codes[i].sentence);
}

static struct term style;

void fail_style(const struct term *stderr_term)
{
	style = *stderr_term;
}

void note_text(struct buf *text)
{
	(void)fflush(stdout);                           /* what came first is seen first */
	(void)fwrite(text->data, 1, text->len, stderr); /* if that is gone, so be it */
	buf_release(text);
}

int fail(enum exit_code code, const char *next, const char *format, ...)
{
	struct buf b = { 0 };
	char *what;
	va_list args;

	va_start(args, format);
	what = mem_vprintf(format, args);
	va_end(args);
	put(&b, &style, STYLE_BAD, "huiductl:");
	buf_printf(&b, " %s\n", what);
	if (next != NULL)
		buf_printf(&b, "  try: %s\n", next);
	note_text(&b);
	free(what);
	return (int)code;
}

void note(const char *format, ...)
{
	va_list args;

	(void)fflush(stdout); /* what came first is seen first */
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr); /* nowhere to say that stderr is gone */
}
