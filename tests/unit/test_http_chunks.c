/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/chunks.h"

#include "unit.h"

#define MAX 32

static const struct {
	const char *in;
	int rc;           /* 0: whole, 1: more is needed, or an error */
	const char *body; /* when whole */
	size_t left;      /* bytes behind it */
} table[] = {
	{ "0\r\n\r\n", 0, "", 0 },
	{ "5\r\nhello\r\n0\r\n\r\n", 0, "hello", 0 },
	{ "5\r\nhello\r\n0\r\n\r\nGET /", 0, "hello", 5 },
	{ "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", 0, "abcdef", 0 },
	{ "a\r\n0123456789\r\n00\r\n\r\n", 0, "0123456789", 0 },
	{ "A\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", 0 },
	{ "00000005\r\nhello\r\n0\r\n\r\n", 0, "hello", 0 },
	{ "2\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n", 0 },
	{ "20\r\n01234567890123456789012345678901\r\n0\r\n\r\n", 0,
		"01234567890123456789012345678901", 0 },
	{ "", 1, NULL, 0 },
	{ "5", 1, NULL, 0 },
	{ "5\r\nhel", 1, NULL, 0 },
	{ "5\r\nhello\r\n", 1, NULL, 0 },
	{ "5\r\nhello\r\n0\r\n", 1, NULL, 0 },
	{ "21\r\n", ERR_TOO_BIG, NULL, 0 },
	{ "ffffffff\r\n", ERR_TOO_BIG, NULL, 0 },
	{ "1f\r\n0123456789012345678901234567890\r\n2\r\n", ERR_TOO_BIG, NULL, 0 },
	{ "000000005\r\nhello\r\n0\r\n\r\n", ERR_MALFORMED, NULL, 0 },
	{ "100000000\r\n", ERR_MALFORMED, NULL, 0 },
	{ "\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "g\r\n", ERR_MALFORMED, NULL, 0 },
	{ "0x5\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "-5\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "+5\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ " 5\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5 \r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5;a=b\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5;\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5\r\r\nhello", ERR_MALFORMED, NULL, 0 },
	{ "5\r\nhello\n0\r\n\r\n", ERR_MALFORMED, NULL, 0 },
	{ "5\r\nhello0\r\n\r\n", ERR_MALFORMED, NULL, 0 },
	{ "5\r\nhelloXX0\r\n\r\n", ERR_MALFORMED, NULL, 0 },
	{ "0\n\n", ERR_MALFORMED, NULL, 0 },
	{ "0\r\n\n", ERR_MALFORMED, NULL, 0 },
	{ "0\r\nX: y\r\n\r\n", ERR_MALFORMED, NULL, 0 },
	{ "0\r\nGET", ERR_MALFORMED, NULL, 0 },
};

/* Feeds `in` in pieces of `step` bytes, in place as a connection does. */
static int feed(const char *in, size_t step, struct chunks *c, size_t *used)
{
	static uint8_t buffer[512];
	size_t n = strlen(in);

	*c = (struct chunks){ .to = buffer, .max = MAX };
	*used = 0;
	for (size_t at = 0; at < n && !c->done; at += step) {
		size_t piece = step < n - at ? step : n - at;
		memcpy(buffer + c->n, in + at, piece);
		ssize_t rc = chunks_read(c, buffer + c->n, piece);
		if (rc < 0)
			return (int)rc;
		*used += (size_t)rc;
	}
	return c->done ? 0 : 1;
}

static void tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		for (size_t step = 1; step <= 64; step += step < 8 ? 1 : 56) {
			struct chunks c;
			size_t used;
			int rc = feed(table[i].in, step, &c, &used);
			if (rc != table[i].rc)
				fail_msg("%zu in pieces of %zu: %d", i, step, rc);
			if (rc != 0)
				continue;
			assert_int_equal(c.n, strlen(table[i].body));
			assert_memory_equal(c.to, table[i].body, c.n);
			assert_int_equal(used, strlen(table[i].in) - table[i].left);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
