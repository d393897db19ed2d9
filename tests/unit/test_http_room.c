/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/room.h"

#include <sys/resource.h>

#include "unit.h"

#define GIB (1024ull * 1024 * 1024)

static void test_room(void **state)
{
	static const struct {
		const char *why;
		uint64_t descriptors, open, memory;
		uint32_t want;
	} cases[] = {
		{ "nine tenths of what is left", 1040, 40, 64 * GIB, 900 },
		{ "a reserve of 32 at least", 240, 40, 64 * GIB, 168 },
		{ "but never more than half", 64, 24, 64 * GIB, 20 },
		{ "memory for all at 64 KiB, in half of it", 1048576, 40, 8 * GIB, 65536 },
		{ "no limit at all", UINT64_MAX, 40, UINT64_MAX, UINT32_MAX },
		{ "nothing left", 40, 40, 8 * GIB, 1 },
		{ "less than nothing", 30, 40, 8 * GIB, 1 },
		{ "no memory", 1024, 40, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t got = room_of(cases[i].descriptors, cases[i].open, cases[i].memory);
		if (got != cases[i].want)
			fail_msg("%s: %u, not %u", cases[i].why, got, cases[i].want);
	}
}

/* The soft limit is raised; what is wanted is given as far as there are descriptors. */
static void test_limit(void **state)
{
	struct rlimit limit = { 100, 200 }, now;

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(room_connections(50), 50);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, 200);
	assert_in_range(room_connections(1000), 100, 168);
	assert_in_range(room_connections(0), 100, 168);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
