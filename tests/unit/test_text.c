/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "server/base/text.h"

#define BAD UINT64_MAX

static const struct {
	const char *in;
	uint64_t want;
} durations[] = {
	{ "0s", 0 },
	{ "90s", 90000 },
	{ "15m", 900000 },
	{ "4h", 14400000 },
	{ "7d", 604800000 },
	{ "250ms", 250 },
	{ "1.5h", 5400000 },
	{ "0.001s", 1 },
	{ "0.0004s", 0 },
	{ "0.0005s", 1 },
	{ "1 h", 3600000 },
	{ "1   h", 3600000 },
	{ "007s", 7000 },
	{ "36500d", 3153600000000 },
	{ "100000000d", 8640000000000000 },
	{ "104166667d", BAD },
	{ "999999999999999999s", BAD },
	{ "9999999999999999999s", BAD },
	{ "", BAD },
	{ "s", BAD },
	{ "5", BAD },
	{ "5 ", BAD },
	{ "-5s", BAD },
	{ "+5s", BAD },
	{ " 5s", BAD },
	{ "5s ", BAD },
	{ "5S", BAD },
	{ "5sec", BAD },
	{ "5w", BAD },
	{ "5\ts", BAD },
	{ "1h30m", BAD },
	{ "1..5h", BAD },
	{ "1.5.5h", BAD },
	{ ".5h", BAD },
	{ "1,5h", BAD },
	{ "1e3s", BAD },
	{ "0x10s", BAD },
	{ "inf s", BAD },
	{ "nan", BAD },
};

static void test_durations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		uint64_t v = 1;
		bool ok = text_duration(durations[i].in, &v);
		if (ok != (durations[i].want != BAD) || (ok && v != durations[i].want))
			fail_msg("'%s': %d, %llu", durations[i].in, ok, (unsigned long long)v);
	}
}

static const struct {
	const char *in;
	uint64_t want;
} shares[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "1000000", 1000000 },
	{ "4294967295", 4294967295 },
	{ "4294967296", BAD },
	{ "1 %", 10000 },
	{ "1%", 10000 },
	{ "0.5%", 5000 },
	{ "0.0001%", 1 },
	{ "0.00004%", 0 },
	{ "0.00005%", 1 },
	{ "33.3333%", 333333 },
	{ "100 %", 1000000 },
	{ "150%", 1500000 },
	{ "429496.7295%", 4294967295 },
	{ "429496.7296%", BAD },
	{ "", BAD },
	{ "%", BAD },
	{ "1.5", BAD },
	{ "-1%", BAD },
	{ "1 % ", BAD },
	{ "1%%", BAD },
	{ "1 percent", BAD },
	{ "1e2%", BAD },
	{ "one", BAD },
};

static void test_shares(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shares); i++) {
		uint32_t v = 1;
		bool ok = text_ppm(shares[i].in, &v);
		if (ok != (shares[i].want != BAD) || (ok && v != shares[i].want))
			fail_msg("'%s': %d, %u", shares[i].in, ok, v);
	}
}

static const struct {
	const char *in;
	uint64_t want;
} sizes[] = {
	{ "0", 0 },
	{ "4096", 4096 },
	{ "4096B", 4096 },
	{ "4096 B", 4096 },
	{ "64 MiB", 67108864 },
	{ "64MiB", 67108864 },
	{ "1KiB", 1024 },
	{ "1GiB", 1073741824 },
	{ "1.5 GiB", 1610612736 },
	{ "2 TiB", 2199023255552 },
	{ "0.5B", 1 },
	{ "9000 TiB", BAD },
	{ "9000000000000000", BAD },
	{ "8999999999999999", 8999999999999999 },
	{ "64 MB", BAD },
	{ "64 mib", BAD },
	{ "64M", BAD },
	{ "MiB", BAD },
	{ "", BAD },
	{ "-1", BAD },
	{ "0x10", BAD },
};

static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint64_t v = 1;
		bool ok = text_size(sizes[i].in, &v);
		if (ok != (sizes[i].want != BAD) || (ok && v != sizes[i].want))
			fail_msg("'%s': %d, %llu", sizes[i].in, ok, (unsigned long long)v);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *in;
		bool ok;
		uint64_t want;
	} row[] = {
		{ "0", true, 0 },
		{ "42", true, 42 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1.0", false, 0 },
		{ "0x1", false, 0 },
		{ "1e3", false, 0 },
		{ "a", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t v = 1;
		if (text_u64(row[i].in, &v) != row[i].ok || (row[i].ok && v != row[i].want))
			fail_msg("'%s'", row[i].in);
	}
}

static void test_nearest(void **state)
{
	static const char *const words[] = { "listen", "data", "metrics", "poll", "tls",
		"min_id_age", "repository", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		const char *in, *want;
	} row[] = {
		{ "listen", "listen" },
		{ "lisen", "listen" },
		{ "listne", "listen" },
		{ "lissten", "listen" },
		{ "Listen", "listen" },
		{ "metric", "metrics" },
		{ "polls", "poll" },
		{ "poool", "poll" },
		{ "tsl", "tls" },
		{ "repo", NULL },
		{ "xyz", NULL },
		{ "lxyzen", NULL },
		{ "min-id-age", "min_id_age" },
		{ "minidage", "min_id_age" },
		{ "port", "poll" },
		{ "lsn", "tls" },
		{ "", NULL },
		{ "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *have = text_nearest(row[i].in, words);
		if ((have == NULL) != (row[i].want == NULL) ||
			(have != NULL && strcmp(have, row[i].want) != 0))
			fail_msg("'%s': %s", row[i].in, have == NULL ? "none" : have);
	}
	assert_null(text_nearest("listen", none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
