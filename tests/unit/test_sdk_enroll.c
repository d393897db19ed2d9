/* SPDX-License-Identifier: Apache-2.0 */
/* Getting an id, losing it, and giving it up. */
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

/* Its answer may name the first poll's time; without one that is at once. */
static void give_poll_time(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	r->has_next_poll_s = r->has_device_id;
	r->next_poll_s = UINT32_MAX;
}

static void interval_of_enrolment(void **state)
{
	struct phone *p = *state;

	p->server->edit_enrol = give_poll_time;
	phone_settle(p);
	assert_int_equal(p->server->enrolments, 1);
	assert_int_equal(p->server->polls, 0);
	assert_in_range(wait_ms(p), DAY * 8ull / 10, DAY * 12ull / 10);
}

static void enrolling_backs_off(void **state)
{
	struct phone *p = *state;

	p->status = 500;
	phone_settle(p);
	assert_int_equal(phone_status(p).phase, HUIDU_ENROLLING);
	phone_run(p, DAY);
	assert_in_range(p->requests, 9, 13);
	assert_int_equal(p->server->enrolments, 0);
	p->status = 0;
	phone_settle(p);
	assert_int_equal(p->server->enrolments, 0); /* still waits */
	p->clock_ms -= 300 * (uint64_t)DAY;
	honest_publish(p->server);
	phone_settle(p);
	assert_int_equal(p->server->enrolments, 1);
}

static void short_key(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	if (r->has_report_key)
		r->report_key.len = 31;
}

static void no_key(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	r->has_report_key = 0;
}

static void no_epoch(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	r->has_epoch = 0;
}

static void no_id(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	r->has_device_id = 0;
}

static void short_challenge(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	if (r->has_challenge)
		r->challenge.len = 31;
}

static void no_challenge(struct honest *s, Pb__EnrollReply *r)
{
	(void)s;
	r->has_challenge = 0;
}

static void other_challenge(struct honest *s, Pb__EnrollReply *r)
{
	static uint8_t other[32];

	(void)s;
	if (r->has_challenge)
		r->challenge = wire_data(other, sizeof(other));
}

static void bad_enrolments(void **state)
{
	static void (*const edits[])(struct honest *, Pb__EnrollReply *) = { short_key, no_key,
		no_epoch, no_id, short_challenge, no_challenge, other_challenge };

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct honest *s = honest_new(PHONE_T0 / 1000);
		struct phone *p = phone_new(s);
		s->edit_enrol = edits[i];
		assert_true(phone_start(p));
		phone_settle(p);
		assert_false(phone_status(p).enrolled);
		assert_int_not_equal(phone_status(p).last_error, 0);
		assert_int_not_equal(phone_status(p).last_error, ERR_BAD_MAC);
		assert_int_equal(s->polls, 0);
		s->edit_enrol = NULL;
		phone_run(p, 2 * HOUR); /* refused with 403 it waits for more than one */
		assert_true(phone_status(p).enrolled);
		assert_true(s->polls > 0);
		phone_free(p);
		honest_free(s);
	}
	(void)state;
}

/* The server has forgotten us: a new id, once a poll interval, with what waits. */
static void unknown_again(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct huidu_status first, second;

	phone_settle(p);
	first = phone_status(p);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_SYMPTOM, NULL, 3), 0);
	s->known = false;
	phone_sleep(p, HOUR);
	phone_poll(p);
	second = phone_status(p);
	assert_int_equal(s->enrolments, 2);
	assert_true(second.enrolled);
	assert_memory_not_equal(first.device_id, second.device_id, 16);
	assert_int_equal(honest_count(s, EVENT(SYMPTOM), "b1"), 1);
	/* And again, at once: not before the interval is over. */
	s->known = false;
	phone_poll(p);
	assert_int_equal(phone_status(p).phase, HUIDU_ENROLLING);
	assert_int_equal(phone_status(p).last_error, ERR_BAD_MAC);
	assert_int_equal(s->enrolments, 2);
	phone_restart(p);
	phone_run(p, 5 * 60000);
	assert_int_equal(s->enrolments, 3);
	s->known = false;
	phone_poll(p);
	phone_run(p, HOUR / 2);
	assert_int_equal(s->enrolments, 3);
	phone_run(p, HOUR);
	assert_int_equal(s->enrolments, 4);
}

static void unknown_for_ever(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->only = "/v1/poll";
	p->status = 401;
	phone_run(p, 2 * DAY);
	assert_in_range(p->server->enrolments, 20, 50);
}

/* A new id is another bucket: what was chosen under the old one is chosen anew. */
static void unknown_with_candidate(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	p->cut_after = 1000;
	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).phase, HUIDU_FETCHING);
	s->offers[0].upper = s->offers[0].approved_upper = 0;
	honest_publish(s);
	s->known = false;
	p->only = "/v1/poll";
	p->status = 401;
	phone_poll(p);
	p->status = 0;
	assert_int_equal(phone_status(p).phase, HUIDU_ENROLLING);
	phone_run(p, 2 * HOUR);
	assert_string_equal(phone_status(p).build_id, "");
}

/* Consent withdrawn: no id is kept; given again: another id. */
static void consent(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct huidu_status st = phone_status(p);
	static const uint8_t none[16];

	phone_settle(p);
	p->config.reports = 0;
	phone_restart(p);
	st = phone_status(p);
	assert_false(st.enrolled);
	assert_memory_equal(st.device_id, none, 16);
	phone_poll(p);
	assert_int_equal(s->anonymous_polls, 1);
	p->config.reports = 1;
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(s->enrolments, 2);
}

/* ---- known from before ---- */

static uint32_t taken_before;

static void give_last_seq(struct honest *s, Pb__EnrollReply *r)
{
	r->has_last_seq = r->has_device_id;
	r->last_seq = taken_before;
	if (r->has_last_seq)
		s->last_seq = taken_before;
}

/*
 * A phone that lost its memory but not its key: what it noted before it enrolled again follows what the
 * server has.  A number beyond what a device could ever have reached is not believed.
 */
static void numbers_go_on(void **state)
{
	static const struct {
		uint32_t taken,
			first; /* number of the first event sent; 0: the server takes none */
	} cases[] = { { 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 4 }, { 90, 91 },
		{ UINT32_MAX / 2, UINT32_MAX / 2 + 1 }, { UINT32_MAX / 2 + 1, 0 },
		{ UINT32_MAX, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(phone_set_up(state), 0);
		struct phone *p = *state;
		struct honest *s = p->server;
		s->edit_enrol = give_last_seq;
		taken_before = cases[i].taken;
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
		phone_run(p, DAY);
		assert_int_equal(phone_status(p).unsent, 0);
		assert_int_equal(s->n_events, cases[i].first > 0 ? 3 : 0);
		assert_int_equal(s->events[0].seq, cases[i].first);
		assert_int_equal(phone_tear_down(state), 0);
	}
}

static uint8_t voucher[64] = { 1, 2, 3, 64 };
static uint8_t attested[32];
static size_t attestation_len;

static int attest(void *ctx, const uint8_t challenge[32], void *out, size_t *len)
{
	(void)ctx;
	assert_int_equal(*len, 3072);
	memcpy(attested, challenge, sizeof(attested));
	memset(out, 0x77, 3072);
	*len = attestation_len;
	return 0;
}

/* What a server that does not take everybody asks for. */
static void credentials(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	char token[128];

	memset(token, 't', 127);
	token[127] = '\0';
	attestation_len = 3072;
	p->config.token = token;
	p->config.voucher = voucher;
	p->platform.attest = attest;
	phone_restart(p);
	phone_step(p);
	phone_settle(p);
	assert_true(phone_status(p).enrolled);
	assert_string_equal(s->shown.token, token);
	assert_int_equal(s->shown.voucher_len, 64);
	assert_memory_equal(s->shown.voucher, voucher, 64);
	assert_int_equal(s->shown.attestation_len, 3072);
	assert_int_equal(s->shown.attestation[3071], 0x77);
	assert_memory_equal(attested, s->challenge, 32);
}

static int cannot_attest(void *ctx, const uint8_t challenge[32], void *out, size_t *len)
{
	(void)ctx;
	(void)challenge;
	(void)out;
	(void)len;
	return -ENODEV;
}

static int attests_too_much(void *ctx, const uint8_t challenge[32], void *out, size_t *len)
{
	(void)ctx;
	(void)challenge;
	(void)out;
	*len = 3073;
	return 0;
}

static void no_attestation(void **state)
{
	static int (*const hooks[])(
		void *, const uint8_t *, void *, size_t *) = { cannot_attest, attests_too_much };
	static const int want[] = { -ENODEV, ERR_TOO_BIG };
	struct phone *p = *state;

	for (size_t i = 0; i < 2; i++) {
		p->platform.attest = hooks[i];
		phone_restart(p);
		phone_settle(p);
		assert_int_equal(p->last_logged, want[i]);
		assert_false(phone_status(p).enrolled);
	}
	attestation_len = 0;
	p->platform.attest = attest;
	phone_restart(p);
	phone_settle(p);
	assert_true(phone_status(p).enrolled);
	assert_int_equal(p->server->shown.attestation_len, 0);
}

/* Said so, asked again an hour later at the soonest, and in when the server has been told. */
static void closed(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	s->closed = true;
	s->token = "right";
	p->config.token = "wrong";
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_CLOSED);
	assert_int_equal(phone_status(p).phase, HUIDU_ENROLLING);
	assert_true(p->next_ms - p->clock_ms >= HOUR);
	p->requests = 0;
	phone_run(p, 24 * HOUR);
	assert_in_range(p->requests, 5, 24);
	assert_int_equal(s->polls, 0);
	s->token = "wrong";
	phone_run(p, 24 * HOUR);
	assert_true(phone_status(p).enrolled);
	assert_int_equal(phone_status(p).last_error, 0);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(credentials, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(no_attestation, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(closed, phone_set_up, phone_tear_down),
		ON_PHONE(interval_of_enrolment),
		ON_PHONE(enrolling_backs_off),
		cmocka_unit_test(bad_enrolments),
		ON_PHONE(unknown_again),
		ON_PHONE(unknown_for_ever),
		ON_PHONE(unknown_with_candidate),
		ON_PHONE(consent),
		cmocka_unit_test(numbers_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
