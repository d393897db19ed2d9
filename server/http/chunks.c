/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/chunks.h"

#define DIGITS_MAX 8

/* What is expected next.  The zero state is the start. */
enum { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, END_CR, END_LF };

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_size(struct chunks *c, uint8_t byte)
{
	int v = digit(byte);

	if (v >= 0 && c->digits++ < DIGITS_MAX) {
		c->left = c->left << 4 | (uint32_t)v;
		return 0;
	}
	if (byte != '\r' || c->digits == 0 || v >= 0)
		return ERR_MALFORMED;
	if (c->left > c->max - c->n)
		return ERR_TOO_BIG;
	c->digits = 0;
	c->state = SIZE_LF;
	return 0;
}

/* One byte of the framing. */
static int frame(struct chunks *c, uint8_t byte)
{
	static const struct {
		uint8_t want, next;
	} step[] = {
		[DATA_CR] = { '\r', DATA_LF },
		[DATA_LF] = { '\n', SIZE },
		[END_CR] = { '\r', END_LF },
		[END_LF] = { '\n', SIZE },
	};

	if (c->state == SIZE)
		return read_size(c, byte);
	if (c->state == SIZE_LF) {
		c->state = c->left > 0 ? DATA : END_CR;
		return byte == '\n' ? 0 : ERR_MALFORMED;
	}
	if (byte != step[c->state].want)
		return ERR_MALFORMED;
	c->done = c->state == END_LF;
	c->state = step[c->state].next;
	return 0;
}

ssize_t chunks_read(struct chunks *c, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n && !c->done) {
		if (c->state != DATA) {
			int rc = frame(c, p[at++]);
			if (rc != 0)
				return rc;
			continue;
		}
		size_t take = c->left < n - at ? c->left : n - at;
		memmove(c->to + c->n, p + at, take);
		c->n += take;
		at += take;
		c->left -= (uint32_t)take;
		if (c->left == 0)
			c->state = DATA_CR;
	}
	return (ssize_t)at;
}
