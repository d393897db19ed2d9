/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/pace.h"

#include "unit.h"

#include <string.h>

#include "rng.h"

#define SECOND 1000000000ull
#define START  (77 * SECOND)

/* One after the other: the rate, how many bytes at what time, and when they may go. */
static void in_turn(void **state)
{
	static const struct {
		const char *why;
		uint64_t rate, now;
		size_t n;
		uint64_t want;
	} t[] = {
		{ "the slack is there at first", 1000, 0, 100, 0 },
		{ "all of it", 1000, 0, 100, 0 },
		{ "then a byte each millisecond", 1000, 0, 100, 0 },
		{ "behind those before", 1000, 0, 50, SECOND / 10 },
		{ "and the next behind that", 1000, 0, 1, SECOND * 15 / 100 },
		{ "nobody's limit takes nothing", 0, 0, 1000000, 0 },
		{ "in time", 1000, SECOND * 151 / 1000, 10, SECOND * 151 / 1000 },
		{ "behind it", 1000, SECOND * 151 / 1000, 10, SECOND * 161 / 1000 },
		{ "what was not used is lost", 1000, 100 * SECOND, 300, 100 * SECOND },
		{ "but for the slack", 1000, 100 * SECOND, 1, SECOND * 1001 / 10 },
		{ "at another rate", 1000000, 100 * SECOND, 1000, SECOND * 100101 / 1000 },
		{ "it is faster", 1000000, 100 * SECOND, 1000, SECOND * 100102 / 1000 },
	};
	struct pace p = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		uint64_t now = START + t[i].now;
		uint64_t at = pace_reserve(&p, t[i].rate, t[i].n, now);
		if (at != START + t[i].want)
			fail_msg("%s: %ld ns", t[i].why, (long)(at - START));
	}
	assert_int_equal(pace_reserve(NULL, 0, 1, START), START);
}

/* Whoever asks whenever for whatever: never more than the rate, the slack and one piece. */
static void never_more(void **state)
{
	static const uint64_t rates[] = { 1024, 99999, 1 << 20, 123456789, 10000000000 };
	struct rng rng = { 1 };

	(void)state;
	for (size_t r = 0; r < COUNT(rates); r++) {
		struct pace p = { 0 };
		uint64_t now = START;
		double went = 0, most, slack = (double)rates[r] * PACE_SLACK_NS / 1e9;
		for (unsigned i = 0; i < 20000; i++) {
			size_t n = 1 + rng_below(&rng, 65536);
			uint64_t at = pace_reserve(&p, rates[r], n, now);
			went += (double)n;
			most = (double)rates[r] * (double)(at - START) / 1e9 + slack + (double)n;
			if (at < now || went > most + 1)
				fail_msg("rate %lu: %f of %f", (unsigned long)rates[r], went, most);
			if (rng_below(&rng, 3) == 0)
				now = at + rng_below(&rng, 2 * PACE_SLACK_NS);
		}
	}
}

/* Who comes back late, as timers do, still has the whole rate. */
static void all_of_it(void **state)
{
	struct pace p = { 0 };
	uint64_t now = START;
	size_t went = 0;

	(void)state;
	while (now < START + 10 * SECOND) {
		uint64_t at = pace_reserve(&p, 1000000, 16384, now);
		went += 16384;
		if (at > now)
			now = at + PACE_SLACK_NS / 2;
	}
	assert_true(went >= 10000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_turn),
		cmocka_unit_test(never_more),
		cmocka_unit_test(all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
