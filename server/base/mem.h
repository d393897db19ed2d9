/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the server and the CLI: there is none left is not an error path but the end of the
 * process, with a line that says so.  Free with free().
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

void *mem_alloc(size_t n); /* not cleared */
void *mem_zalloc(size_t n);
/* `n` elements of `size` bytes in place of `p`, which may be NULL; new ones are not cleared. */
void *mem_resize(void *p, size_t n, size_t size);
void *mem_dup(const void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
