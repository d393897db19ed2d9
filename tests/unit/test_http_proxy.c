/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb"
#define ADDRESS6  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6        ADDRESS6 ADDRESS6 "\x12\x34\x01\xbb"
#define TEN       "0123456789"
#define UNIX      TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234567"
#define SSL_TLV   "\x20\x00\x05\x01\0\0\0\0"

/* Before, the peer is 203.0.113.9:9. */
static const char before[] = "203.0.113.9:9";

static const struct {
	const char *why, *text;
	size_t n;
	ssize_t want; /* of the header; 0: all of it */
	enum proxy_said said;
	const char *peer;
} cases[] = {
#define CASE(why, text, want, said, peer)                                                          \
	{                                                                                          \
		why, text, sizeof(text) - 1, want, said, peer                                      \
	}
	CASE("IPv4", SIGNATURE "\x21\x11\0\x0c" V4, 0, PROXY_ADDRESS, "192.0.2.1:4660"),
	CASE("IPv4, with more behind", SIGNATURE "\x21\x11\0\x14" V4 SSL_TLV, 0, PROXY_ADDRESS,
		"192.0.2.1:4660"),
	CASE("IPv6", SIGNATURE "\x21\x21\0\x24" V6, 0, PROXY_ADDRESS, "[2001:db8::7]:4660"),
	CASE("IPv6, with more behind", SIGNATURE "\x21\x21\0\x2c" V6 SSL_TLV, 0, PROXY_ADDRESS,
		"[2001:db8::7]:4660"),
	CASE("what follows is not looked at", SIGNATURE "\x21\x11\0\x0c" V4 "\x16\x03\x01", 28,
		PROXY_ADDRESS, "192.0.2.1:4660"),
	CASE("for itself", SIGNATURE "\x20\0\0\0", 0, PROXY_NOTHING, before),
	CASE("for itself, with addresses", SIGNATURE "\x20\x11\0\x0c" V4, 0, PROXY_NOTHING, before),
	CASE("for itself, of any family", SIGNATURE "\x20\xff\0\x02xx", 0, PROXY_NOTHING, before),
	CASE("unspecified", SIGNATURE "\x21\0\0\0", 0, PROXY_NOTHING, before),
	CASE("unspecified, with something", SIGNATURE "\x21\0\0\x02xx", 0, PROXY_NOTHING, before),
	CASE("Unix", SIGNATURE "\x21\x31\0\xd8" UNIX UNIX, 0, PROXY_NOTHING, before),
	CASE("Unix, too short", SIGNATURE "\x21\x31\0\xd7" UNIX UNIX, ERR_MALFORMED, 0, before),
	CASE("IPv4, too short", SIGNATURE "\x21\x11\0\x0b" V4, ERR_MALFORMED, 0, before),
	CASE("IPv6, too short", SIGNATURE "\x21\x21\0\x0c" V4, ERR_MALFORMED, 0, before),
	CASE("UDP", SIGNATURE "\x21\x12\0\x0c" V4, ERR_MALFORMED, 0, before),
	CASE("no such family", SIGNATURE "\x21\x41\0\x0c" V4, ERR_MALFORMED, 0, before),
	CASE("no such command", SIGNATURE "\x22\x11\0\x0c" V4, ERR_MALFORMED, 0, before),
	CASE("no such version", SIGNATURE "\x11\x11\0\x0c" V4, ERR_MALFORMED, 0, before),
	CASE("too long", SIGNATURE "\x21\x11\x02\x09" V4, ERR_MALFORMED, 0, before),
	CASE("for itself, too long", SIGNATURE "\x20\0\xff\xff", ERR_MALFORMED, 0, before),
	CASE("version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", ERR_MALFORMED, 0, before),
	CASE("HTTP", "GET / HTTP/1.1\r\n", ERR_MALFORMED, 0, before),
	CASE("TLS", "\x16\x03\x01", ERR_MALFORMED, 0, before),
	CASE("nearly", "\r\n\r\n\0\r\nQUIT\r", ERR_MALFORMED, 0, before),
#undef CASE
};

static union address peer_before(void)
{
	union address a = { .v4 = { .sin_family = AF_INET, .sin_port = htons(9) } };

	assert_int_equal(inet_pton(AF_INET, "203.0.113.9", &a.v4.sin_addr), 1);
	return a;
}

/* In memory of its own length, so that reading beyond it is found. */
static ssize_t read_part(size_t i, size_t n, union address *peer, enum proxy_said *said)
{
	char *part = malloc(n > 0 ? n : 1);
	ssize_t got;

	assert_non_null(part);
	memcpy(part, cases[i].text, n);
	got = proxy_read(bytes_of(part, n), peer, said);
	free(part);
	return got;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address peer = peer_before();
		enum proxy_said said = PROXY_NOTHING;
		char text[ADDRESS_TEXT];
		ssize_t want = cases[i].want != 0 ? cases[i].want : (ssize_t)cases[i].n;
		ssize_t got = read_part(i, cases[i].n, &peer, &said);
		if (got != want || (got > 0 && said != cases[i].said) ||
			strcmp(address_str(&peer.any, text), cases[i].peer) != 0)
			fail_msg("%s: %zd, said %d, %s", cases[i].why, got, said, text);
	}
}

/* What begins well is not whole; what does not is refused by the same byte or a later one. */
static void test_every_beginning(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t whole = cases[i].want > 0 ? (size_t)cases[i].want : cases[i].n;
		for (size_t n = 0; n < whole; n++) {
			union address peer = peer_before(), same = peer;
			enum proxy_said said;
			ssize_t got = read_part(i, n, &peer, &said);
			if (got != 0 && (cases[i].want >= 0 || got != ERR_MALFORMED))
				fail_msg("%s: %zd after %zu", cases[i].why, got, n);
			assert_memory_equal(&peer, &same, sizeof(peer));
		}
	}
}

/* No byte of a good header, whatever it becomes, makes it longer than what is there. */
static void test_every_byte(void **state)
{
	(void)state;
	for (size_t at = 0; at < 28; at++)
		for (unsigned value = 0; value < 256; value++) {
			char text[28];
			union address peer = peer_before();
			enum proxy_said said;
			memcpy(text, SIGNATURE "\x21\x11\0\x0c" V4, sizeof(text));
			text[at] = (char)value;
			ssize_t got = proxy_read(bytes_of(text, sizeof(text)), &peer, &said);
			assert_true(got == ERR_MALFORMED || (got >= 0 && got <= 28));
			if (at < 12 && value != (uint8_t)SIGNATURE[at])
				assert_int_equal(got, ERR_MALFORMED);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_every_beginning),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
