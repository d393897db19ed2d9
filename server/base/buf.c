/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/base/mem.h"

uint8_t *buf_room(struct buf *b, size_t n)
{
	if (n > b->cap - b->len) {
		size_t cap = b->cap > 0 ? b->cap : 256;
		while (n > cap - b->len)
			cap *= 2;
		b->data = mem_resize(b->data, cap, 1);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	b->len += n;
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	(void)buf_room(b, (size_t)n + 1);
	va_start(args, format);
	(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, args);
	va_end(args);
	b->len += (size_t)n;
}

const char *buf_text(struct buf *b)
{
	*buf_room(b, 1) = '\0';
	return (const char *)b->data;
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
