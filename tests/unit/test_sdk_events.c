/* SPDX-License-Identifier: Apache-2.0 */
/* What is reported: in order, once, and what gives way when there is too much. */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR        3600000u
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

static const uint8_t signature[32] = { 0xab };

static void goes_with_the_poll(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(huidu_report(p->h, HUIDU_EVENT_SYMPTOM, NULL, i), 0);
	assert_int_equal(phone_status(p).unsent, 5);
	phone_settle(p);
	assert_int_equal(s->n_events, 0); /* they can wait */
	phone_run(p, 2 * HOUR);
	assert_int_equal(s->n_events, 5);
	assert_int_equal(s->reports, 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(s->events[i].seq, i + 1);
		assert_int_equal(s->events[i].code, i + 1);
		assert_string_equal(s->events[i].build_id, "b1");
	}
	assert_int_equal(phone_status(p).unsent, 0);
}

static void urgent_goes_alone(void **state)
{
	static const enum huidu_event urgent[] = { HUIDU_EVENT_CRASH, HUIDU_EVENT_CRASH_LOOP,
		HUIDU_EVENT_BOOT_FAILED };
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(huidu_report(p->h, urgent[i], signature, 0), 0);
		phone_settle(p);
		assert_int_equal(s->reports, i + 1);
		assert_int_equal(s->events[i].kind, urgent[i]);
		assert_int_equal(s->events[i].signature0, 0xab);
	}
	assert_int_equal(s->polls, 1);
	/* What comes after a crash has nothing of it. */
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH_LOOP, NULL, 0), 0);
	phone_settle(p);
	assert_int_equal(s->events[3].signature0, 0);
}

/* A poll is due within the minute: it takes them along. */
static void poll_is_near(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	phone_sleep(p, p->next_ms - p->clock_ms - 59000);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0), 0);
	phone_settle(p);
	assert_int_equal(s->n_events, 0);
	phone_run(p, 60000);
	assert_int_equal(s->n_events, 1);
	assert_int_equal(s->reports, 0);
}

/* An answer that is lost: sent again, taken once. */
static void answer_is_lost(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct bytes body;

	phone_settle(p);
	p->hold = true;
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0), 0);
	phone_settle(p);
	assert_int_equal(honest_post(s, p->pending.path,
				 bytes_of(p->pending.body, p->pending.body_len), &body),
		200);
	p->is_pending = false;
	huidu_response(p->h, -ETIMEDOUT, 0, NULL, 0);
	assert_int_equal(phone_status(p).unsent, 1);
	/* What happens meanwhile is behind it in the queue. */
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	p->hold = false;
	phone_run(p, 2 * HOUR);
	assert_int_equal(s->n_events, 2);
	assert_int_equal(phone_status(p).unsent, 0);
}

/* What comes while a request is out is not taken for sent. */
static void meanwhile(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->hold = true;
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0), 0);
	phone_settle(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	phone_answer(p);
	assert_int_equal(phone_status(p).unsent, 1);
	p->hold = false;
	phone_run(p, 2 * HOUR);
	assert_int_equal(p->server->n_events, 2);
}

/* 200 is the acknowledgement, whatever else is wrong with the answer. */
static void garbage_acknowledges(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	p->body = bytes_str("\xff\xff\xff");
	phone_poll(p);
	assert_int_not_equal(phone_status(p).last_error, 0);
	assert_int_equal(phone_status(p).unsent, 0);
	p->body = bytes_of(NULL, 0);
	phone_run(p, 2 * HOUR);
	assert_int_equal(p->server->n_events, 1);
}

static void survives_restart(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_DEFERRED, NULL, 4), 0);
	phone_restart(p);
	assert_int_equal(phone_status(p).unsent, 1);
	phone_run(p, HOUR);
	assert_int_equal(honest_last(p->server, EVENT(DEFERRED))->code, 4);
	phone_restart(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_LEAVE, NULL, 0), 0);
	phone_run(p, 2 * HOUR);
	assert_int_equal(honest_last(p->server, EVENT(LEAVE))->seq, 2);
}

static void not_saved(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->save_error = -ENOSPC;
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), -ENOSPC);
	assert_int_equal(phone_status(p).unsent, 0);
	p->save_error = 0;
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	phone_run(p, 2 * HOUR);
	assert_int_equal(p->server->n_events, 1);
	assert_int_equal(p->server->events[0].seq, 1);
}

/* 32 wait: chatter gives way, oldest first; what changes the picture stays. */
static void full_queue(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	p->status = -ENETUNREACH;
	for (uint32_t i = 1; i <= 40; i++)
		assert_int_equal(
			huidu_report(p->h, i % 4 == 0 ? HUIDU_EVENT_DEFERRED : HUIDU_EVENT_SYMPTOM,
				NULL, i),
			0);
	assert_int_equal(phone_status(p).unsent, 32);
	p->status = 0;
	phone_run(p, 26 * HOUR);
	assert_int_equal(phone_status(p).unsent, 0);
	assert_int_equal(s->n_events, 32);
	assert_int_equal(honest_count(s, EVENT(DEFERRED), NULL), 10);
	assert_int_equal(honest_last(s, EVENT(SYMPTOM))->code, 39);
	for (unsigned i = 1; i < s->n_events; i++)
		assert_true(s->events[i].seq > s->events[i - 1].seq);
	for (unsigned i = 0; i < s->n_events; i++) {
		assert_int_equal(s->events[i].seq, s->events[i].code);
		assert_true(s->events[i].code % 4 == 0 || s->events[i].code > 10);
	}
}

static void full_of_what_matters(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	p->status = -ENETUNREACH;
	for (uint32_t i = 1; i <= 32; i++)
		assert_int_equal(huidu_report(p->h, HUIDU_EVENT_DEFERRED, NULL, i), 0);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), HUIDU_ENOMEM);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0), HUIDU_ENOMEM);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_LEAVE, NULL, 0), 0);
	assert_int_equal(phone_status(p).unsent, 32);
	p->status = 0;
	phone_run(p, 26 * HOUR);
	assert_int_equal(s->n_events, 32);
	assert_int_equal(s->events[0].code, 2);
	assert_int_equal(honest_count(s, EVENT(LEAVE), NULL), 1);
}

static void not_reportable(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, NULL, 0), -EINVAL);
	assert_int_equal(huidu_report(p->h, (enum huidu_event)5, NULL, 0), -EINVAL);
	assert_int_equal(huidu_report(p->h, (enum huidu_event)99, NULL, 0), -EINVAL);
	assert_int_equal(phone_status(p).unsent, 0);
}

/* Before it has an id a device keeps what happens. */
static void before_enrolment(void **state)
{
	struct phone *p = *state;

	p->status = -ENETUNREACH;
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0), 0);
	phone_settle(p);
	p->status = 0;
	phone_run(p, 2 * HOUR);
	assert_int_equal(p->server->n_events, 1);
}

/*
 * A server that is older than the device, or stricter, cannot read one event among many: that one is
 * lost, the others are not, and polls are answered all the while.
 */
static void cannot_be_read(void **state)
{
	static const uint32_t code[] = { 1, 2, 99, 3, 99, 4 };
	struct phone *p = *state;
	struct honest *s = p->server;

	s->unreadable = 99;
	s->next_poll_s = 600;
	phone_settle(p);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(huidu_report(p->h, HUIDU_EVENT_SYMPTOM, NULL, code[i]), 0);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(honest_count(s, EVENT(SYMPTOM), NULL), 4);
	assert_int_equal(honest_count(s, EVENT(INSTALLING), NULL), 1);
	assert_int_equal(phone_status(p).unsent, 0);
	assert_int_equal(phone_status(p).last_error, 0);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(goes_with_the_poll),
		ON_PHONE(urgent_goes_alone),
		ON_PHONE(poll_is_near),
		ON_PHONE(answer_is_lost),
		ON_PHONE(meanwhile),
		ON_PHONE(garbage_acknowledges),
		ON_PHONE(survives_restart),
		ON_PHONE(not_saved),
		ON_PHONE(full_queue),
		ON_PHONE(full_of_what_matters),
		ON_PHONE(not_reportable),
		ON_PHONE(before_enrolment),
		ON_PHONE(cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
