/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "proto/base64.h"
#include "rng.h"

/* RFC 4648, section 10, and the ends of the alphabet. */
static const struct {
	const char *bytes, *text;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xff\xff", "////" },
	{ "\xfb\xef\xbe", "++++" },
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct bytes in = bytes_str(vectors[i].bytes);
		char text[16];
		uint8_t out[16];
		size_t n = base64_write(in, text);
		assert_int_equal(n, BASE64_LEN(in.n));
		assert_int_equal(n, strlen(vectors[i].text));
		assert_memory_equal(text, vectors[i].text, n);
		assert_int_equal(base64_read(bytes_of(text, n), out, in.n, &n), 0);
		assert_int_equal(n, in.n);
		assert_memory_equal(out, in.p, n);
	}
}

static const struct {
	const char *why, *text;
	int want;
} refused[] = {
	{ "one character", "Z", ERR_MALFORMED },
	{ "two, without padding", "Zg", ERR_MALFORMED },
	{ "three, without padding", "Zm8", ERR_MALFORMED },
	{ "only padding", "====", ERR_MALFORMED },
	{ "three of padding", "Z===", ERR_MALFORMED },
	{ "padding before a character", "Zg=g", ERR_MALFORMED },
	{ "padding in the middle", "Zg==Zg==", ERR_MALFORMED },
	{ "padding in the middle of a group", "Z=g=", ERR_MALFORMED },
	{ "bits behind the last of one byte", "Zh==", ERR_MALFORMED },
	{ "bits behind the last of two", "Zm9=", ERR_MALFORMED },
	{ "a space", "Zm 9", ERR_MALFORMED },
	{ "a newline at the end", "Zm9v\n", ERR_MALFORMED },
	{ "the other alphabet", "-_-_", ERR_MALFORMED },
	{ "above ASCII", "Zm9\xc3", ERR_MALFORMED },
	{ "seven bytes", "Zm9vYmFyZg==", ERR_NO_ROOM },
	{ "nine", "Zm9vYmFyZm9v", ERR_NO_ROOM },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		uint8_t out[6];
		size_t n;
		if (base64_read(bytes_str(refused[i].text), out, sizeof(out), &n) !=
			refused[i].want)
			fail_msg("%s", refused[i].why);
	}
}

/* A NUL is no character, wherever it stands. */
static void test_nul(void **state)
{
	(void)state;
	for (size_t at = 0; at < 8; at++) {
		char text[] = "Zm9vYmFy";
		uint8_t out[6];
		size_t n;
		text[at] = '\0';
		assert_int_equal(
			base64_read(bytes_of(text, 8), out, sizeof(out), &n), ERR_MALFORMED);
	}
}

/* One text for one value: whatever is read is written as it was. */
static void test_canonical(void **state)
{
	struct rng r = { 4 };
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		static const char some[] = "AQgwZ9+/=";
		char text[8], again[8];
		uint8_t out[6];
		size_t n, len = i % 2 ? 4 : 8;
		for (size_t k = 0; k < len; k++)
			text[k] = some[rng_below(&r, sizeof(some) - 1)];
		if (base64_read(bytes_of(text, len), out, sizeof(out), &n) != 0)
			continue;
		taken++;
		assert_int_equal(base64_write(bytes_of(out, n), again), len);
		assert_memory_equal(text, again, len);
	}
	assert_in_range(taken, 10000, 190000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
