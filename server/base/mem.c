/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/mem.h"

#include <stdio.h>
#include <string.h>

static void *must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_alloc(size_t n)
{
	return must(malloc(n > 0 ? n : 1));
}

void *mem_zalloc(size_t n)
{
	return must(calloc(1, n > 0 ? n : 1));
}

void *mem_resize(void *p, size_t n, size_t size)
{
	return must(reallocarray(p, n > 0 ? n : 1, size));
}

void *mem_dup(const void *p, size_t n)
{
	void *copy = mem_alloc(n);

	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

char *mem_strdup(const char *s)
{
	return must(strdup(s));
}

char *mem_vprintf(const char *format, va_list args)
{
	char *s = NULL;

	if (vasprintf(&s, format, args) < 0)
		s = NULL;
	return must(s);
}

char *mem_printf(const char *format, ...)
{
	va_list args;
	char *s;

	va_start(args, format);
	s = mem_vprintf(format, args);
	va_end(args);
	return s;
}
