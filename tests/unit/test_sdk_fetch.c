/* SPDX-License-Identifier: Apache-2.0 */
/* The file: in pieces, over broken connections, and never more than was signed. */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR        3600000u
#define LENGTH      50000u
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

/*
 * A phone for which b2 is on offer; it has polled, and the first fetch has been tried.
 */
static void offer(struct phone *p)
{
	struct honest *s = p->server;

	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, LENGTH), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
}

static void installs(struct phone *p)
{
	phone_run(p, 6 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_memory_equal(p->file, p->server->builds[0].file, LENGTH);
	assert_int_equal(honest_count(p->server, EVENT(DOWNLOADED), "b2"), 1);
	assert_int_equal(honest_count(p->server, EVENT(INSTALL_FAILED), NULL), 0);
}

static void goes_on(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	assert_int_equal(phone_status(p).fetched, 20000);
	assert_int_equal(phone_status(p).length, LENGTH);
	assert_int_equal(phone_status(p).phase, HUIDU_FETCHING);
	/* Not at once, and from where it was. */
	assert_in_range(p->next_ms - p->clock_ms, 48000, 72000);
	p->clock_ms = p->next_ms;
	phone_settle(p);
	assert_int_equal(p->server->range_from, 20000);
	assert_int_equal(phone_status(p).fetched, 40000);
	/* Progress was made: no longer a wait than before. */
	assert_in_range(p->next_ms - p->clock_ms, 48000, 72000);
	installs(p);
	assert_int_equal(p->server->fetches, 3);
}

/* Signed anew with less to it, under the same hash: what is there counts for nothing. */
static void becomes_shorter(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	p->cut_after = 20000;
	offer(p);
	p->cut_after = 0;
	s->builds[0].length = 10000;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(s->range_from, 0);
	assert_int_equal(p->file_len, 10000);
	assert_int_equal(phone_status(p).last_error, ERR_BAD_HASH);
	s->builds[0].length = LENGTH;
	honest_publish(s);
	phone_poll(p);
	installs(p);
}

static void wrong_hash(void **state)
{
	struct phone *p = *state;

	p->server->flip_file = 1;
	offer(p);
	assert_int_equal(phone_status(p).last_error, ERR_BAD_HASH);
	assert_int_equal(p->applies, 0);
	p->server->flip_file = 0;
	installs(p);
	assert_int_equal(p->server->range_from, 0);
}

static void wrong_hash_twice(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	s->flip_file = 1;
	offer(p);
	phone_restart(p); /* counted across restarts */
	phone_run(p, 6 * HOUR);
	/* Told once, and not tried again for long. */
	assert_int_equal(s->fetches, 2);
	assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), NULL), 0);
	assert_int_equal(honest_count(s, EVENT(REFUSED), "b2"), 1);
	assert_int_equal(honest_last(s, EVENT(REFUSED))->code, -ERR_BAD_HASH);
	phone_run(p, 72 * HOUR);
	assert_in_range(s->fetches, 4, 6);
	assert_int_equal(honest_count(s, EVENT(REFUSED), "b2"), 1);
	assert_int_equal(p->applies, 0);
	/* The build is no worse for who stood in between: when he is gone, it comes. */
	s->flip_file = 0;
	honest_publish(s);
	phone_run(p, 30 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
}

static void too_long(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	p->extra = 1;
	offer(p);
	assert_int_equal(phone_status(p).last_error, ERR_TOO_BIG);
	assert_true(p->file_len <= LENGTH);
	phone_run(p, 6 * HOUR);
	assert_int_equal(s->fetches, 2);
	assert_int_equal(honest_count(s, EVENT(REFUSED), "b2"), 1);
	assert_int_equal(honest_last(s, EVENT(REFUSED))->code, -ERR_TOO_BIG);
	assert_int_equal(p->applies, 0);
}

/*
 * A server that knows no ranges sends all of it again, and it is taken from the start.
 */
static void no_ranges(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	p->ignores_range = true;
	p->cut_after = 0;
	installs(p);
	assert_int_equal(p->server->fetches, 2);
}

static void beyond_the_end(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	p->only = "/v1/artifact";
	p->status = 416;
	p->clock_ms = p->next_ms;
	phone_settle(p);
	assert_int_equal(phone_status(p).fetched, 0);
	p->status = 0;
	p->cut_after = 0;
	installs(p);
	assert_int_equal(p->server->range_from, 0);
}

static void not_there(void **state)
{
	static const int statuses[] = { 404, 500, 503, 403, 200, 302, -ECONNREFUSED };
	struct phone *p = *state;
	unsigned before;

	p->only = "/v1/artifact";
	p->status = 404;
	offer(p);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		p->status = statuses[i];
		p->clock_ms = p->next_ms;
		phone_settle(p);
		assert_int_equal(phone_status(p).phase, HUIDU_FETCHING);
		assert_true(p->next_ms - p->clock_ms >= 48000);
	}
	/* Tried more and more seldom, once a day in the end; polls go on. */
	phone_run(p, 48 * HOUR);
	before = p->requests - p->server->polls;
	phone_run(p, 96 * HOUR);
	assert_in_range(p->requests - p->server->polls - before, 3, 5);
	p->status = 0;
	phone_run(p, 24 * HOUR);
	installs(p);
}

static void asked_to_wait(void **state)
{
	struct phone *p = *state;

	p->server->next_poll_s = 86400;
	p->only = "/v1/artifact";
	p->status = 503;
	p->retry_after_s = 1800;
	offer(p);
	assert_in_range(p->next_ms - p->clock_ms, 1800000, 2160000);
}

/* During a long download polls go on; a halt ends it. */
static void polls_meanwhile(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	unsigned polls;

	p->hold = true;
	s->next_poll_s = 600;
	phone_settle(p); /* each answer is given by hand from here on */
	while (p->is_pending) {
		phone_answer(p);
		phone_settle(p);
	}
	honest_add_offer(s, honest_add_build(s, "b2", 2, LENGTH), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	huidu_poll_now(p->h);
	phone_settle(p);
	phone_answer(p);
	phone_settle(p);
	assert_true(p->is_pending && p->pending.stream);
	polls = s->polls;
	phone_sleep(p, 800000);
	phone_answer(p); /* the first piece is taken, then a poll is due */
	assert_int_equal(phone_status(p).fetched, 1000);
	assert_int_equal(phone_status(p).last_error, 0);
	p->hold = false;
	phone_settle(p);
	assert_int_equal(s->polls, polls + 2); /* and one to confirm */
	assert_int_equal(s->fetches, 2);
	assert_int_equal(s->range_from, 1000);
	assert_true(p->restarting);
}

static void one_byte_at_a_time(void **state)
{
	struct phone *p = *state;

	p->piece = 1;
	offer(p);
	installs(p);
}

/* Too much is too much, whoever notices, whatever the transport then says. */
static void too_long_by_hand(void **state)
{
	struct phone *p = *state;
	static const uint8_t zeros[LENGTH + 1];

	phone_settle(p);
	honest_add_offer(p->server, honest_add_build(p->server, "b2", 2, LENGTH), 3, PPM);
	p->server->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(p->server);
	phone_step(p); /* nothing is due */
	huidu_poll_now(p->h);
	phone_step(p);
	p->hold = true;
	phone_step(p);
	assert_true(p->is_pending && p->pending.stream);
	assert_int_equal(p->pending.max_response, LENGTH);
	assert_int_equal(huidu_data(p->h, 200, zeros, sizeof(zeros)), ERR_TOO_BIG);
	assert_int_equal(huidu_data(p->h, 200, zeros, 1), ERR_TOO_BIG);
	huidu_response(p->h, -ECONNRESET, 0, NULL, 0);
	assert_int_equal(phone_status(p).last_error, ERR_TOO_BIG);
	phone_sleep(p, 72000);
	phone_step(p);
	huidu_response(p->h, HUIDU_ETOOBIG, 0, NULL, 0);
	assert_int_equal(phone_status(p).last_error, ERR_TOO_BIG);
	assert_int_equal(phone_status(p).fetched, 0);
	assert_int_equal(p->file_len, 0);
}

static void answers_out_of_turn(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	assert_int_equal(huidu_data(p->h, 200, "x", 1), -EINVAL);
	huidu_response(p->h, 200, 0, "x", 1);
	huidu_applied(p->h, 0);
	assert_int_equal(phone_status(p).last_error, 0);
	offer(p);
	installs(p);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(goes_on),
		ON_PHONE(becomes_shorter),
		ON_PHONE(wrong_hash),
		ON_PHONE(wrong_hash_twice),
		ON_PHONE(too_long),
		ON_PHONE(no_ranges),
		ON_PHONE(beyond_the_end),
		ON_PHONE(not_there),
		ON_PHONE(asked_to_wait),
		ON_PHONE(polls_meanwhile),
		ON_PHONE(one_byte_at_a_time),
		ON_PHONE(too_long_by_hand),
		ON_PHONE(answers_out_of_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
