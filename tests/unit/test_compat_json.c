/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

static struct json_value *must(const char *text)
{
	struct json_value *v;
	int err = json_read(bytes_str(text), JSON_BYTES_MAX, &v);

	if (err != 0)
		fail_msg("%s: %d", text, err);
	return v;
}

static void same(struct bytes got, const char *want, const char *where)
{
	if (want == NULL ? got.p != NULL : got.p == NULL || !bytes_eq(got, bytes_str(want)))
		fail_msg("%s: '%.*s', not '%s'", where, (int)got.n,
			got.p ? (const char *)got.p : "", want ? want : "none");
}

/* ---- read ---- */

static void test_read(void **state)
{
	static const struct {
		const char *in;
		int want;
	} row[] = {
		{ "{}", 0 },
		{ "[]", 0 },
		{ " {\"a\": [1, 2.5, \"x\", null, true, {}]}\n", 0 },
		{ "{\"a\":1,\"a\":2}", 0 },
		{ "{\"a\":\"\\u00e9\\n\\\"\"}", 0 },
		{ "", ERR_MALFORMED },
		{ " ", ERR_MALFORMED },
		{ "1", ERR_MALFORMED },
		{ "\"a\"", ERR_MALFORMED },
		{ "null", ERR_MALFORMED },
		{ "{", ERR_MALFORMED },
		{ "{}{}", ERR_MALFORMED },
		{ "{} x", ERR_MALFORMED },
		{ "[1,]", ERR_MALFORMED },
		{ "{'a':1}", ERR_MALFORMED },
		{ "{\"a\":\"\n\"}", ERR_MALFORMED },
		{ "{\"a\":\"\\u0000\"}", ERR_MALFORMED },
		{ "{\"a\":\"\xff\"}", ERR_MALFORMED },
		{ "{\"a\":\"\xed\xa0\x80\"}", ERR_MALFORMED },
		{ "{\"a\":\"\\ud800\"}", ERR_MALFORMED },
		{ "{\"a\":1e999}", ERR_MALFORMED },
		{ "{\"a\":99999999999999999999}", ERR_MALFORMED },
		{ "{\"a\":01}", ERR_MALFORMED },
		{ "]]]]", ERR_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct json_value *v;
		int err = json_read(bytes_str(row[i].in), JSON_BYTES_MAX, &v);
		if (err != row[i].want || (v != NULL) != (err == 0))
			fail_msg("%s: %d", row[i].in, err);
		json_free(v);
	}
}

/* `n` times `unit` between `head` and `tail`. */
static struct bytes repeated(const char *head, const char *unit, size_t n, const char *tail)
{
	static char text[JSON_BYTES_MAX + 64];
	size_t at = 0, len = strlen(unit);

	assert_true(strlen(head) + n * len + strlen(tail) < sizeof(text));
	at = (size_t)sprintf(text, "%s", head);
	for (size_t i = 0; i < n; i++, at += len)
		memcpy(text + at, unit, len);
	at += (size_t)sprintf(text + at, "%s", tail);
	return bytes_of(text, at);
}

static void test_bounds(void **state)
{
	static const struct {
		const char *why, *head, *unit, *tail;
		size_t n, max;
		int want;
	} row[] = {
		{ "as long as may be", "[\"", "x", "\"]", 96, 100, 0 },
		{ "a byte more", "[\"", "x", "\"]", 97, 100, ERR_TOO_BIG },
		{ "the longest", "[\"", "x", "\"]", JSON_BYTES_MAX - 4, JSON_BYTES_MAX, 0 },
		{ "longer", "[\"", "x", "\"]", JSON_BYTES_MAX - 3, JSON_BYTES_MAX, ERR_TOO_BIG },
		{ "deep, cut", "", "[", "", JSON_DEPTH_MAX, 1000, ERR_MALFORMED },
		{ "too deep", "", "[", "", JSON_DEPTH_MAX + 1, 1000, ERR_TOO_BIG },
		{ "too deep with names", "", "{\"a\":", "", JSON_DEPTH_MAX + 1, 1000, ERR_TOO_BIG },
		{ "as many as may be", "[0", ",0", "]", JSON_VALUES_MAX - 2, JSON_BYTES_MAX, 0 },
		{ "one more", "[0", ",0", "]", JSON_VALUES_MAX - 1, JSON_BYTES_MAX, ERR_TOO_BIG },
		{ "brackets in a text", "[\"", "[{,\\\"", "\"]", 20000, JSON_BYTES_MAX, 0 },
		{ "side by side", "[[]", ",[]", "]", 1000, JSON_BYTES_MAX, 0 },
	};
	struct json_value *v;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		int err = json_read(
			repeated(row[i].head, row[i].unit, row[i].n, row[i].tail), row[i].max, &v);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		json_free(v);
	}
	v = must("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
	json_free(v);
}

/* ---- look ---- */

static const char document[] =
	"{\"id\":7,\"text\":\"a\\n\\\"b\\\"\",\"empty\":\"\",\"yes\":true,\"no\":false,\"none\":null,"
	"\"status\":{\"result\":{\"finished\":\"none\",\"progress\":{\"cnt\":2,\"of\":\"3\"}},"
	"\"details\":[\"first\",\"second\",[\"deep\"]]},"
	"\"most\":9223372036854775807,\"least\":\"-9223372036854775808\","
	"\"more\":\"9223372036854775808\",\"real\":2.5,\"word\":\"12x\",\"minus\":\"-\"}";

static void test_text(void **state)
{
	static const struct {
		const char *path, *want;
	} row[] = {
		{ "text", "a\n\"b\"" },
		{ "empty", "" },
		{ "status.result.finished", "none" },
		{ "status.details.0", "first" },
		{ "status.details.1", "second" },
		{ "status.details.2.0", "deep" },
		{ "status.details.2", NULL },
		{ "status.details.3", NULL },
		{ "status.details.-1", NULL },
		{ "status.details.x", NULL },
		{ "status.details.", NULL },
		{ "status.details.0x", NULL },
		{ "status.details.99999999999999999999", NULL },
		{ "status.details", NULL },
		{ "status", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "id", NULL },
		{ "yes", NULL },
		{ "none", NULL },
		{ "none.x", NULL },
		{ "text.x", NULL },
		{ "id.x.y.z", NULL },
		{ "unknown", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			NULL },
	};
	struct json_value *v = must(document);

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		same(json_text(v, row[i].path), row[i].want, row[i].path);
	same(json_text(NULL, "id"), NULL, "of nothing");
	same(json_text(NULL, ""), NULL, "of nothing");
	assert_true(json_at(v, "") == v);
	json_free(v);
	json_free(NULL);
}

static void test_whole(void **state)
{
	static const struct {
		const char *path;
		bool is;
		int64_t want;
	} row[] = {
		{ "id", true, 7 },
		{ "status.result.progress.cnt", true, 2 },
		{ "status.result.progress.of", true, 3 },
		{ "most", true, INT64_MAX },
		{ "least", true, INT64_MIN },
		{ "more", false, 0 },
		{ "real", false, 0 },
		{ "word", false, 0 },
		{ "minus", false, 0 },
		{ "empty", false, 0 },
		{ "yes", false, 0 },
		{ "none", false, 0 },
		{ "status", false, 0 },
		{ "unknown", false, 0 },
	};
	struct json_value *v = must(document);

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		int64_t got = 0;
		if (json_whole(v, row[i].path, &got) != row[i].is ||
			(row[i].is && got != row[i].want))
			fail_msg("%s: %lld", row[i].path, (long long)got);
	}
	assert_true(json_yes(v, "yes"));
	assert_false(json_yes(v, "no"));
	assert_false(json_yes(v, "id"));
	assert_false(json_yes(v, "unknown"));
	json_free(v);
}

static void test_walk(void **state)
{
	struct json_value *v = must("{\"list\":[1,\"b\"],\"a.b\":\"x\",\"map\":{},\"text\":\"t\"}");
	struct json_walk w = { 0 };
	unsigned n = 0;

	(void)state;
	while (json_next(v, &w)) {
		if (bytes_eq(w.key, bytes_str("a.b")))
			same(json_text(w.value, ""), "x", "a.b");
		n++;
	}
	assert_int_equal(n, 4);
	assert_false(json_next(v, &w)); /* and does not begin again */
	w = (struct json_walk){ 0 };
	assert_true(json_next(json_at(v, "list"), &w));
	assert_null(w.key.p);
	assert_true(json_next(json_at(v, "list"), &w));
	same(json_text(w.value, ""), "b", "list.1");
	assert_false(json_next(json_at(v, "list"), &w));
	w = (struct json_walk){ 0 };
	assert_false(json_next(json_at(v, "map"), &w));
	assert_false(json_next(json_at(v, "map"), &w));
	w = (struct json_walk){ 0 };
	assert_false(json_next(json_at(v, "text"), &w));
	assert_false(json_next(json_at(v, "unknown"), &w));
	assert_false(json_next(NULL, &w));
	json_free(v);
}

static void test_sorted(void **state)
{
	static const struct {
		const char *in, *want;
	} row[] = {
		{ "{}", "{}" },
		{ " { \"b\" : [ 2 , 1.50 ] ,\n\"a\":{ \"d\":null,\"c\":true } } ",
			"{\"a\":{\"c\":true,\"d\":null},\"b\":[2,1.5]}" },
		{ "{\"a\":\"\\u00e9\\/\\u000a\\\"\"}", "{\"a\":\"\xc3\xa9/\\n\\\"\"}" },
		{ "{\"a\":1,\"A\":2,\"aa\":3,\"a\":4}", "{\"A\":2,\"a\":4,\"aa\":3}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct json_value *v = must(row[i].in);
		struct buf b = { 0 };
		json_sorted(&b, v);
		assert_string_equal(buf_text(&b), row[i].want);
		buf_release(&b);
		json_free(v);
	}
}

/* ---- scan ---- */

#define BEGINS                                                                                     \
	"{ \"id\": 7, \"time\": \"20261121T171935\", \"status\": { \"result\": { "                 \
	"\"finished\": \"failure\" }, \"execution\": \"closed\", \"details\" : [ "

static void test_scan(void **state)
{
	static const struct {
		const char *why, *in, *execution, *finished;
	} row[] = {
		{ "a line end", BEGINS "\"No artifact download URL reported by server.\n\" ] } }",
			"closed", "failure" },
		{ "quotation marks", BEGINS "\"ERROR : Cannot open \"/x\"\" ] } }", "closed",
			"failure" },
		{ "what looks like another",
			BEGINS "\"said \"execution\": \"proceeding\", \"finished\": "
			       "\"success\"\" ] } }",
			"closed", "failure" },
		{ "all control characters", BEGINS "\"\x01\x02\t\r\n\x1b[31m\" ] } }", "closed",
			"failure" },
		{ "no UTF-8", BEGINS "\"\xff\xfe\xc3\" ] } }", "closed", "failure" },
		{ "cut", BEGINS "\"ERROR", "closed", "failure" },
		{ "brackets", BEGINS "\"a\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", "closed", "failure" },
		{ "no blanks", "\"finished\":\"none\",\"execution\":\"proceeding\"", "proceeding",
			"none" },
		{ "blanks", "\"finished\" \t:\r\n \"success\" \"execution\"  :  \"closed\"",
			"closed", "success" },
		{ "a later one that is whole",
			"\"finished\" \"execution\":7 \"execution\":\"closed\" "
			"\"finished\":\"none\"",
			"closed", "none" },
		{ "a name in a name", "\"unfinished\":\"none\" \"execution\":\"closed\"", "closed",
			NULL },
		{ "one only", "\"execution\":\"closed\"", "closed", NULL },
		{ "no word", "\"execution\":\"Closed\",\"finished\":\"no ne\"", NULL, NULL },
		{ "an empty word", "\"execution\":\"\",\"finished\":\"none\"", NULL, "none" },
		{ "ends in the word", "\"finished\":\"none\",\"execution\":\"closed", NULL,
			"none" },
		{ "ends in front of it", "\"finished\":\"none\",\"execution\":\"", NULL, "none" },
		{ "ends at the colon", "\"finished\":\"none\",\"execution\":", NULL, "none" },
		{ "ends at the name", "\"finished\":\"none\",\"execution\"", NULL, "none" },
		{ "nothing", "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		size_t n = strlen(row[i].in);
		char *in = malloc(n + 1); /* of its own length, for sanitizers */
		struct json_feedback f;
		struct json_value *v;
		assert_non_null(in);
		memcpy(in, row[i].in, n);
		if (json_read(bytes_of(in, n), JSON_BYTES_MAX, &v) == 0)
			fail_msg("%s: needs no scan", row[i].why);
		if (json_scan(bytes_of(in, n), &f) != (row[i].execution && row[i].finished))
			fail_msg("%s", row[i].why);
		same(f.execution, row[i].execution, row[i].why);
		same(f.finished, row[i].finished, row[i].why);
		free(in);
	}
}

/* What is JSON is scanned to the same words. */
static void test_scan_of_json(void **state)
{
	static const char good[] = BEGINS "\"No suitable .swu image found\" ] } }";
	struct json_value *v = must(good);
	struct json_feedback f;

	(void)state;
	assert_true(json_scan(bytes_str(good), &f));
	assert_true(bytes_eq(f.execution, json_text(v, "status.execution")));
	assert_true(bytes_eq(f.finished, json_text(v, "status.result.finished")));
	json_free(v);
}

/* ---- what hawkBit's clients send ---- */

#define SWUPDATE(cnt, of, finished, execution, details)                                            \
	"{ \"id\": 7, \"time\": \"20261121T171935\", \"status\": { \"result\": { \"progress\": { " \
	"\"cnt\" : " cnt ", \"of\" : " of " }, \"finished\": \"" finished                          \
	"\" }, \"execution\": \"" execution "\", \"details\" : [ " details " ] } }"
#define RAUC(finished, execution, details)                                                            \
	"{\"id\":\"7\",\"time\":\"20261121T173310\",\"status\":{\"result\":{\"finished\":\"" finished \
	"\"},\"execution\":\"" execution "\",\"details\":[\"" details "\"]}}"

static void test_feedback(void **state)
{
	static const struct {
		bool is_json;
		const char *in, *execution, *finished, *detail;
	} row[] = {
		{ true,
			SWUPDATE("0", "1", "none", "proceeding",
				"\"Installing Update Chunk Artifacts.\""),
			"proceeding", "none", "Installing Update Chunk Artifacts." },
		{ true, SWUPDATE("1", "1", "none", "proceeding", "\"All Chunks Installed.\""),
			"proceeding", "none", "All Chunks Installed." },
		{ true, SWUPDATE("0", "0", "success", "closed", "\"Update Installed.\""), "closed",
			"success", "Update Installed." },
		{ true, SWUPDATE("0", "0", "success", "closed", "\"Skipped Update.\""), "closed",
			"success", "Skipped Update." },
		{ true, SWUPDATE("0", "0", "failure", "closed", "\"Update Failed.\""), "closed",
			"failure", "Update Failed." },
		{ true,
			SWUPDATE("0", "1", "failure", "closed",
				"\"ERROR core/stream_interface.c : extract_files : 187 : SW not compatible "
				"with hardware\",\"No suitable .swu image found\""),
			"closed", "failure",
			"ERROR core/stream_interface.c : extract_files : 187 : SW not compatible with "
			"hardware" },
		{ false,
			SWUPDATE("0", "1", "failure", "closed",
				"\"No artifact download URL reported by server.\n\",\"No suitable .swu image "
				"found\""),
			"closed", "failure", NULL },
		{ false,
			SWUPDATE("0", "1", "failure", "closed",
				"\"ERROR : parser: expected \"}\" at \"execution\": \"proceeding\"\""),
			"closed", "failure", NULL },
		{ true,
			"{ \"id\": 7, \"time\": \"20261121T171935\", \"status\": { \"result\": { \"finished\": "
			"\"success\" }, \"execution\": \"closed\", \"details\" : [ \"cancellation "
			"acknowledged.\" ] } }",
			"closed", "success", "cancellation acknowledged." },
		{ true, RAUC("none", "proceeding", "Download complete. 0.15 MB/s"), "proceeding",
			"none", "Download complete. 0.15 MB/s" },
		{ true, RAUC("none", "proceeding", "  5% Installing"), "proceeding", "none",
			"  5% Installing" },
		{ true, RAUC("success", "closed", "Software bundle installed successfully."),
			"closed", "success", "Software bundle installed successfully." },
		{ true, RAUC("success", "closed", "Action canceled."), "closed", "success",
			"Action canceled." },
		{ true,
			RAUC("success", "rejected",
				"Cancelation impossible, installation started already."),
			"rejected", "success",
			"Cancelation impossible, installation started already." },
		{ true, RAUC("success", "downloaded", "x"), "downloaded", "success", "x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct json_value *v;
		struct json_feedback f;
		int err = json_read(bytes_str(row[i].in), JSON_BYTES_MAX, &v);
		assert_int_equal(err, row[i].is_json ? 0 : ERR_MALFORMED);
		assert_true(json_scan(bytes_str(row[i].in), &f));
		same(f.execution, row[i].execution, row[i].in);
		same(f.finished, row[i].finished, row[i].in);
		same(json_text(v, "status.details.0"), row[i].detail, row[i].in);
		same(json_text(v, "status.execution"), row[i].is_json ? row[i].execution : NULL,
			row[i].in);
		json_free(v);
	}
}

/* 48 lines of 2 KiB, as swupdate flushes its log. */
static void test_long_feedback(void **state)
{
	struct json_value *v;
	struct buf b = { 0 };

	(void)state;
	buf_str(&b,
		"{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"proceeding\","
		"\"details\":[\"\"");
	for (unsigned i = 0; i < 48; i++) {
		buf_str(&b, ",\"");
		memset(buf_room(&b, 2048), '[', 2048);
		b.len += 2048;
		buf_str(&b, "\"");
	}
	buf_str(&b, "]}}");
	assert_int_equal(json_read(buf_bytes(&b), JSON_BYTES_MAX, &v), 0);
	assert_int_equal(json_text(v, "status.details.48").n, 2048);
	json_free(v);
	buf_release(&b);
}

/* Attributes. */
static void test_config_data(void **state)
{
	static const char in[] =
		"{ \"id\": \"\", \"time\": \"20261121T171930\", \"status\": { \"result\": { \"finished\": "
		"\"success\" }, \"execution\": \"closed\", \"details\" : [ \"\" ] }, \"data\" : {  "
		"\"serialNo\": \"1234567890\",\"hwVersion\": \"333\" } }";
	struct json_value *v = must(in);
	struct json_walk w = { 0 };

	(void)state;
	assert_true(json_next(json_at(v, "data"), &w));
	assert_true(bytes_eq(w.key, bytes_str("serialNo")));
	same(json_text(w.value, ""), "1234567890", "serialNo");
	assert_true(json_next(json_at(v, "data"), &w));
	assert_true(bytes_eq(w.key, bytes_str("hwVersion")));
	assert_false(json_next(json_at(v, "data"), &w));
	same(json_text(v, "mode"), NULL, "mode");
	json_free(v);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_of_json),
		cmocka_unit_test(test_feedback),
		cmocka_unit_test(test_long_feedback),
		cmocka_unit_test(test_config_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
