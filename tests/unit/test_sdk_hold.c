/* SPDX-License-Identifier: Apache-2.0 */
/* "Not now", said for too long about what was signed for this device, is told to the user. */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_MS 86400000ull

static void offer(struct honest *s, uint32_t upper)
{
	honest_withdraw(s);
	honest_add_offer(
		s, s->n_builds > 0 ? &s->builds[0] : honest_add_build(s, "b2", 2, 3000), 3, upper);
	honest_publish(s);
}

/* Keeps the directive fresh, and polls. */
static void days(struct phone *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		honest_publish(p->server);
		phone_run(p, DAY_MS);
	}
}

/* Which answers withhold something. */
static void answers(void **state)
{
	static const struct {
		const char *why;
		Pb__Answer answer;
		uint32_t upper; /* ppm of everybody */
		bool withheld;
	} rows[] = {
		{ "up to date, and so it is", PB__ANSWER__ANSWER_UP_TO_DATE, 0, false },
		{ "up to date, but it is not", PB__ANSWER__ANSWER_UP_TO_DATE, PPM, true },
		{ "staged out, and so it is", PB__ANSWER__ANSWER_STAGED_OUT, 0, false },
		{ "staged out, but it is not", PB__ANSWER__ANSWER_STAGED_OUT, PPM, true },
		{ "admission", PB__ANSWER__ANSWER_ADMISSION, PPM, true },
		{ "paused", PB__ANSWER__ANSWER_PAUSED, PPM, true },
		{ "young", PB__ANSWER__ANSWER_YOUNG, PPM, true },
		{ "failed here, but it did not", PB__ANSWER__ANSWER_FAILED_HERE, PPM, true },
		{ "halted, but unsigned", PB__ANSWER__ANSWER_HALTED, PPM, true },
		{ "paused, outside the share", PB__ANSWER__ANSWER_PAUSED, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *at;
		struct phone *p;
		struct huidu_status s;

		print_message("# %s\n", rows[i].why);
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		p->server->answer = rows[i].answer;
		offer(p->server, rows[i].upper);
		days(p, 6);
		s = phone_status(p);
		assert_int_equal(s.held_since_ms != 0, rows[i].withheld);
		assert_false(s.hold_notice);
		assert_string_equal(p->log, "");
		days(p, 2);
		s = phone_status(p);
		assert_int_equal(s.hold_notice, rows[i].withheld);
		assert_int_equal(p->log[0] != '\0', rows[i].withheld);
		/* Once. */
		p->log[0] = '\0';
		days(p, 3);
		assert_string_equal(p->log, "");
		assert_string_equal(p->slot.build_id, "b1");
		/* Over when the server says so. */
		p->server->answer = PB__ANSWER__ANSWER_OFFER;
		offer(p->server, PPM);
		days(p, 1);
		s = phone_status(p);
		assert_string_equal(p->slot.build_id, "b2");
		assert_true(s.held_since_ms == 0 && !s.hold_notice);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Since when is kept over restarts; the bound is the configuration's. */
static void restarts(void **state)
{
	struct phone *p = *state;
	uint64_t since;

	p->config.hold_notice_s = 2 * 86400;
	phone_restart(p);
	p->server->answer = PB__ANSWER__ANSWER_PAUSED;
	offer(p->server, PPM);
	phone_settle(p);
	since = phone_status(p).held_since_ms;
	assert_in_range(since, p->clock_ms - 1000, p->clock_ms);
	for (unsigned i = 0; i < 8; i++) {
		phone_run(p, DAY_MS / 4);
		phone_restart(p);
		assert_int_equal(phone_status(p).held_since_ms, since);
	}
	phone_run(p, DAY_MS / 4);
	assert_true(phone_status(p).hold_notice);
}

/* A halt ends it: nothing is withheld that may not be had. */
static void halted(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	s->answer = PB__ANSWER__ANSWER_PAUSED;
	offer(s, PPM);
	days(p, 8);
	assert_true(phone_status(p).hold_notice);
	s->halted[s->n_halted++] = "b2";
	s->answer = PB__ANSWER__ANSWER_OFFER;
	days(p, 1);
	assert_false(phone_status(p).hold_notice);
	assert_string_equal(phone_status(p).build_id, "");
	assert_string_equal(p->slot.build_id, "b1");
}

/* A refused offer, and a network that is down, are other things. */
static void not_that(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	s->answer = PB__ANSWER__ANSWER_PAUSED;
	offer(s, PPM);
	s->offers[0].approved_upper = 1000;
	days(p, 8);
	assert_int_equal(phone_status(p).held_since_ms, 0);
	assert_false(phone_status(p).hold_notice);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		ON_PHONE(restarts),
		ON_PHONE(halted),
		ON_PHONE(not_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
