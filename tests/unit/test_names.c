/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>

#include "proto/err.h"
#include "proto/names.h"

#define N63 "123456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const char *name;
	bool want;
} names[] = {
	{ "phone-a", true },
	{ "A", true },
	{ "0", true },
	{ "_", true },
	{ "1.0.3_beta-2", true },
	{ "a.", true },
	{ "a..b", true },
	{ N63, true },
	{ N63 "4", false },
	{ "", false },
	{ ".", false },
	{ "..", false },
	{ ".hidden", false },
	{ "-rf", false },
	{ "a/b", false },
	{ "../a", false },
	{ "a b", false },
	{ " a", false },
	{ "a\n", false },
	{ "a\\b", false },
	{ "a:b", false },
	{ "a*", false },
	{ "phon\xc3\xa9", false },
	{ "a\x7f", false },
};

static void test_name_ok(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		if (name_ok(names[i].name) != names[i].want)
			fail_msg("'%s'", names[i].name);
}

/* Golden: devices compare these with what was signed. */
static void test_metadata_names(void **state)
{
	static const uint8_t id[ID_LEN] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 0, 0,
		0, 0, 0, 0, 0xff };
	static const char *const directors[] = { "director/phone-a/core", "director/phone-a/honour",
		"director/phone-a/dev", "director/phone-a/stable" };
	char out[METADATA_NAME_MAX];

	(void)state;
	assert_string_equal(metadata_timestamp(out, "phone-a"), "timestamp/phone-a");
	assert_string_equal(metadata_snapshot(out, "phone-a"), "snapshot/phone-a");
	for (uint32_t ring = 0; ring < 4; ring++)
		assert_string_equal(metadata_director(out, "phone-a", ring), directors[ring]);
	assert_string_equal(
		metadata_plan(out, id, "phone-a"), "plan/0123456789abcdef00000000000000ff/phone-a");
	assert_string_equal(metadata_targets(out, "phone-a", "1.0"), "targets/phone-a/1.0");
	/* The longest there is has room. */
	assert_string_equal(metadata_targets(out, N63, N63), "targets/" N63 "/" N63);
}

static void test_hex(void **state)
{
	static const struct {
		const char *hex;
		size_t n;
		bool want;
	} row[] = {
		{ "00ff7f80", 4, true },
		{ "00FF7f80", 4, true },
		{ "", 0, true },
		{ "00", 0, false },
		{ "0", 1, false },
		{ "000", 1, false },
		{ "00ff7f8", 4, false },
		{ "00ff7f8g", 4, false },
		{ "00ff7f8:", 4, false },
		{ "00ff7f8/", 4, false },
		{ "00ff7f8`", 4, false },
		{ "00ff7f8@", 4, false },
		{ "0x00ff7f", 4, false },
	};
	static const uint8_t bytes[] = { 0x00, 0xff, 0x7f, 0x80 };
	uint8_t out[4];
	char hex[9];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		memset(out, 0x55, sizeof(out));
		if (hex_decode(out, row[i].n, row[i].hex) != row[i].want)
			fail_msg("'%s'", row[i].hex);
		if (row[i].want)
			assert_memory_equal(out, bytes, row[i].n);
	}
	assert_string_equal(hex_encode(hex, bytes, 4), "00ff7f80");
	assert_string_equal(hex_encode(hex, bytes, 0), "");
}

static void test_numbers(void **state)
{
	static const uint8_t want[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
	uint8_t out[8];

	(void)state;
	put_be64(out, 0x0123456789abcdef);
	assert_memory_equal(out, want, 8);
	put_be32(out, 0x01234567);
	assert_memory_equal(out, want, 4);
	put_be16(out, 0x0123);
	assert_memory_equal(out, want, 2);
	assert_int_equal(get_be64(want), 0x0123456789abcdef);
	assert_int_equal(get_be32(want + 4), 0x89abcdef);
	assert_int_equal(get_be16(want + 6), 0xcdef);
}

static void test_errors(void **state)
{
	(void)state;
	assert_string_equal(err_str(0), "done");
	assert_string_equal(err_str(ERR_TOO_BIG), "the message is larger than this kind may be");
	assert_string_equal(err_name(ERR_TOO_BIG), "TOO_BIG");
	assert_string_equal(err_str(-ENOENT), strerror(ENOENT));
	assert_string_equal(err_name(-ENOENT), "ERRNO");
	assert_string_equal(err_str(-999999), "unknown error");
	assert_string_equal(err_str(12), "unknown error");
}

/* Numbers travel between versions: two names for one would lose one of them. */
static void test_error_numbers_differ(void **state)
{
	static const int number[] = {
#define ERR(name, number, sentence) (number),
#include "proto/err.def"
#undef ERR
	};

	(void)state;
	for (size_t i = 0; i < COUNT(number); i++) {
		assert_true(number[i] <= -1000);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(number[i], number[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_ok),
		cmocka_unit_test(test_metadata_names),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
