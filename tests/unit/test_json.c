/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "rng.h"
#include "server/base/json.h"

static void test_document(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0xab, 0xff };
	struct buf b = { 0 };
	struct json j = { .out = &b };

	(void)state;
	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.test/1");
	json_u64(&j, "zero", 0);
	json_u64(&j, "most", UINT64_MAX);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_hex(&j, "hex", bytes_of(bytes, sizeof(bytes)));
	json_hex(&j, "empty", bytes_of(bytes, 0));
	json_time(&j, "time", 1795287360123);
	json_time(&j, "never", 0);
	json_double(&j, "half", 0.5);
	json_array(&j, "list");
	json_u64(&j, NULL, 1);
	json_str(&j, NULL, "two");
	json_array(&j, NULL);
	json_end_array(&j);
	json_object(&j, NULL);
	json_end_object(&j);
	json_object(&j, NULL);
	json_bool(&j, "in", true);
	json_end_object(&j);
	json_end_array(&j);
	json_object(&j, "after");
	json_end_object(&j);
	json_end_object(&j);
	assert_string_equal(buf_text(&b),
		"{\"schema\":\"huidu.test/1\",\"zero\":0,\"most\":18446744073709551615,"
		"\"yes\":true,\"no\":false,\"hex\":\"00abff\",\"empty\":\"\","
		"\"time\":\"2026-11-21T18:56:00.123Z\",\"never\":null,\"half\":0.5,"
		"\"list\":[1,\"two\",[],{},{\"in\":true}],\"after\":{}}");
	buf_release(&b);
}

static void test_escapes(void **state)
{
	static const struct {
		const char *in, *want;
	} row[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b", "\"a\\\"b\"" },
		{ "a\\b", "\"a\\\\b\"" },
		{ "a/b", "\"a/b\"" },
		{ "\n", "\"\\u000a\"" },
		{ "\r\t\b\f", "\"\\u000d\\u0009\\u0008\\u000c\"" },
		{ "\x01\x1f\x20", "\"\\u0001\\u001f \"" },
		{ "\x7f", "\"\x7f\"" },
		{ "\xe7\x81\xb0\xe5\xba\xa6", "\"\xe7\x81\xb0\xe5\xba\xa6\"" },
		{ "%s%n", "\"%s%n\"" },
		{ "</script>", "\"</script>\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf b = { 0 };
		struct json j = { .out = &b };
		json_str(&j, NULL, row[i].in);
		assert_string_equal(buf_text(&b), row[i].want);
		buf_release(&b);
	}
}

/* Keys are texts too. */
static void test_key_is_escaped(void **state)
{
	struct buf b = { 0 };
	struct json j = { .out = &b };

	(void)state;
	json_object(&j, NULL);
	json_u64(&j, "a\"b\n", 1);
	json_end_object(&j);
	assert_string_equal(buf_text(&b), "{\"a\\\"b\\u000a\":1}");
	buf_release(&b);
}

/* What a reader makes of it is the number that was written, to the last bit. */
static void test_doubles(void **state)
{
	static const double values[] = { 0, -0.0, 1, -1, .1, 1e-300, 1.7976931348623157e308,
		4.9e-324, 1.0 / 3, 123456789.123456789, -2.5e10 };
	struct rng r = { 15 };

	(void)state;
	for (size_t i = 0; i < COUNT(values) + 5000; i++) {
		struct buf b = { 0 };
		struct json j = { .out = &b };
		uint64_t bits = rng_u64(&r);
		char *end;
		double v;
		memcpy(&v, &bits, sizeof(v));
		if (i < COUNT(values))
			v = values[i];
		json_double(&j, NULL, v);
		if (isfinite(v))
			assert_true(strtod(buf_text(&b), &end) == v && *end == '\0');
		else
			assert_string_equal(buf_text(&b), "null");
		buf_release(&b);
	}
}

static void test_not_finite(void **state)
{
	struct buf b = { 0 };
	struct json j = { .out = &b };

	(void)state;
	json_array(&j, NULL);
	json_double(&j, NULL, (double)INFINITY);
	json_double(&j, NULL, (double)-INFINITY);
	json_double(&j, NULL, (double)NAN);
	json_end_array(&j);
	assert_string_equal(buf_text(&b), "[null,null,null]");
	buf_release(&b);
}

/* RFC 8259 in small, with no spaces; NULL when it is not. */
static const char *skip_value(const char *s);

static const char *skip_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		if (*++s != 'u' && strchr("\"\\/bfnrt", *s) == NULL)
			return NULL;
		for (unsigned i = 0; *s == 'u' && i < 4; i++)
			if (!isxdigit((unsigned char)s[1 + i]))
				return NULL;
	}
	return s + 1;
}

static const char *skip_list(const char *s, bool object)
{
	char end = object ? '}' : ']';

	if (*++s == end)
		return s + 1;
	for (; s != NULL; s++) {
		if (object) {
			s = skip_string(s);
			if (s == NULL || *s++ != ':')
				return NULL;
		}
		s = skip_value(s);
		if (s == NULL || (*s != ',' && *s != end))
			return NULL;
		if (*s == end)
			return s + 1;
	}
	return NULL;
}

static const char *skip_value(const char *s)
{
	static const char *const words[] = { "true", "false", "null" };
	char *end;

	if (*s == '{' || *s == '[')
		return skip_list(s, *s == '{');
	if (*s == '"')
		return skip_string(s);
	for (size_t i = 0; i < COUNT(words); i++)
		if (strncmp(s, words[i], strlen(words[i])) == 0)
			return s + strlen(words[i]);
	(void)strtod(s, &end);
	return end == s ? NULL : end;
}

static void write_random(struct json *j, struct rng *r, unsigned depth)
{
	char text[32];
	size_t n = rng_below(r, sizeof(text));

	for (size_t i = 0; i < n; i++)
		text[i] = (char)(1 + rng_below(r, 126));
	text[n] = '\0';
	for (uint64_t k = rng_below(r, 5); k > 0; k--) {
		switch (rng_below(r, depth > 0 ? 5 : 3)) {
		case 0:
			json_str(j, NULL, text);
			break;
		case 1:
			json_u64(j, NULL, rng_u64(r) >> 1);
			break;
		case 2:
			json_bool(j, NULL, true);
			break;
		case 3:
			json_array(j, NULL);
			write_random(j, r, depth - 1);
			json_end_array(j);
			break;
		default:
			json_object(j, NULL);
			json_array(j, text);
			write_random(j, r, depth - 1);
			json_end_array(j);
			json_str(j, "text", text);
			json_end_object(j);
			break;
		}
	}
}

/* Whatever is nested in whatever, it is JSON. */
static void test_nesting(void **state)
{
	struct rng r = { 16 };

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		struct buf b = { 0 };
		struct json j = { .out = &b };
		const char *end;
		json_array(&j, NULL);
		write_random(&j, &r, 4);
		json_end_array(&j);
		end = skip_value(buf_text(&b));
		if (end == NULL || *end != '\0')
			fail_msg("%s", buf_text(&b));
		buf_release(&b);
	}
}

static void test_the_reader(void **state)
{
	static const char *const bad[] = { "[", "[1", "[1,]", "[,1]", "[1 2]", "{\"a\"}",
		"{\"a\":}", "{1:2}", "{\"a\":1,}", "\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "tru",
		"" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *end = skip_value(bad[i]);
		if (end != NULL && *end == '\0')
			fail_msg("%s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_key_is_escaped),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_the_reader),
		cmocka_unit_test(test_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
