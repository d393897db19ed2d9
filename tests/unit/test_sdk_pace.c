/* SPDX-License-Identifier: Apache-2.0 */
/* When a device polls, and how long it waits after a failure. */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR        3600000u
#define DAY         (24u * HOUR)
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

static uint64_t wait_ms(const struct phone *p)
{
	return p->next_ms - p->clock_ms;
}

/* The server's interval within the device's bounds, give or take a fifth. */
static void interval(void **state)
{
	static const struct {
		uint32_t asked_s, min_s, max_s, want_s;
	} cases[] = {
		{ 3600, 0, 0, 3600 },
		{ 0, 0, 0, 60 },
		{ 1, 0, 0, 60 },
		{ UINT32_MAX, 0, 0, 86400 },
		{ 5, 10, 20, 10 },
		{ 15, 10, 20, 15 },
		{ 25, 10, 20, 20 },
		{ 1, 1, 0, 1 },
		{ 100, 0, 30, 30 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct honest *s = honest_new(PHONE_T0 / 1000);
		struct phone *p = phone_new(s);
		uint64_t want = cases[i].want_s * 1000ull, least = UINT64_MAX, most = 0;
		s->next_poll_s = cases[i].asked_s;
		p->config.poll_min_s = cases[i].min_s;
		p->config.poll_max_s = cases[i].max_s;
		assert_true(phone_start(p));
		for (unsigned k = 0; k < 200; k++) {
			phone_poll(p);
			least = wait_ms(p) < least ? wait_ms(p) : least;
			most = wait_ms(p) > most ? wait_ms(p) : most;
		}
		assert_in_range(least, want * 80 / 100, want * 82 / 100);
		assert_in_range(most, want * 118 / 100, want * 120 / 100);
		phone_free(p);
		honest_free(s);
	}
}

static void backs_off(void **state)
{
	struct phone *p = *state;
	uint64_t want = 60000;

	phone_settle(p);
	p->status = -ENETUNREACH;
	phone_poll(p);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(phone_status(p).last_error, -ENETUNREACH);
		assert_in_range(wait_ms(p), want * 8 / 10, want * 12 / 10);
		phone_sleep(p, wait_ms(p));
		phone_settle(p);
		want = want * 2 < DAY ? want * 2 : DAY;
	}
	p->status = 0;
	honest_publish(p->server);
	phone_poll(p);
	assert_in_range(wait_ms(p), HOUR * 8 / 10, HOUR * 12 / 10);
	p->status = 500;
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_UNREACHABLE);
	assert_in_range(wait_ms(p), 48000, 72000);
}

static void retry_after(void **state)
{
	static const struct {
		uint32_t asked_s;
		uint64_t least, most;
	} cases[] = {
		{ 0, 48000, 72000 },
		{ 10, 48000, 144000 },
		{ 7200, 7200000, 8640000 },
		{ UINT32_MAX, DAY, DAY * 12ull / 10 },
	};
	struct phone *p = *state;
	uint64_t least = UINT64_MAX, most = 0;

	phone_settle(p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p->status = 0;
		phone_poll(p);
		p->status = 503;
		p->retry_after_s = cases[i].asked_s;
		phone_poll(p);
		assert_in_range(wait_ms(p), cases[i].least, cases[i].most);
		assert_int_equal(phone_status(p).last_error, ERR_UNREACHABLE);
	}
	/* Those who were told the same do not come back together. */
	p->retry_after_s = 7200;
	for (unsigned i = 0; i < 100; i++) {
		phone_poll(p);
		least = wait_ms(p) < least ? wait_ms(p) : least;
		most = wait_ms(p) > most ? wait_ms(p) : most;
		p->status = 0;
		phone_poll(p);
		p->status = 503;
	}
	assert_in_range(least, 7200000, 7300000);
	assert_in_range(most, 8500000, 8640000);
	phone_poll(p);
	/* It was for that answer only. */
	p->retry_after_s = 0;
	p->status = -ETIMEDOUT;
	phone_poll(p);
	assert_in_range(wait_ms(p), 2 * 48000, 2 * 72000);
}

/* Who waits, and a phone that is about to switch, say so; a poll that is merely due does not. */
static void urgent(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	assert_false(s->asked.urgent);
	huidu_poll_now(p->h);
	phone_settle(p);
	assert_true(s->asked.urgent);
	phone_sleep(p, wait_ms(p));
	phone_settle(p);
	assert_false(s->asked.urgent);
	/* It was for that try only: what comes later is not hurried. */
	p->status = 503;
	huidu_poll_now(p->h);
	phone_settle(p);
	p->status = 0;
	phone_sleep(p, wait_ms(p));
	phone_settle(p);
	assert_false(s->asked.urgent);
}

/* The ring changes and only a Timestamp came: everything is asked for at once. */
static void ring_changes(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	unsigned full;

	p->config.wish = HUIDU_CORE;
	phone_restart(p);
	phone_settle(p);
	full = s->full_polls;
	phone_poll(p);
	assert_int_equal(s->full_polls, full);
	s->ring = s->director_ring = PB__RING__RING_HONOUR;
	s->ring_why = PB__RING_WHY__RING_WHY_SEATED;
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(s->full_polls, full + 1);
	assert_int_equal(phone_status(p).ring, HUIDU_HONOUR);
	assert_int_equal(phone_status(p).ring_why, HUIDU_RING_SEATED);
	/* A server that does not send it is not asked in a circle. */
	s->ring = PB__RING__RING_STABLE;
	s->snapshot_version = 0;
	honest_tick(s);
	p->requests = 0;
	phone_poll(p);
	assert_in_range(p->requests, 1, 2);
}

/* The phone's clock goes back by years: it does not wait until it has caught up. */
static void clock_goes_back(void **state)
{
	struct phone *p = *state;
	unsigned polls;

	phone_settle(p);
	polls = p->server->polls;
	p->clock_ms -= 300 * (uint64_t)DAY;
	phone_settle(p);
	assert_int_equal(p->server->polls, polls + 1);
	assert_true(wait_ms(p) <= DAY * 12ull / 10);
	/* Nor to enrol again. */
	p->server->known = false;
	phone_poll(p);
	assert_int_equal(p->server->enrolments, 2);
}

static void answers_later(void **state)
{
	struct phone *p = *state;

	p->hold = true;
	phone_settle(p);
	assert_true(p->is_pending);
	phone_sleep(p, HOUR);
	assert_int_equal(phone_step(p), 0); /* nothing is sent twice */
	assert_int_equal(p->requests, 1);
	for (unsigned i = 0; i < 3; i++) {
		phone_answer(p);
		phone_settle(p);
	}
	assert_false(p->is_pending);
	assert_int_equal(p->server->polls, 1);
}

static int refusing_http(void *ctx, const struct huidu_request *request)
{
	(void)ctx;
	(void)request;
	return -ENODEV;
}

static void hook_fails(void **state)
{
	struct phone *p = *state;

	phone_stop(p);
	p->platform.http = refusing_http;
	p->platform.log = NULL; /* it is optional */
	assert_true(phone_start(p));
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, -ENODEV);
	assert_int_equal(p->step_error, -ENODEV);
	assert_in_range(wait_ms(p), 48000, 72000);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interval),
		ON_PHONE(backs_off),
		ON_PHONE(retry_after),
		ON_PHONE(urgent),
		ON_PHONE(ring_changes),
		ON_PHONE(clock_goes_back),
		ON_PHONE(answers_later),
		ON_PHONE(hook_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
