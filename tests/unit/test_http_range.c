/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/range.h"

#include "unit.h"

static void read_and_resolve(void **state)
{
	/* Of 1000 bytes; n 0: not satisfiable; ignored: as if there were no Range. */
	static const struct {
		const char *value;
		bool ignored;
		uint64_t at, n;
	} t[] = {
		{ "bytes=0-0", false, 0, 1 },
		{ "bytes=0-99", false, 0, 100 },
		{ "bytes=0-", false, 0, 1000 },
		{ "bytes=999-", false, 999, 1 },
		{ "bytes=999-999", false, 999, 1 },
		{ "bytes=500-2000", false, 500, 500 },
		{ "bytes=-1", false, 999, 1 },
		{ "bytes=-1000", false, 0, 1000 },
		{ "bytes=-5000", false, 0, 1000 },
		{ "BYTES=1-2", false, 1, 2 },
		{ "bytes=1000-", false, 0, 0 },
		{ "bytes=1000-1001", false, 0, 0 },
		{ "bytes=-0", false, 0, 0 },
		{ "bytes=18446744073709551615-", false, 0, 0 },
		{ "bytes=99999999999999999999999-", false, 0, 0 },
		{ "bytes=0-18446744073709551615", false, 0, 1000 },
		{ "bytes=0-99999999999999999999999", false, 0, 1000 },
		{ "bytes=-99999999999999999999999", false, 0, 1000 },
		{ "bytes=0-1,3-4", true, 0, 0 },
		{ "bytes=0-1,", true, 0, 0 },
		{ "bytes=2-1", true, 0, 0 },
		{ "bytes=-", true, 0, 0 },
		{ "bytes=", true, 0, 0 },
		{ "bytes", true, 0, 0 },
		{ "", true, 0, 0 },
		{ "bytes=a-b", true, 0, 0 },
		{ "bytes=1-2x", true, 0, 0 },
		{ "bytes= 1-2", true, 0, 0 },
		{ "bytes=+1-2", true, 0, 0 },
		{ "bytes=1--2", true, 0, 0 },
		{ "bytes=1", true, 0, 0 },
		{ "lines=1-2", true, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct range r;
		uint64_t at = 0, n = 0;
		bool read = range_read(bytes_str(t[i].value), &r);
		if (read == t[i].ignored || r.set != read)
			fail_msg("%s: read %d", t[i].value, read);
		if (!read)
			continue;
		int rc = range_resolve(&r, 1000, &at, &n);
		if ((rc == 0) != (t[i].n > 0) || (rc == 0 && (at != t[i].at || n != t[i].n)))
			fail_msg("%s: %d, %lu from %lu", t[i].value, rc, (unsigned long)n,
				(unsigned long)at);
	}
}

static void of_nothing(void **state)
{
	static const char *const values[] = { "bytes=0-", "bytes=0-0", "bytes=-1" };

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct range r;
		uint64_t at, n;
		assert_true(range_read(bytes_str(values[i]), &r));
		assert_int_equal(range_resolve(&r, 0, &at, &n), ERR_BAD_RANGE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_and_resolve),
		cmocka_unit_test(of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
