/* SPDX-License-Identifier: Apache-2.0 */
/* How far back to listen after a time in which phones could not be heard, or were told to wait. */
#include "unit.h"

#include "server/core/hearing.h"

#define MINUTE 60000ull
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  (1700000000000ull / HEARING_SLOT_MS * HEARING_SLOT_MS)

static void tick_until(struct hearing *h, uint64_t *now_ms, uint64_t end_ms, struct hearing_tick t)
{
	for (; *now_ms < end_ms; *now_ms += 1000) {
		t.now_ms = *now_ms;
		t.interval_ms = HOUR;
		hearing_tick(h, &t);
	}
}

/* A time of trouble from START on, then calm; looked at some time after it. */
static const struct {
	const char *why;
	uint64_t for_ms;
	unsigned stretch;
	bool deaf;
	uint64_t after_ms, window_ms, want_ms;
} cases[] = {
	{ "nothing was lost", HOUR, 0, false, HOUR, 3 * HOUR, 3 * HOUR },
	{ "an hour deaf, just now", HOUR, 0, true, 0, 3 * HOUR, 4 * HOUR },
	{ "an hour deaf, in the window", HOUR, 0, true, 2 * HOUR, 3 * HOUR, 4 * HOUR },
	{ "an hour deaf, before the window", HOUR, 0, true, 4 * HOUR, 3 * HOUR, 3 * HOUR },
	{ "ten minutes deaf", 10 * MINUTE, 0, true, HOUR, HOUR + MINUTE, 71 * MINUTE },
	{ "a day deaf", DAY, 0, true, HOUR, 3 * HOUR, 27 * HOUR },
	{ "twice the interval for six hours: half is heard", 6 * HOUR, 1, false, 0, 3 * HOUR,
		6 * HOUR },
	{ "four times the interval for a day", DAY, 2, false, 0, 3 * HOUR, 12 * HOUR },
	/* Four times for five minutes: some keep to it for four hours, in those one is heard; then
	 * others may keep to twice the interval for two. */
	{ "a moment of four times the interval", 5 * MINUTE, 2, false, 6 * HOUR, 3 * HOUR,
		7 * HOUR },
	{ "and when all that is over", 5 * MINUTE, 2, false, 10 * HOUR, 3 * HOUR, 3 * HOUR },
};

static void test_window(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hearing h = { 0 };
		uint64_t now_ms = START, got;
		struct hearing_tick trouble = { .stretch = cases[i].stretch,
			.deaf = cases[i].deaf };
		tick_until(&h, &now_ms, START + cases[i].for_ms, trouble);
		tick_until(&h, &now_ms, START + cases[i].for_ms + cases[i].after_ms,
			(struct hearing_tick){ 0 });
		got = hearing_window(&h, cases[i].window_ms, now_ms);
		if (got + 11 * MINUTE < cases[i].want_ms || got > cases[i].want_ms + 11 * MINUTE)
			fail_msg("%s: %llu minutes", cases[i].why,
				(unsigned long long)(got / MINUTE));
		if (cases[i].want_ms == cases[i].window_ms)
			assert_int_equal(got, cases[i].window_ms);
	}
}

/* Whoever polls as it was told is never outside the window of one interval, whatever is told when. */
static void test_obedient_is_heard(void **state)
{
	(void)state;
	for (unsigned pattern = 0; pattern < 27; pattern++) {
		struct hearing h = { 0 };
		uint64_t heard_ms[3] = { 0 }, now_ms = START;
		for (; now_ms < START + 12 * HOUR; now_ms += MINUTE) {
			unsigned quarter = (unsigned)((now_ms - START) / (30 * MINUTE)) % 3;
			unsigned told = pattern / (quarter == 0 ? 1 : quarter == 1 ? 3 : 9) % 3;
			struct hearing_tick t = { now_ms, told, HOUR, false };
			hearing_tick(&h, &t);
			if (now_ms < START + 3 * HOUR)
				heard_ms[told] = now_ms;
			for (unsigned k = 0; k < 3; k++)
				if (heard_ms[k] != 0 && now_ms <= heard_ms[k] + (HOUR << k))
					assert_true(hearing_window(&h, HOUR + 15 * MINUTE,
							    now_ms) >= now_ms - heard_ms[k]);
		}
	}
}

/* As exactly as ticks of a second are. */
static void check(const struct hearing *h, uint64_t window_ms, uint64_t now_ms, uint64_t want_ms)
{
	assert_in_range(hearing_window(h, window_ms, now_ms), want_ms - 2000, want_ms);
}

static void test_twelve_days(void **state)
{
	struct hearing h = { 0 };
	uint64_t now_ms = START;

	(void)state;
	tick_until(&h, &now_ms, START + DAY, (struct hearing_tick){ .deaf = true });
	check(&h, 5 * DAY, now_ms, 6 * DAY);
	tick_until(&h, &now_ms, now_ms + 3 * DAY, (struct hearing_tick){ 0 });
	check(&h, 5 * DAY, now_ms, 6 * DAY);
	check(&h, 20 * DAY, now_ms, 21 * DAY);
	/* Nobody looked for a while, and then for longer than is kept. */
	check(&h, 5 * DAY, now_ms + 1 * DAY, 6 * DAY);
	assert_int_equal(hearing_window(&h, 20 * DAY, now_ms + 13 * DAY), 20 * DAY);
	tick_until(&h, &now_ms, now_ms + 13 * DAY, (struct hearing_tick){ 0 });
	assert_int_equal(hearing_window(&h, 20 * DAY, now_ms), 20 * DAY);
}

/* A laptop that slept, a virtual machine that was moved, a clock that was wrong until now. */
static void test_stood_still(void **state)
{
	static const struct {
		uint64_t at_ms, for_ms, want_ms;
	} row[] = {
		{ 0, 8 * MINUTE, 0 }, /* not worth it */
		{ 8 * MINUTE, 15 * MINUTE, 0 },
		{ 0, 21 * MINUTE, 21 * MINUTE },
		{ 5 * MINUTE, 21 * MINUTE, 21 * MINUTE },
		{ 9 * MINUTE, 8 * HOUR, 8 * HOUR },
		{ 0, 8 * HOUR + 1000, 8 * HOUR },
		{ 3 * MINUTE, 11 * DAY, 11 * DAY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct hearing h = { 0 };
		uint64_t now_ms = START;
		tick_until(&h, &now_ms, START + DAY + row[i].at_ms, (struct hearing_tick){ 0 });
		now_ms += row[i].for_ms;
		tick_until(&h, &now_ms, now_ms + 1000, (struct hearing_tick){ 0 });
		check(&h, 3 * HOUR, now_ms, 3 * HOUR + row[i].want_ms + 2000);
		tick_until(&h, &now_ms, now_ms + HOUR, (struct hearing_tick){ 0 });
		check(&h, 3 * HOUR, now_ms, 3 * HOUR + row[i].want_ms + 2000);
		tick_until(&h, &now_ms, now_ms + 3 * HOUR, (struct hearing_tick){ 0 });
		assert_int_equal(hearing_window(&h, 3 * HOUR, now_ms), 3 * HOUR);
	}
}

/* It goes on from there; what was lost before is known, and phones keep to what they were told. */
static void test_clock_set_back(void **state)
{
	struct hearing h = { 0 };
	uint64_t now_ms = START;

	(void)state;
	tick_until(&h, &now_ms, START + 8 * HOUR, (struct hearing_tick){ .deaf = true });
	now_ms = START + HOUR;
	tick_until(&h, &now_ms, START + 2 * HOUR, (struct hearing_tick){ 0 });
	check(&h, 2 * HOUR, now_ms, 3 * HOUR + 10 * MINUTE);
	tick_until(&h, &now_ms, START + 12 * HOUR, (struct hearing_tick){ 0 });
	assert_int_equal(hearing_window(&h, 9 * HOUR, now_ms), 9 * HOUR);
	tick_until(&h, &now_ms, now_ms + 1000, (struct hearing_tick){ .stretch = 2 });
	now_ms -= 365 * DAY;
	tick_until(&h, &now_ms, now_ms + 3 * HOUR, (struct hearing_tick){ 0 });
	assert_int_equal(h.stretch, 2);
	tick_until(&h, &now_ms, now_ms + 5 * HOUR, (struct hearing_tick){ 0 });
	assert_int_equal(h.stretch, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_obedient_is_heard),
		cmocka_unit_test(test_twelve_days),
		cmocka_unit_test(test_stood_still),
		cmocka_unit_test(test_clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
