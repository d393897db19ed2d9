/* SPDX-License-Identifier: Apache-2.0 */
/* A byte buffer that grows.  `{ 0 }` is empty; buf_release gives the memory back. */
#pragma once

#include "proto/bytes.h"

struct buf {
	uint8_t *data;
	size_t len, cap;
};

/* Room for `n` more bytes at the end; the caller writes them and adds to len. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->data, b->len);
}
/* The bytes with a NUL after them; the buffer keeps them. */
const char *buf_text(struct buf *b);
void buf_release(struct buf *b);
