/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/head.h"

#include <stdlib.h>

#include "unit.h"

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST

/* In a block of its own, so that reading beyond it is seen by the sanitizers. */
static int scan(const char *text, size_t n, size_t *line)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	int rc;

	memcpy(copy, text, n);
	*line = 0;
	rc = head_scan(bytes_of(copy, n), line);
	free(copy);
	return rc;
}

static unsigned read_block(const char *text, size_t n, struct head *h)
{
	uint8_t *copy = malloc(n);
	unsigned status;

	memcpy(copy, text, n);
	status = head_read(bytes_of(copy, n), h);
	free(copy);
	return status;
}

/* What both together say to a whole block: a status, 0 when it is good. */
static unsigned judge(const char *text, size_t n, struct head *h)
{
	size_t line;
	int rc = scan(text, n, &line);

	if (rc < 0)
		return 400;
	assert_int_equal(rc, 1);
	assert_int_equal(line, n);
	return read_block(text, n, h);
}

#define TEXT(s) s, sizeof(s) - 1

static const struct {
	const char *text;
	size_t n;
	unsigned status;
} bad[] = {
	/* The request line. */
	{ TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/1.1 x\r\n" HOST "\r\n"), 400 },
	{ TEXT(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / \r\n" HOST "\r\n"), 400 },
	{ TEXT("GET HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/1.2\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/0.9\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/2.0\r\n" HOST "\r\n"), 505 },
	{ TEXT("GET / HTTP/3.0\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / HTTP/1.10\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / http/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET / RTSP/1.0\r\n" HOST "\r\n"), 400 },
	{ TEXT("SOURCE / ICE/1.0\r\n" HOST "\r\n"), 400 },
	{ TEXT("PRI * HTTP/2.0\r\n\r\n"), 400 },
	{ TEXT("get / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GETT / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("HTTP/1.1 200 OK\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET a/b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /#a HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET http://a/#b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /\x80 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /\x01 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ TEXT("\x16\x03\x01\x02\r\n\r\n"), 400 },
	/* Ends of lines. */
	{ TEXT("GET / HTTP/1.1\n" HOST "\r\n"), 400 },
	{ TEXT(LINE "Host: a\n\r\n"), 400 },
	{ TEXT(LINE HOST "\n"), 400 },
	{ TEXT(LINE HOST "X: a\rb\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X: a\r\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "\rX: a\r\n\r\n"), 400 },
	{ TEXT("\n" LINE HOST "\r\n"), 400 },
	/* Folded lines. */
	{ TEXT(LINE HOST "X: a\r\n b\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X: a\r\n\tb\r\n\r\n"), 400 },
	{ TEXT(LINE " " HOST "\r\n"), 400 },
	{ TEXT(LINE HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"), 400 },
	/* Fields. */
	{ TEXT(LINE HOST "X: a\0b\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X: a\x01\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X: a\x7f\r\n\r\n"), 400 },
	{ TEXT(LINE HOST ": a\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X : a\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X\t: a\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X\0: a\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "X(: a\r\n\r\n"), 400 },
	{ TEXT(LINE HOST "\xc3: a\r\n\r\n"), 400 },
	{ TEXT(LINE "\r\n"), 400 },
	{ TEXT(LINE HOST HOST "\r\n"), 400 },
	{ TEXT(LINE HOST "Expect: 200-ok\r\n\r\n"), 417 },
	/* How long the body is. */
	{ TEXT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5, 5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: +5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: -5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 0x5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5 5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5;\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length:\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: \r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length : 5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 18446744073709551616\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 99999999999999999999\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400 },
	{ TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: identity\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunkedx\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked;\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: ,chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: \x0b"
		    "chunked\r\n\r\n"),
		400 },
	{ TEXT(POST "Transfer-Encoding:\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding : chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n"), 400 },
	{ TEXT(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
	{ TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
};

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct head h;
		unsigned status = judge(bad[i].text, bad[i].n, &h);
		if (status != bad[i].status)
			fail_msg("%zu: %s: %u", i, bad[i].text, status);
	}
}

static void taken(void **state)
{
	static const struct {
		const char *text, *method, *path, *query;
		bool keep_alive, chunked;
		uint64_t length;
	} t[] = {
		{ LINE HOST "\r\n", "GET", "/", "", true, false, 0 },
		{ LINE "Host:\r\n\r\n", "GET", "/", "", true, false, 0 },
		{ LINE HOST "X: a\xff\tb \r\n\r\n", "GET", "/", "", true, false, 0 },
		{ LINE HOST "Content_Length: 7\r\n\r\n", "GET", "/", "", true, false, 0 },
		{ "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", false, false, 0 },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", true, false,
			0 },
		{ LINE HOST "Connection: close\r\n\r\n", "GET", "/", "", false, false, 0 },
		{ LINE HOST "Connection: x, CLOSE\r\n\r\n", "GET", "/", "", false, false, 0 },
		{ LINE HOST "Connection: x\r\nConnection: close\r\n\r\n", "GET", "/", "", false,
			false, 0 },
		{ LINE HOST "Connection: closed\r\n\r\n", "GET", "/", "", true, false, 0 },
		{ LINE HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "GET", "/", "", true,
			false, 0 },
		{ "HEAD /a/b?c=d&e?f HTTP/1.1\r\n" HOST "\r\n", "HEAD", "/a/b", "c=d&e?f", true,
			false, 0 },
		{ "GET /? HTTP/1.1\r\n" HOST "\r\n", "GET", "/", "", true, false, 0 },
		{ "GET /%2e%2e/ HTTP/1.1\r\n" HOST "\r\n", "GET", "/%2e%2e/", "", true, false, 0 },
		{ "GET http://a.b:80/c?d HTTP/1.1\r\n" HOST "\r\n", "GET", "/c", "d", true, false,
			0 },
		{ "GET http://a.b HTTP/1.1\r\n" HOST "\r\n", "GET", "", "", true, false, 0 },
		{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS", "*", "", true, false, 0 },
		{ POST "Content-Length: 5\r\n\r\n", "POST", "/", "", true, false, 5 },
		{ POST "content-length:5 \r\n\r\n", "POST", "/", "", true, false, 5 },
		{ POST "Content-Length: 18446744073709551615\r\n\r\n", "POST", "/", "", true, false,
			UINT64_MAX },
		{ POST "Content-Length: 0\r\n\r\n", "POST", "/", "", true, false, 0 },
		{ POST "Transfer-Encoding: chunked\r\n\r\n", "POST", "/", "", true, true, 0 },
		{ POST "transfer-encoding:\tCHUNKED \r\n\r\n", "POST", "/", "", true, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct head h;
		const uint8_t *p = (const uint8_t *)t[i].text;
		unsigned status = judge(t[i].text, strlen(t[i].text), &h);
		if (status != 0)
			fail_msg("%s: %u", t[i].text, status);
		assert_string_equal(head_method_str(h.method), t[i].method);
		assert_true(bytes_eq(bytes_of(p + h.path.at, h.path.n), bytes_str(t[i].path)));
		assert_true(bytes_eq(bytes_of(p + h.query.at, h.query.n), bytes_str(t[i].query)));
		if (h.keep_alive != t[i].keep_alive || h.chunked != t[i].chunked ||
			h.length != t[i].length)
			fail_msg("%s: %d %d %lu", t[i].text, h.keep_alive, h.chunked,
				(unsigned long)h.length);
	}
}

static void fields(void **state)
{
	struct head h;

	(void)state;
	assert_int_equal(judge(TEXT(LINE HOST "Expect: 100-Continue\r\n"
					      "Content-Encoding: gzip\r\n\r\n"),
				 &h),
		0);
	assert_true(h.expect && h.encoded && !h.range.set && !h.if_range);
	assert_int_equal(judge(TEXT(LINE HOST "Range: bytes=1-2\r\nIf-Range: \"x\"\r\n"
					      "Content-Encoding: identity\r\n\r\n"),
				 &h),
		0);
	assert_true(!h.expect && !h.encoded && h.range.set && h.if_range);
	assert_int_equal(
		judge(TEXT(LINE HOST "Range: bytes=1-2\r\nRange: bytes=1-2\r\n\r\n"), &h), 0);
	assert_false(h.range.set);
	assert_int_equal(judge(TEXT(LINE HOST "Content-Encoding: identity, gzip\r\n\r\n"), &h), 0);
	assert_true(h.encoded);
}

static void found(void **state)
{
	const struct bytes block = bytes_str(
		LINE HOST "X-Empty:\r\nX-One: \t1 2 \r\nX-One: other\r\nX-OneMore: 3\r\n\r\n");
	static const struct {
		const char *name, *value;
	} t[] = {
		{ "host", "a" },
		{ "X-One", "1 2" },
		{ "X-OneMore", "3" },
		{ "X-Empty", "" },
		{ "X-On", "" },
		{ "GET /", "" },
		{ "nothing", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++)
		assert_true(bytes_eq(head_find(block, t[i].name), bytes_str(t[i].value)));
}

/* Whatever the pieces it comes in, the end is found once it is there. */
static void in_pieces(void **state)
{
	static const char text[] = LINE HOST "X: y\r\n\r\n";
	size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		size_t line = 0;
		struct bytes whole = bytes_of(text, n);
		int rc = head_scan(bytes_of(text, cut), &line);
		assert_int_equal(rc, cut == n);
		if (rc == 0)
			assert_int_equal(head_scan(whole, &line), 1);
		assert_int_equal(line, n);
	}
}

/* No prefix of anything, and no byte changed in it, does harm. */
static void broken(void **state)
{
	static const char text[] = "POST http://a/b?c HTTP/1.1\r\n" HOST
				   "Content-Length: 12\r\nRange: bytes=1-2\r\n\r\n";
	size_t n = sizeof(text) - 1;
	char copy[sizeof(text)];
	struct head h;
	size_t line;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		(void)read_block(text, i + 1, &h);
		for (int c = 0; c < 256; c++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			if (scan(copy, n, &line) == 1)
				(void)read_block(copy, line, &h);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(taken),
		cmocka_unit_test(fields),
		cmocka_unit_test(found),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
