/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay, freeze, rings and clocks: what verifies, and is not to be taken all the same.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

/* An old answer, every signature of which is good. */
static void replay(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	static uint8_t old_timestamp[1024];
	struct bytes kept = s->timestamp;

	phone_settle(p);
	memcpy(old_timestamp, kept.p, kept.n);
	honest_publish(s);
	phone_poll(p);
	s->timestamp = bytes_of(old_timestamp, kept.n);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_ROLLBACK);
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
}

/* The same Timestamp again is no error, but no proof of freshness either. */
static void freeze(void **state)
{
	struct phone *p = *state;
	uint64_t fresh;

	phone_settle(p);
	fresh = phone_status(p).last_fresh_ms;
	assert_true(fresh == PHONE_T0);
	phone_sleep(p, 23 * 3600000u);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_true(phone_status(p).last_fresh_ms == fresh);
	phone_sleep(p, 2 * 3600000u);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	assert_false(phone_status(p).stale);
	phone_sleep(p, 48 * 3600000u);
	assert_true(phone_status(p).stale);
	honest_tick(p->server);
	phone_poll(p);
	assert_false(phone_status(p).stale);
}

/* A Timestamp of the version we have, with other content, changes nothing. */
static void same_version_other_content(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	s->timestamp_version--;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
	assert_string_equal(phone_status(p).build_id, "");
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
}

/*
 * A clock in the past is not believed: metadata that expired before the newest is
 * expired.
 */
static void clock_back(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	phone_sleep(p, 30 * 86400000ull);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	p->clock_ms = 0;
	s->now_s = PHONE_T0 / 1000 + 86400;
	honest_publish(s);
	huidu_poll_now(p->h);
	s->now_s = PHONE_T0 / 1000 + 86400;
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replay, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(freeze, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(
			same_version_other_content, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(clock_back, phone_set_up, phone_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
