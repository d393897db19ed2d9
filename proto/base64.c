/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(struct bytes in, char *out)
{
	size_t at = 0;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;
		if (have > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (have > 2)
			v |= in.p[i + 2];
		out[at++] = alphabet[v >> 18];
		out[at++] = alphabet[v >> 12 & 63];
		out[at++] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		out[at++] = have > 2 ? alphabet[v & 63] : '=';
	}
	return at;
}

static int value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to at most three bytes; how many is less by one for each '=' at the end. */
static int read_group(const uint8_t text[4], bool last, uint8_t out[3], size_t *n)
{
	uint32_t v = 0;
	size_t pad = 0;

	if (last && text[3] == '=')
		pad = text[2] == '=' ? 2 : 1;
	for (size_t i = 0; i < 4; i++) {
		int one = i < 4 - pad ? value_of(text[i]) : 0;
		if (one < 0)
			return ERR_MALFORMED;
		v = v << 6 | (uint32_t)one;
	}
	/* Bits that say nothing are zero: one text for one value. */
	if ((v & ((1u << 8 * pad) - 1)) != 0)
		return ERR_MALFORMED;
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	*n = 3 - pad;
	return 0;
}

int base64_read(struct bytes text, uint8_t *out, size_t max, size_t *n)
{
	*n = 0;
	if (text.n % 4 != 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.n; i += 4) {
		uint8_t group[3];
		size_t got;
		int err = read_group(text.p + i, i + 4 == text.n, group, &got);
		if (err != 0)
			return err;
		if (got > max - *n)
			return ERR_NO_ROOM;
		memcpy(out + *n, group, got);
		*n += got;
	}
	return 0;
}
