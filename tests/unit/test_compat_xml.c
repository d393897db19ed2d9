/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/xml.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

/* What was read, as a text: (name a=b (inner)). */
struct seen {
	struct buf text;
	const char *stop_at;
};

static int on_open(void *user, const struct xml_element *e)
{
	struct seen *s = user;

	buf_printf(&s->text, "(%u%s", e->depth, e->name);
	for (size_t i = 0; e->attribute[i] != NULL; i += 2) {
		assert_non_null(xml_attribute(e, e->attribute[i]));
		buf_printf(&s->text, " %s=%s", e->attribute[i], e->attribute[i + 1]);
	}
	assert_null(xml_attribute(e, "no such"));
	return s->stop_at != NULL && strcmp(e->name, s->stop_at) == 0 ? ERR_NOT_FOUND : 0;
}

static int on_close(void *user, const char *name, unsigned depth)
{
	struct seen *s = user;

	(void)name;
	buf_printf(&s->text, "%u)", depth);
	return 0;
}

static int read_with(struct bytes in, size_t max, struct seen *s)
{
	struct xml_reader reader = { on_open, on_close, s };
	uint8_t *copy = malloc(in.n + (in.n == 0)); /* of its own length, for sanitizers */
	int err;

	assert_non_null(copy);
	memcpy(copy, in.p, in.n);
	err = xml_read(bytes_of(copy, in.n), max, &reader);
	free(copy);
	return err;
}

static void test_read(void **state)
{
	static const struct {
		const char *why, *in;
		int want;
		const char *seen;
	} row[] = {
		{ "one", "<a/>", 0, "(0a0)" },
		{ "declared", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a></a>\n", 0, "(0a0)" },
		{ "in one another", "<a x='1'>text<b y=\"2\" z=\"\"/><!-- c --><c/></a>", 0,
			"(0a x=1(1b y=2 z=1)(1c1)0)" },
		{ "known entities", "<a x='&lt;&amp;&gt;&quot;&apos;&#65;&#x42;'/>", 0,
			"(0a x=<&>\"'AB0)" },
		{ "Latin", "<?xml version='1.0' encoding='ISO-8859-1'?><a x='\xe9'/>", 0,
			"(0a x=\xc3\xa9"
			"0)" },
		{ "nothing", "", ERR_MALFORMED, "" },
		{ "blanks", "  ", ERR_MALFORMED, "" },
		{ "no XML", "hello", ERR_MALFORMED, "" },
		{ "JSON", "{\"a\":1}", ERR_MALFORMED, "" },
		{ "cut", "<a><b>", ERR_MALFORMED, NULL },
		{ "an attribute without a value", "<a><b delta_okay></b></a>", ERR_MALFORMED,
			NULL },
		{ "twice an attribute", "<a x='1' x='2'/>", ERR_MALFORMED, NULL },
		{ "two roots", "<a/><b/>", ERR_MALFORMED, NULL },
		{ "crossed", "<a><b></a></b>", ERR_MALFORMED, NULL },
		{ "no UTF-8", "<a x='\xff'/>", ERR_MALFORMED, NULL },
		{ "a zero", "<a x='&#0;'/>", ERR_MALFORMED, NULL },
		{ "an unknown entity", "<a x='&who;'/>", ERR_MALFORMED, NULL },
		{ "an unknown encoding", "<?xml version='1.0' encoding='x-none'?><a/>",
			ERR_MALFORMED, "" },
		{ "a DTD", "<!DOCTYPE a><a/>", ERR_MALFORMED, "" },
		{ "a DTD elsewhere", "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", ERR_MALFORMED,
			"" },
		{ "an entity", "<!DOCTYPE a [<!ENTITY e 'x'>]><a x='&e;'/>", ERR_MALFORMED, "" },
		{ "an entity elsewhere",
			"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
			ERR_MALFORMED, "" },
		{ "a parameter entity",
			"<!DOCTYPE a [<!ENTITY % e SYSTEM 'http://127.0.0.1/x'> %e;]><a/>",
			ERR_MALFORMED, "" },
		{ "a billion laughs",
			"<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
			"<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>]>"
			"<a>&d;</a>",
			ERR_MALFORMED, "" },
		{ "a default attribute", "<!DOCTYPE a [<!ATTLIST a x CDATA 'y'>]><a/>",
			ERR_MALFORMED, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct seen s = { 0 };
		int err = read_with(bytes_str(row[i].in), XML_BYTES_MAX, &s);
		if (err != row[i].want ||
			(row[i].seen && strcmp(buf_text(&s.text), row[i].seen) != 0))
			fail_msg("%s: %d %s", row[i].why, err, buf_text(&s.text));
		buf_release(&s.text);
	}
}

static void test_utf16(void **state)
{
	static const uint8_t in[] = { 0xff, 0xfe, '<', 0, 'a', 0, '/', 0, '>', 0 };
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(read_with(bytes_of(in, sizeof(in)), 64, &s), 0);
	assert_string_equal(buf_text(&s.text), "(0a0)");
	buf_release(&s.text);
}

static void repeat(struct buf *b, const char *format, unsigned n)
{
	static const char *const mark = "%u";
	const char *at = strstr(format, mark);

	for (unsigned i = 0; i < n; i++) {
		if (at == NULL) {
			buf_str(b, format);
			continue;
		}
		buf_add(b, format, (size_t)(at - format));
		buf_printf(b, "%u%s", i, at + 2);
	}
}

static void test_bounds(void **state)
{
	static const struct {
		const char *why, *head, *middle, *tail, *close;
		unsigned n;
		int want;
	} row[] = {
		{ "deep", "", "<a>", "", "</a>", XML_DEPTH_MAX, 0 },
		{ "too deep", "", "<a>", "", "</a>", XML_DEPTH_MAX + 1, ERR_TOO_BIG },
		{ "side by side", "<r>", "<a/>", "</r>", "", XML_ELEMENTS_MAX - 1, 0 },
		{ "too many", "<r>", "<a/>", "</r>", "", XML_ELEMENTS_MAX, ERR_TOO_BIG },
		{ "attributes", "<r", " a%u=''", "/>", "", XML_ATTRIBUTES_MAX, 0 },
		{ "too many attributes", "<r", " a%u=''", "/>", "", XML_ATTRIBUTES_MAX + 1,
			ERR_TOO_BIG },
		{ "as long as may be", "<r>", "x", "</r>", "", XML_BYTES_MAX - 7, 0 },
		{ "a byte more", "<r>", "x", "</r>", "", XML_BYTES_MAX - 6, ERR_TOO_BIG },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct seen s = { 0 };
		struct buf b = { 0 };
		int err;
		buf_str(&b, row[i].head);
		repeat(&b, row[i].middle, row[i].n);
		buf_str(&b, row[i].tail);
		repeat(&b, row[i].close, row[i].n);
		err = read_with(buf_bytes(&b), XML_BYTES_MAX, &s);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		buf_release(&b);
		buf_release(&s.text);
	}
}

static void test_stop(void **state)
{
	struct seen s = { .stop_at = "c" };

	(void)state;
	assert_int_equal(read_with(bytes_str("<a><b/><c/><d/></a>"), 64, &s), ERR_NOT_FOUND);
	assert_string_equal(buf_text(&s.text), "(0a(1b1)(1c");
	buf_release(&s.text);
	assert_int_equal(read_with(bytes_str("<a><b/></a>"), 10, &s), ERR_TOO_BIG);
	assert_int_equal(s.text.len, 0);
}

static void test_without_handlers(void **state)
{
	static const struct xml_reader none = { NULL, NULL, NULL };

	(void)state;
	assert_int_equal(xml_read(bytes_str("<a><b/></a>"), 64, &none), 0);
}

/* What is written is read as it was. */
static void test_write(void **state)
{
	static const char value[] = "a&b<c>d\"e'f\tg\nh\ri \xe7\x81\xb0 %s";
	struct seen s = { 0 };
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "<a");
	xml_write(&b, "x", value);
	xml_write(&b, "y", "\x1b");
	xml_write_u64(&b, "z", UINT64_MAX);
	buf_str(&b, "/>");
	assert_string_equal(buf_text(&b),
		"<a x=\"a&amp;b&lt;c&gt;d&quot;e'f&#9;g&#10;h&#13;i \xe7\x81\xb0 %s\" y=\"?\" "
		"z=\"18446744073709551615\"/>");
	assert_int_equal(read_with(buf_bytes(&b), 200, &s), 0);
	assert_non_null(strstr(buf_text(&s.text), value));
	buf_release(&b);
	buf_release(&s.text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_utf16),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_without_handlers),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
