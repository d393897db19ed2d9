/* SPDX-License-Identifier: Apache-2.0 */
/* A device's whole life with an honest server. */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR 3600000u

#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

/* Enrolled; up to date; staged out; chosen, to wait; fetched in pieces; proven. */
static void whole_life(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct honest_offer *o;
	struct huidu_status st;

	phone_settle(p);
	assert_int_equal(p->last_logged, 0); /* a first start is nothing to speak of */
	assert_int_equal(s->enrolments, 1);
	assert_int_equal(s->polls, 1);
	st = phone_status(p);
	assert_int_equal(st.last_error, 0);
	assert_int_equal(st.answer, HUIDU_UP_TO_DATE);
	assert_true(st.enrolled);
	assert_memory_equal(st.device_id, s->device_id, 16);

	o = honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, 0);
	s->answer = PB__ANSWER__ANSWER_STAGED_OUT;
	honest_publish(s);
	phone_run(p, 2 * HOUR);
	st = phone_status(p);
	assert_int_equal(st.answer, HUIDU_STAGED_OUT);
	assert_int_equal(st.ring, HUIDU_STABLE);
	assert_int_equal(st.ring_why, HUIDU_RING_OPEN);
	assert_string_equal(st.build_id, "");
	assert_in_range(st.next_ms, p->clock_ms, p->clock_ms + 2 * HOUR);

	o->upper = o->approved_upper = PPM;
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_run(p, 2 * HOUR);
	st = phone_status(p);
	assert_int_equal(st.answer, HUIDU_WAIT_ADMISSION);
	assert_int_equal(st.phase, HUIDU_IDLE);
	assert_string_equal(st.build_id, "b2");
	assert_int_equal(s->fetches, 0);

	/* A Timestamp alone comes with the change of mind; a restart in between. */
	s->answer = PB__ANSWER__ANSWER_OFFER;
	p->cut_after = 15000;
	phone_restart(p);
	phone_run(p, 4 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(s->full_polls, 4);
	assert_int_equal(s->fetches, 4);
	assert_int_equal(p->applies, 1);
	assert_int_equal(p->activations, 1);
	assert_int_equal(honest_count(s, EVENT(DOWNLOADED), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLING), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLED), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	assert_int_equal(s->n_events, 4);
	assert_int_equal(phone_status(p).unsent, 0);
}

/* What a poll tells the server. */
static void what_is_asked(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	assert_string_equal(s->asked.build_id, "b1");
	assert_int_equal(s->asked.release_counter, 1);
	assert_int_equal(s->asked.rollback_index, 0);
	assert_int_equal(s->asked.root_version, 1);
	assert_int_equal(s->asked.snapshot_version, 0);
	assert_int_equal(s->asked.seq, 0);
	assert_int_equal(s->asked.wish, HUIDU_DEV);
	assert_int_equal(s->asked.enrol_wish, HUIDU_DEV);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM)->build->rollback_index = 3;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	p->sick = true;
	phone_run(p, 3 * HOUR);
	assert_string_equal(s->asked.build_id, "b2");
	assert_int_equal(s->asked.release_counter, 2);
	assert_int_equal(s->asked.rollback_index, 0); /* not proved yet */
	assert_int_equal(s->asked.snapshot_version, s->snapshot_version);
	assert_int_equal(s->asked.seq, 3);
	p->sick = false;
	phone_run(p, 3 * HOUR);
	assert_int_equal(s->asked.rollback_index, 3);
	assert_int_equal(s->asked.seq, 4);
	/* Another build is another question. */
	p->config.wish = HUIDU_STABLE;
	p->slot.release_counter = 9;
	(void)strcpy(p->slot.build_id, "b9");
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(s->asked.snapshot_version, 0);
	assert_int_equal(s->asked.wish, HUIDU_STABLE);
	assert_int_equal(s->asked.rollback_index, 3);
}

/*
 * Build after build: the state does not grow, and nothing of the last one is in the
 * way.
 */
static void many_builds(void **state)
{
	static const char *const ids[] = { "b2", "b3", "b4", "b5", "b6", "b7", "b8" };
	struct phone *p = *state;
	struct honest *s = p->server;

	s->answer = PB__ANSWER__ANSWER_OFFER;
	for (unsigned i = 0; i < 7; i++) {
		honest_add_offer(s, honest_add_build(s, ids[i], i + 2, 3000 + i), 3, PPM);
		honest_publish(s);
		phone_run(p, 3 * HOUR);
		assert_string_equal(p->slot.build_id, ids[i]);
		assert_int_equal(honest_count(s, EVENT(BOOT_OK), ids[i]), 1);
	}
	assert_int_equal(p->applies, 7);
	assert_true(phone_saved(p)->len < 8192);
}

/* The process is started anew after every single step. */
static void short_lives(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	p->apply_later = false;
	for (unsigned i = 0; i < 40 && strcmp(p->slot.build_id, "b2") != 0; i++) {
		for (unsigned k = 0; k < 6 && !p->restarting; k++)
			(void)phone_step(p); /* status tells */
		phone_restart(p);
		p->clock_ms += 60000;
	}
	phone_run(p, HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(s->fetches, 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLING), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(whole_life),
		ON_PHONE(what_is_asked),
		ON_PHONE(many_builds),
		ON_PHONE(short_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
