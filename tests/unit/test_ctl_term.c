/* SPDX-License-Identifier: Apache-2.0 */
/* How things look: widths, numbers, tables. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "server/base/show.h"
#include "server/ctl/table.h"

static void test_width(void **state)
{
	static const struct {
		const char *s;
		size_t width;
	} row[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "├─ ✔ core", 9 },
		{ "Größe", 5 },
		{ "Gro\xcc\x88\xc3\x9f"
		  "e",
			5 }, /* o and a combining diaeresis */
		{ "灰度", 4 },
		{ "한글", 4 },
		{ "a\xff", 2 },    /* a byte that starts nothing */
		{ "\xe2\x9c", 2 }, /* cut in the middle */
		{ "📱", 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		if (text_width(row[i].s) != row[i].width)
			fail_msg("'%s' takes %zu columns", row[i].s, text_width(row[i].s));
	assert_int_equal(text_fit("灰度x", 3), 3);
	assert_int_equal(text_fit("灰度x", 4), 6);
	assert_int_equal(text_fit("abc", 99), 3);
	assert_int_equal(text_fit("abc", 0), 0);
}

static void test_numbers(void **state)
{
	(void)state;
	assert_string_equal(show_count(0).s, "0");
	assert_string_equal(show_count(999).s, "999");
	assert_string_equal(show_count(1000).s, "1,000");
	assert_string_equal(show_count(1812004).s, "1,812,004");
	assert_string_equal(show_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
	assert_string_equal(show_share(10000).s, "1 %");
	assert_string_equal(show_share(1000000).s, "100 %");
	assert_string_equal(show_share(5000).s, "0.5 %");
	assert_string_equal(show_share(1).s, "0.0001 %");
	assert_string_equal(show_share(0).s, "0 %");
	assert_string_equal(show_share(UINT32_MAX).s, "429496.7295 %");
	assert_string_equal(show_range(10000, 100000).s, "1 to 10 %");
	assert_string_equal(show_ratio(1.25).s, "1.25x");
	assert_string_equal(show_ratio(INFINITY).s, "-");
	assert_string_equal(show_size(0).s, "0 B");
	assert_string_equal(show_size(1023).s, "1023 B");
	assert_string_equal(show_size(1024).s, "1.0 KiB");
	assert_string_equal(show_size(432013312).s, "412.0 MiB");
	assert_string_equal(show_size(1048575).s, "1.0 MiB");
	assert_string_equal(show_size(UINT64_MAX).s, "16777216.0 TiB");
}

static void test_ages(void **state)
{
	static const struct {
		uint64_t s;
		const char *want;
	} row[] = {
		{ 0, "0s" },
		{ 59, "59s" },
		{ 60, "1m" },
		{ 3599, "59m" },
		{ 3600, "1h" },
		{ 11520, "3h12m" },
		{ 86400, "1d" },
		{ 97200, "1d3h" },
		{ 10 * 86400, "10d" },
		{ 100 * 86400 + 7200, "100d" },
		{ UINT64_MAX / 1000, "213503982334d" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		assert_string_equal(show_age(row[i].s * 1000).s, row[i].want);
}

static void test_odds(void **state)
{
	static const struct {
		double log_k;
		const char *want;
	} row[] = {
		{ 0, "1.0 : 1" },
		{ 1.4816045409242156, "4.4 : 1" },
		{ -3, "0.05 : 1" },
		{ -30, "under 0.01 : 1" },
		{ 4.605170185988092, "100 : 1" },
		{ 5.2, "181 : 1" },
		{ 9, "8,103 : 1" },
		{ 50, "over 1,000,000 : 1" },
		{ INFINITY, "over 1,000,000 : 1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		assert_string_equal(show_odds(row[i].log_k).s, row[i].want);
}

static const struct column columns[] = { { "NAME", false }, { "N", true }, { "WHY", false } };

static void fill(struct table *t)
{
	*t = (struct table){ columns, COUNT(columns), NULL, 0 };
	table_cell(t, STYLE_PLAIN, "%s", "├─ core");
	table_cell(t, STYLE_WARN, "%d", 1000);
	table_cell(t, STYLE_PLAIN, "%s", "because it is so");
	table_cell(t, STYLE_PLAIN, "%s", "x");
	table_cell(t, STYLE_PLAIN, "%d", 7);
	table_cell(t, STYLE_PLAIN, "%s", "");
}

static void check(const struct term *term, const char *want)
{
	struct table t;
	struct buf out = { 0 };

	fill(&t);
	table_print(&t, term, &out);
	assert_string_equal(buf_text(&out), want);
	assert_null(t.cells);
	buf_release(&out);
}

static void test_table(void **state)
{
	struct term plain = { .width = 20 };
	struct term narrow = { .tty = true, .width = 24 };
	struct term color = { .color = true, .width = 80 };

	(void)state;
	check(&plain,
		"NAME        N  WHY\n"
		"├─ core  1000  because it is so\n"
		"x           7\n");
	/* On a terminal prose of the last column goes below its row when it does not fit. */
	check(&narrow,
		"NAME        N  WHY\n"
		"├─ core  1000\n"
		"         because it is\n"
		"         so\n"
		"x           7\n");
	check(&color,
		"\033[2mNAME\033[0m        \033[2mN\033[0m  \033[2mWHY\033[0m\n"
		"├─ core  \033[33m1000\033[0m  because it is so\n"
		"x           7\n");
}

static void test_icons(void **state)
{
	struct term utf8 = { 0 }, ascii = { .ascii = true };

	(void)state;
	for (unsigned i = 0; i < ICON__COUNT; i++) {
		const char *a = icon(&ascii, (enum icon)i);
		for (const char *p = a; *p != '\0'; p++)
			assert_true((unsigned char)*p < 0x80);
		/* A table keeps its shape either way. */
		assert_int_equal(text_width(a), text_width(icon(&utf8, (enum icon)i)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_odds),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_icons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
