/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and bodies of hawkBit's devices, as they were recorded and as they should not be. */
#include "unit.h"

#include <stdio.h>

#include "server/http/compat/ddi.h"
#include "server/http/compat/json.h"

#define B "DEFAULT/controller/v1/dev-1"

static const struct {
	const char *why, *method, *path;
	bool there;
	enum ddi_resource resource;
	uint32_t action;
	const char *name;
} paths[] = {
	{ "a poll", "GET", B, true, DDI_BASE, 0, "dev-1" },
	{ "a slash behind it", "GET", B "/", true, DDI_BASE, 0, "dev-1" },
	{ "a name with a colon", "GET", "t/controller/v1/a:b", true, DDI_BASE, 0, "a:b" },
	{ "the same, quoted", "GET", "t/controller/v1/a%3ab", true, DDI_BASE, 0, "a:b" },
	{ "a quote of half a byte", "GET", "t/controller/v1/a%3", false, 0, 0, NULL },
	{ "a quote of none", "GET", "t/controller/v1/a%zz", false, 0, 0, NULL },
	{ "a NUL in the name", "GET", "t/controller/v1/a%00b", false, 0, 0, NULL },
	{ "attributes", "PUT", B "/configData", true, DDI_CONFIG_DATA, 0, "dev-1" },
	{ "attributes are not asked for", "GET", B "/configData", false, 0, 0, NULL },
	{ "an action", "GET", B "/deploymentBase/7", true, DDI_DEPLOYMENT, 7, "dev-1" },
	{ "the last action there can be", "GET", B "/deploymentBase/2147483647", true,
		DDI_DEPLOYMENT, 2147483647, "dev-1" },
	{ "one more", "GET", B "/deploymentBase/2147483648", false, 0, 0, NULL },
	{ "many more", "GET", B "/deploymentBase/99999999999999999999", false, 0, 0, NULL },
	{ "no action", "GET", B "/deploymentBase/0", false, 0, 0, NULL },
	{ "no number", "GET", B "/deploymentBase/-7", false, 0, 0, NULL },
	{ "nothing", "GET", B "/deploymentBase/", false, 0, 0, NULL },
	{ "feedback", "POST", B "/deploymentBase/7/feedback", true, DDI_DEPLOYMENT_FEEDBACK, 7,
		"dev-1" },
	{ "feedback put", "PUT", B "/deploymentBase/7/feedback", false, 0, 0, NULL },
	{ "a cancel", "GET", B "/cancelAction/7", true, DDI_CANCEL, 7, "dev-1" },
	{ "of a cancel", "POST", B "/cancelAction/7/feedback", true, DDI_CANCEL_FEEDBACK, 7,
		"dev-1" },
	{ "a file", "GET", B "/softwaremodules/abc/artifacts/x.swu", true, DDI_ARTIFACT, 0,
		"dev-1" },
	{ "files", "GET", B "/softwaremodules/abc/artifacts", false, 0, 0, NULL },
	{ "more behind it", "GET", B "/softwaremodules/abc/artifacts/x/y", false, 0, 0, NULL },
	{ "another version", "GET", "DEFAULT/controller/v2/dev-1", false, 0, 0, NULL },
	{ "another thing", "GET", "DEFAULT/rest/v1/dev-1", false, 0, 0, NULL },
	{ "a tenant alone", "GET", "DEFAULT", false, 0, 0, NULL },
	{ "nothing at all", "GET", "", false, 0, 0, NULL },
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct ddi_path p;
		bool there = ddi_read_path(bytes_str(paths[i].path), paths[i].method, &p);
		if (there != paths[i].there ||
			(there &&
				(p.resource != paths[i].resource || p.action != paths[i].action ||
					strcmp(p.name, paths[i].name) != 0)))
			fail_msg("%s: %d, resource %d, action %u, name %s", paths[i].why, there,
				(int)p.resource, p.action, p.name);
	}
}

/* 128 bytes are a name, 129 are none; quoted or not. */
static void test_long_names(void **state)
{
	char path[512];
	struct ddi_path p;

	(void)state;
	for (int n = 127; n < 131; n++) {
		(void)snprintf(path, sizeof(path), "t/controller/v1/%0*d", n, 0);
		assert_int_equal(ddi_read_path(bytes_str(path), "GET", &p), n <= 128);
		(void)snprintf(path, sizeof(path), "t/controller/v1/%%30%0*d", n - 1, 0);
		assert_int_equal(ddi_read_path(bytes_str(path), "GET", &p), n <= 128);
	}
}

#define SWUPDATE(progress, finished, execution, details)                                                  \
	"{ \"id\": 7, \"time\": \"20261121T171935\", \"status\": { \"result\": { \"progress\": " progress \
	", \"finished\": \"" finished "\" }, \"execution\": \"" execution                                 \
	"\", \"details\" : [ " details " ] } }"
#define RAUC(finished, execution, details)                                                            \
	"{\"id\":\"7\",\"time\":\"20261121T173310\",\"status\":{\"result\":{\"finished\":\"" finished \
	"\"},\"execution\":\"" execution "\",\"details\":[\"" details "\"]}}"

static const struct {
	const char *why, *body;
	int err;
	enum foreign_word word;
} feedbacks[] = {
	{ "swupdate begins",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 1 }", "none", "proceeding",
			"\"Installing Update Chunk Artifacts.\""),
		0, FOREIGN_PROGRESS },
	{ "swupdate's log",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 0 }", "none", "proceeding", "\"a\", \"b\""), 0,
		FOREIGN_PROGRESS },
	{ "swupdate has one chunk",
		SWUPDATE("{ \"cnt\" : 1, \"of\" : 1 }", "none", "proceeding",
			"\"Installed Chunk.\""),
		0, FOREIGN_PROGRESS },
	{ "swupdate has all",
		SWUPDATE("{ \"cnt\" : 1, \"of\" : 1 }", "none", "proceeding",
			"\"All Chunks Installed.\""),
		0, FOREIGN_DONE },
	{ "not all, in the same words",
		SWUPDATE("{ \"cnt\" : 1, \"of\" : 2 }", "none", "proceeding",
			"\"All Chunks Installed.\""),
		0, FOREIGN_PROGRESS },
	{ "swupdate after the restart",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 0 }", "success", "closed",
			"\"Update Installed.\""),
		0, FOREIGN_SUCCESS },
	{ "swupdate fails",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 0 }", "failure", "closed", "\"Update Failed.\""),
		0, FOREIGN_FAILURE },
	{ "a line end in a text",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 1 }", "failure", "closed",
			"\"No artifact download URL reported by server.\n\""),
		0, FOREIGN_FAILURE },
	{ "quotes in a text",
		SWUPDATE("{ \"cnt\" : 0, \"of\" : 1 }", "failure", "closed", "\"no \"x\" here\""),
		0, FOREIGN_FAILURE },
	{ "rauc at work", RAUC("none", "proceeding", " 5% Installing"), 0, FOREIGN_PROGRESS },
	{ "rauc has the file", RAUC("success", "downloaded", "done"), 0, FOREIGN_DOWNLOADED },
	{ "rauc is done", RAUC("success", "closed", "Software bundle installed successfully."), 0,
		FOREIGN_SUCCESS },
	{ "closed with nothing said of it", RAUC("none", "closed", "x"), 0, FOREIGN_SUCCESS },
	{ "rauc failed", RAUC("failure", "closed", "x"), 0, FOREIGN_FAILURE },
	{ "a failure that goes on", RAUC("failure", "proceeding", "x"), 0, FOREIGN_PROGRESS },
	{ "canceled ends nothing", RAUC("success", "canceled", "x"), 0, FOREIGN_PROGRESS },
	{ "rejected", RAUC("none", "rejected", "x"), 0, FOREIGN_PROGRESS },
	{ "scheduled", RAUC("none", "scheduled", "x"), 0, FOREIGN_PROGRESS },
	{ "resumed", RAUC("none", "resumed", "x"), 0, FOREIGN_PROGRESS },
	{ "a word that is none", RAUC("none", "dancing", "x"), ERR_MALFORMED, 0 },
	{ "no execution", "{\"status\":{\"result\":{\"finished\":\"success\"}}}", ERR_MALFORMED,
		0 },
	{ "a number", "{\"status\":{\"execution\":7}}", ERR_MALFORMED, 0 },
	{ "no object", "[]", ERR_MALFORMED, 0 },
	{ "nothing", "", ERR_MALFORMED, 0 },
	{ "half of it", "{\"status\":{\"execution\":\"clo", ERR_MALFORMED, 0 },
};

static void test_feedback(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(feedbacks); i++) {
		enum foreign_word word = 0;
		int err = ddi_read_feedback(bytes_str(feedbacks[i].body), &word);
		if (err != feedbacks[i].err || (err == 0 && word != feedbacks[i].word))
			fail_msg("%s: %d, word %d", feedbacks[i].why, err, (int)word);
	}
}

static void test_cancel(void **state)
{
	static const struct {
		const char *body;
		int err;
		enum foreign_word word;
	} rows[] = {
		{ RAUC("success", "closed", "Action canceled."), 0, FOREIGN_CANCELLED },
		{ RAUC("none", "closed", "x"), 0, FOREIGN_CANCELLED },
		{ RAUC("success", "rejected", "too late"), 0, FOREIGN_FETCH_CANCEL },
		{ RAUC("success", "canceled", "x"), 0, FOREIGN_FETCH_CANCEL },
		{ RAUC("success", "dancing", "x"), ERR_MALFORMED, 0 },
		{ "{}", ERR_MALFORMED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum foreign_word word = 0;
		assert_int_equal(ddi_read_cancel(bytes_str(rows[i].body), &word), rows[i].err);
		assert_int_equal(word == rows[i].word || rows[i].err != 0, true);
	}
}

static void test_attributes(void **state)
{
	static const struct {
		const char *body, *want; /* NULL: it is not named */
	} rows[] = {
		{ "{\"data\":{\"version\":\"2.0\",\"x\":\"y\"}}", "2.0" },
		{ "{\"mode\":\"merge\",\"data\":{\"x\":\"y\",\"version\":\"2.0\"}}", "2.0" },
		{ "{\"mode\":\"remove\",\"data\":{\"version\":\"2.0\"}}", NULL },
		{ "{\"data\":{\"version\":\"\"}}", NULL },
		{ "{\"data\":{\"version\":2}}", NULL },
		{ "{\"data\":{\"versions\":\"2.0\"}}", NULL },
		{ "{\"data\":[\"version\"]}", NULL },
		{ "{\"version\":\"2.0\"}", NULL },
		{ "{", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = { 0 };
		bool there = ddi_read_attribute(bytes_str(rows[i].body), "version", &b);
		assert_int_equal(there, rows[i].want != NULL);
		if (there)
			assert_string_equal(buf_text(&b), rows[i].want);
		buf_release(&b);
	}
}

static void test_base(void **state)
{
	static const struct {
		struct ddi_links links;
		const char *want;
	} rows[] = {
		{ { "https://h/T/controller/v1/d", FOREIGN_NOTHING, 7, false, 300 },
			"{\"config\":{\"polling\":{\"sleep\":\"00:05:00\"}},\"_links\":{}}" },
		{ { "https://h/T/controller/v1/d", FOREIGN_DEPLOY, 7, true, 3661 },
			"{\"config\":{\"polling\":{\"sleep\":\"01:01:01\"}},\"_links\":{"
			"\"deploymentBase\":{\"href\":\"https://h/T/controller/v1/d/deploymentBase/7\"},"
			"\"configData\":{\"href\":\"https://h/T/controller/v1/d/configData\"}}}" },
		{ { "https://h/T/controller/v1/d", FOREIGN_CANCEL, 7, false, 700000 },
			"{\"config\":{\"polling\":{\"sleep\":\"23:59:59\"}},\"_links\":{"
			"\"cancelAction\":{\"href\":\"https://h/T/controller/v1/d/cancelAction/7\"}}}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = { 0 };
		ddi_write_base(&b, &rows[i].links);
		assert_string_equal(buf_text(&b), rows[i].want);
		buf_release(&b);
	}
}

static void test_deployment(void **state)
{
	static const uint8_t sha256[SHA256_LEN] = { 0xab, 0xcd }, sha1[20] = { 0x12 };
	struct ddi_deployment d = { "https://h/b", 7, "board", "2.0", ".swu", sha256, sha1, 6656 };
	struct buf b = { 0 };

	(void)state;
	ddi_write_deployment(&b, &d);
	assert_string_equal(buf_text(&b),
		"{\"id\":\"7\",\"deployment\":{\"download\":\"forced\",\"update\":\"forced\",\"chunks\":["
		"{\"part\":\"os\",\"version\":\"2.0\",\"name\":\"board\",\"artifacts\":[{\"filename\":"
		"\"2.0.swu\",\"hashes\":{\"sha1\":\"1200000000000000000000000000000000000000\","
		"\"sha256\":\"abcd000000000000000000000000000000000000000000000000000000000000\"},"
		"\"size\":6656,\"_links\":{\"download\":{\"href\":\"https://h/b/softwaremodules/"
		"abcd000000000000000000000000000000000000000000000000000000000000/artifacts/2.0.swu"
		"\"}}}]}]}}");
	b.len = 0;
	ddi_write_cancel(&b, 7);
	assert_string_equal(buf_text(&b), "{\"id\":\"7\",\"cancelAction\":{\"stopId\":\"7\"}}");
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_feedback),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_deployment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
