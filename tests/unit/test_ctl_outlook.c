/* SPDX-License-Identifier: Apache-2.0 */
/* What so many phones can tell, and when. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>

#include "server/ctl/outlook.h"

#define HOUR 3600000ull
#define DAY  (24 * HOUR)
#define LN20 2.995732273553991

/* The bound E0 of the promotion table: tolerance 1.25 to 5. */
static void test_events(void **state)
{
	static const struct {
		double tolerance, e0;
	} row[] = { { 1.25, 111.5 }, { 1.5, 31.7 }, { 2, 9.8 }, { 3, 3.3 }, { 5, 1.3 } };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		if (fabs(outlook_events(row[i].tolerance) - row[i].e0) > 0.05)
			fail_msg("tolerance %g: %g", row[i].tolerance,
				outlook_events(row[i].tolerance));
}

static const struct {
	const char *why;
	struct outlook_facts f;
	bool blind, too_late;
	double crashes;
	double verdict_h; /* INFINITY: never */
} outlooks[] = {
	{ "1 000 of dev at 1 % a day: a day's soak, then it is shown",
		{ 2, 0.01, 1000, 0, LN20, 0, DAY, 3 * DAY }, false, false, 30, 24 },
	{ "evidence takes longer than the soak", { 1.5, 0.01, 1000, 0, LN20, 0, DAY, 5 * DAY },
		false, false, 50, 76.054 },
	{ "half of it is shown", { 1.5, 0.01, 1000, LN20 / 2, LN20, 0, DAY, 5 * DAY }, false, false,
		50, 38.027 },
	{ "all of it is shown: the rest of the soak",
		{ 1.5, 0.01, 1000, LN20, LN20, 20 * HOUR, DAY, 5 * DAY }, false, false, 50, 4 },
	{ "shown and soaked", { 1.5, 0.01, 1000, 4, LN20, 2 * DAY, DAY, 5 * DAY }, false, false, 50,
		0 },
	{ "counted for it at first, then against",
		{ 1.5, 0.01, 1000, -LN20, LN20, 0, DAY, 5 * DAY }, false, true, 50, 152.108 },
	{ "too late by an hour", { 1.5, 0.01, 1000, 0, LN20, 45 * HOUR, DAY, 5 * DAY }, false, true,
		50, 76.054 },
	{ "max_soak is over", { 1.5, 0.01, 1000, 0, LN20, 6 * DAY, DAY, 5 * DAY }, false, true, 50,
		76.054 },
	{ "the core cannot tell 2x in nine days", { 0, 0.01, 100, 0, 0, 0, DAY, 9 * DAY }, true,
		false, 9, 24 },
	{ "and can in ten", { 0, 0.01, 100, 0, 0, 0, DAY, 10 * DAY }, false, false, 10, 24 },
	{ "no device, no verdict", { 2, 0.01, 0, 0, LN20, 0, DAY, 3 * DAY }, true, true, 0,
		INFINITY },
	{ "max_soak not known", { 2, 0.01, 10, 0, LN20, 0, DAY, 0 }, false, false, 0, 2343.02 },
};

static void test_outlooks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(outlooks); i++) {
		struct outlook o = outlook_of(&outlooks[i].f);
		double want_h = outlooks[i].verdict_h, got_h = (double)o.verdict_ms / HOUR;
		bool same = isinf(want_h) ? o.verdict_ms == UINT64_MAX
					  : fabs(got_h - want_h) < 0.01 * (1 + want_h / 100);
		if (o.blind != outlooks[i].blind || o.too_late != outlooks[i].too_late || !same ||
			fabs(o.crashes - outlooks[i].crashes) > 1e-9)
			fail_msg("%s: blind %d, late %d, %g crashes, %g h", outlooks[i].why,
				o.blind, o.too_late, o.crashes, got_h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_outlooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
