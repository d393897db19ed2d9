/* SPDX-License-Identifier: Apache-2.0 */
/* A device's whole life with an honest server. */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR 3600000u

static int set_up(void **state)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);

	assert_true(phone_start(p));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_free(p);
	honest_free(s);
	return 0;
}

static void whole_life(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct honest_build *b2 = honest_add_build(s, "b2", 2, 50000);
	struct huidu_status st;

	phone_settle(p);
	assert_int_equal(s->enrolments, 1);
	assert_int_equal(s->polls, 1);
	st = phone_status(p);
	assert_int_equal(st.last_error, 0);
	assert_int_equal(st.answer, HUIDU_UP_TO_DATE);
	assert_true(st.enrolled);

	honest_add_offer(s, b2, 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_run(p, 2 * HOUR);
	st = phone_status(p);
	assert_int_equal(st.answer, HUIDU_WAIT_ADMISSION);
	assert_string_equal(st.build_id, "b2");
	assert_int_equal(s->fetches, 0);

	s->answer = PB__ANSWER__ANSWER_OFFER;
	phone_run(p, 4 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(p->applies, 1);
	assert_int_equal(p->activations, 1);
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_DOWNLOADED, "b2"), 1);
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_INSTALLING, "b2"), 1);
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_INSTALLED, "b2"), 1);
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_BOOT_OK, "b2"), 1);
	assert_int_equal(s->n_events, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_life, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
