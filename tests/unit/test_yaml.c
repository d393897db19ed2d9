/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>

#include "server/base/file.h"
#include "server/base/yaml.h"
#include "tmpdir.h"

struct item {
	uint32_t line;
	char *name;
	uint32_t weight;
	char **tags;
	size_t n_tags;
};

struct doc {
	char *name, *title;
	uint32_t count;
	bool on;
	uint64_t every_ms;
	uint32_t share_ppm, ratio, colour;
	uint64_t size;
	struct {
		uint32_t x;
		struct {
			char *text;
		} deep;
	} inner;
	struct item *items;
	size_t n_items;
	char **words;
	size_t n_words;
};

#define AT(type, member) offsetof(struct type, member)
static const char *const colours[] = { "red", "green", "blue", NULL };

/* clang-format off */
static const struct yaml_field item_fields[] = {
	{ .type = YAML_LINE, .at = AT(item, line) },
	{ .key = "name",   .type = YAML_STRING, .at = AT(item, name) },
	{ .key = "weight", .type = YAML_U32,    .at = AT(item, weight), .def = "7" },
	{ .key = "tags",   .type = YAML_LIST,   .at = AT(item, tags), .count_at = AT(item, n_tags), .def = "" },
};
static const struct yaml_schema item_schema = { item_fields, COUNT(item_fields), sizeof(struct item) };
static const struct yaml_field deep_fields[] = {
	{ .key = "text", .type = YAML_STRING, .at = 0, .def = "down here" },
};
static const struct yaml_schema deep_schema = { deep_fields, COUNT(deep_fields), sizeof(char *) };
static const struct yaml_field inner_fields[] = {
	{ .key = "x",    .type = YAML_U32, .at = AT(doc, inner.x) - AT(doc, inner), .def = "5" },
	{ .key = "deep", .type = YAML_MAP, .at = AT(doc, inner.deep) - AT(doc, inner), .of = &deep_schema, .def = "" },
};
static const struct yaml_schema inner_schema = { inner_fields, COUNT(inner_fields), sizeof(((struct doc *)0)->inner) };
static const struct yaml_field doc_fields[] = {
	{ .key = "name",   .type = YAML_STRING,   .at = AT(doc, name) },
	{ .key = "title",  .type = YAML_STRING,   .at = AT(doc, title),  .def = "untitled" },
	{ .key = "count",  .type = YAML_U32,      .at = AT(doc, count),  .def = "3", .min = 1, .max = 10 },
	{ .key = "on",     .type = YAML_BOOL,     .at = AT(doc, on),     .def = "true" },
	{ .key = "every",  .type = YAML_DURATION, .at = AT(doc, every_ms), .def = "10m", .min = 100, .max = 3600000 },
	{ .key = "share",  .type = YAML_PPM,      .at = AT(doc, share_ppm), .def = "1 %", .max = 1000000 },
	{ .key = "ratio",  .type = YAML_RATIO,    .at = AT(doc, ratio),  .def = "none" },
	{ .key = "colour", .type = YAML_WORD,     .at = AT(doc, colour), .words = colours, .def = "green" },
	{ .key = "size",   .type = YAML_SIZE,     .at = AT(doc, size),   .def = "1 KiB" },
	{ .key = "inner",  .type = YAML_MAP,      .at = AT(doc, inner),  .of = &inner_schema, .def = "" },
	{ .key = "items",  .type = YAML_LIST,     .at = AT(doc, items),  .of = &item_schema, .count_at = AT(doc, n_items), .def = "" },
	{ .key = "words",  .type = YAML_LIST,     .at = AT(doc, words),  .count_at = AT(doc, n_words), .def = "" },
};
/* clang-format on */
static const struct yaml_schema schema = { doc_fields, COUNT(doc_fields), sizeof(struct doc) };

static int load(const char *text, struct doc *out, char error[YAML_ERROR_MAX])
{
	assert_int_equal(file_replace(tmpdir_path("f.yaml"), bytes_str(text), 0600), 0);
	(void)snprintf(error, YAML_ERROR_MAX, "(none)");
	memset(out, 0xee, sizeof(*out)); /* what is not set is seen */
	return yaml_read_file(tmpdir_path("f.yaml"), &schema, out, error);
}

static void test_defaults(void **state)
{
	char error[YAML_ERROR_MAX];
	struct doc d;

	(void)state;
	assert_int_equal(load("---\nname: n\n...\n# the end\n", &d, error), 0);
	assert_string_equal(d.name, "n");
	assert_string_equal(d.title, "untitled");
	assert_int_equal(d.count, 3);
	assert_true(d.on);
	assert_int_equal(d.every_ms, 600000);
	assert_int_equal(d.share_ppm, 10000);
	assert_int_equal(d.ratio, 0);
	assert_int_equal(d.colour, 1);
	assert_int_equal(d.size, 1024);
	assert_int_equal(d.inner.x, 5);
	assert_string_equal(d.inner.deep.text, "down here");
	assert_null(d.items);
	assert_int_equal(d.n_items, 0);
	assert_int_equal(d.n_words, 0);
	yaml_release(&schema, &d);
	assert_null(d.name);
	yaml_release(&schema, &d);
}

static void test_everything(void **state)
{
	static const char text[] = "# a comment\n"
				   "name: \"n\"\n"
				   "title: ''\n"
				   "count: 10\n"
				   "on: false\n"
				   "every: 250ms\n"
				   "share: 500000\n"
				   "ratio: 1.5\n"
				   "colour: blue\n"
				   "size: 64 MiB\n"
				   "inner: {x: 1, deep: {text: \"a: b\"}}\n"
				   "items:\n"
				   "  - name: first\n"
				   "    tags: [a, b]\n"
				   "\n"
				   "  - {name: second, weight: 0}\n"
				   "words: [one, 'two words', \"3\"]\n";
	char error[YAML_ERROR_MAX];
	struct doc d;

	(void)state;
	if (load(text, &d, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(d.title, "");
	assert_int_equal(d.count, 10);
	assert_false(d.on);
	assert_int_equal(d.every_ms, 250);
	assert_int_equal(d.share_ppm, 500000);
	assert_int_equal(d.ratio, 1500000);
	assert_int_equal(d.colour, 2);
	assert_int_equal(d.size, 67108864);
	assert_int_equal(d.inner.x, 1);
	assert_string_equal(d.inner.deep.text, "a: b");
	assert_int_equal(d.n_items, 2);
	assert_string_equal(d.items[0].name, "first");
	assert_int_equal(d.items[0].line, 13);
	assert_int_equal(d.items[0].weight, 7);
	assert_int_equal(d.items[0].n_tags, 2);
	assert_string_equal(d.items[0].tags[1], "b");
	assert_int_equal(d.items[1].line, 16);
	assert_int_equal(d.items[1].weight, 0);
	assert_int_equal(d.items[1].n_tags, 0);
	assert_int_equal(d.n_words, 3);
	assert_string_equal(d.words[1], "two words");
	yaml_release(&schema, &d);
}

#define N "name: n\n"

/* What stands behind the path: ":LINE: KEY: WHAT". */
static const struct {
	const char *why, *text, *want;
} errors[] = {
	{ "empty", "", ":1: the file is empty" },
	{ "a comment", "# nothing\n", ":1: the file is empty" },
	{ "a word", "hello\n", ":1: is a map of keys and values" },
	{ "a list", "- a\n", ":1: is a map of keys and values" },
	{ "not YAML", N "inner: [1\n", ":3: did not find expected ',' or ']'" },
	{ "tab", "name: n\n\tcount: 3\n", ":2: found a tab character that violates indentation" },
	{ "a second document", N "---\ncount: 3\n", ":3: a second document begins here" },
	{ "something behind the end", N "...\n- a\n",
		":3: did not find expected <document start>" },
	{ "rubbish behind the end", N "---\n]\n", ":3: did not find expected node content" },
	{ "missing", "count: 3\n", ":1: name: is missing" },
	{ "missing in an item", N "items:\n- weight: 3\n", ":3: items[1].name: is missing" },
	{ "missing in the second", N "items:\n- name: a\n- {}\n", ":4: items[2].name: is missing" },
	{ "unknown", N "xyzzy: 1\n", ":2: xyzzy: unknown key" },
	{ "misspelt", N "cuont: 1\n", ":2: cuont: unknown key; did you mean 'count'?" },
	{ "misspelt inside", N "\ninner:\n  depp: {}\n",
		":4: inner.depp: unknown key; did you mean 'deep'?" },
	{ "misspelt in an item", N "items:\n- name: a\n  wieght: 1\n",
		":4: items[1].wieght: unknown key; did you mean 'weight'?" },
	{ "unknown before missing", "nmae: n\n", ":1: nmae: unknown key; did you mean 'name'?" },
	{ "twice", N "count: 1\ncount: 2\n", ":3: count: stands here twice" },
	{ "twice inside", N "inner:\n  x: 1\n  x: 1\n", ":4: inner.x: stands here twice" },
	{ "a key that is a list", N "[a, b]: 1\n", ":2: a key is one word" },
	{ "no number", N "count: many\n", ":2: count: 'many' is a whole number" },
	{ "no whole number", N "count: 1.5\n", ":2: count: '1.5' is a whole number" },
	{ "negative", N "count: -1\n", ":2: count: '-1' is a whole number" },
	{ "nothing", N "count:\n", ":2: count: '' is a whole number" },
	{ "beyond 32 bits", N "count: 4294967297\n", ":2: count: '4294967297' is a whole number" },
	{ "below the range", N "count: 0\n", ":2: count: '0' is not within 1 to 10" },
	{ "above the range", N "count: 11\n", ":2: count: '11' is not within 1 to 10" },
	{ "no truth", N "on: yes\n", ":2: on: 'yes' is true or false" },
	{ "no duration", N "every: 5\n",
		":2: every: '5' is a duration such as 30s, 15m, 4h or 7d" },
	{ "too short", N "every: 99ms\n", ":2: every: '99ms' is not within 100 to 3600000 ms" },
	{ "too long", N "every: 61m\n", ":2: every: '61m' is not within 100 to 3600000 ms" },
	{ "no share", N "share: half\n",
		":2: share: 'half' is a share such as 1 %, or parts per million" },
	{ "more than all", N "share: 101 %\n", ":2: share: '101 %' is not within 0 to 1000000" },
	{ "no ratio", N "ratio: some\n", ":2: ratio: 'some' is a ratio such as 1.5, or none" },
	{ "ratio 0", N "ratio: 0\n", ":2: ratio: '0' is a ratio such as 1.5, or none" },
	{ "ratio in percent", N "ratio: 150 %\n",
		":2: ratio: '150 %' is a ratio such as 1.5, or none" },
	{ "a huge ratio", N "ratio: 4295\n", ":2: ratio: '4295' is a ratio such as 1.5, or none" },
	{ "no such word", N "colour: pink\n",
		":2: colour: 'pink' is none of the words known here" },
	{ "a word in capitals", N "colour: Red\n",
		":2: colour: 'Red' is none of the words known here" },
	{ "no size", N "size: 3 apples\n", ":2: size: '3 apples' is a size such as 64 MiB" },
	{ "a list for a value", N "count: [1]\n", ":2: count: is one value, not a list or a map" },
	{ "a map for a value", "name: {a: b}\n", ":1: name: is one value, not a list or a map" },
	{ "a value for a map", N "inner: 5\n", ":2: inner: is a map of keys and values" },
	{ "a value for a list", N "words: one\n", ":2: words: is a list" },
	{ "a map for a list", N "items: {name: a}\n", ":2: items: is a list" },
	{ "a value for an item", N "items:\n- name: a\n- b\n",
		":4: items[2]: is a map of keys and values" },
	{ "a map for a word", N "words:\n- a\n- {b: c}\n", ":4: words[2]: is a word" },
	{ "a list for a word", N "words: [a, [b]]\n", ":2: words[2]: is a word" },
	{ "deep inside", N "items:\n- name: a\n  tags: [a, {}]\n",
		":4: items[1].tags[2]: is a word" },
	{ "a long value", N "count: 0123456789012345678901234567890123456789xyz\n",
		":2: count: '0123456789012345678901234567890123456789' is a whole number" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		char error[YAML_ERROR_MAX];
		size_t n = strlen(tmpdir_path("f.yaml"));
		struct doc d;
		int err = load(errors[i].text, &d, error);
		if (err != ERR_CONFIG || strncmp(error, tmpdir_path("f.yaml"), n) != 0 ||
			strcmp(error + n, errors[i].want) != 0)
			fail_msg("%s: %s, %s", errors[i].why, err_name(err), error);
	}
}

/* However long what a person wrote is: the line is cut, nothing else. */
static void test_long_texts(void **state)
{
	char text[2048], error[YAML_ERROR_MAX];
	struct doc d;

	(void)state;
	memset(text, 'k', sizeof(text));
	memcpy(text, N, strlen(N));
	(void)snprintf(text + 1000, sizeof(text) - 1000, ": 1\n");
	assert_int_equal(load(text, &d, error), ERR_CONFIG);
	assert_non_null(strstr(error, ":2: kkkk"));
	memset(text, 'v', sizeof(text));
	memcpy(text, N "count: ", strlen(N "count: "));
	text[2046] = '\n';
	text[2047] = '\0';
	assert_int_equal(load(text, &d, error), ERR_CONFIG);
	assert_non_null(strstr(error, "' is a whole number"));
}

static void test_no_file(void **state)
{
	char error[YAML_ERROR_MAX], want[YAML_ERROR_MAX];
	struct doc d;

	(void)state;
	assert_int_equal(yaml_read_file(tmpdir_path("none.yaml"), &schema, &d, error), -ENOENT);
	(void)snprintf(
		want, sizeof(want), "%s: No such file or directory", tmpdir_path("none.yaml"));
	assert_string_equal(error, want);
}

/* Aliases are followed; one that leads back to itself ends with the schema. */
static void test_aliases(void **state)
{
	char error[YAML_ERROR_MAX];
	struct doc d;

	(void)state;
	assert_int_equal(load("name: &n same\ntitle: *n\nwords: [*n, *n]\n", &d, error), 0);
	assert_string_equal(d.title, "same");
	assert_string_equal(d.words[1], "same");
	yaml_release(&schema, &d);
	assert_int_equal(load(N "inner: &i {deep: *i}\n", &d, error), ERR_CONFIG);
	assert_int_equal(load(N "words: &w [*w]\n", &d, error), ERR_CONFIG);
	assert_int_equal(load(N "title: *nobody\n", &d, error), ERR_CONFIG);
}

/* Cut anywhere, a good file is good or an error, and nothing is lost (with a leak
 * checker). */
static void test_cut(void **state)
{
	static const char text[] = "name: n\ninner: {x: 1, deep: {text: t}}\n"
				   "items: [{name: a, tags: [b, c]}, {name: d}]\n"
				   "words: [e, f]\ntitle: g\n";
	char cut[sizeof(text)], error[YAML_ERROR_MAX];
	size_t good = 0;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		struct doc d;
		memcpy(cut, text, n);
		cut[n] = '\0';
		if (load(cut, &d, error) == 0) {
			good++;
			yaml_release(&schema, &d);
		}
	}
	assert_true(good > 5 && good < sizeof(text));
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_defaults),
		IN_TMPDIR(test_everything),
		IN_TMPDIR(test_errors),
		IN_TMPDIR(test_long_texts),
		IN_TMPDIR(test_no_file),
		IN_TMPDIR(test_aliases),
		IN_TMPDIR(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
