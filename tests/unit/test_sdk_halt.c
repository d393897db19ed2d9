/* SPDX-License-Identifier: Apache-2.0 */
/* Halts, pauses and the end of offers reach a device in every phase. */
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

static void offer_b2(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

/* Brings a phone into the phase, with b2 under way. */
static void to_fetching(struct phone *p)
{
	p->cut_after = 20000;
	phone_settle(p);
	offer_b2(p->server);
	phone_poll(p);
}

static void to_applying(struct phone *p)
{
	p->apply_later = true;
	phone_settle(p);
	offer_b2(p->server);
	phone_poll(p);
}

static void to_confirming(struct phone *p)
{
	p->only = "/v1/report";
	p->status = 500;
	phone_settle(p);
	offer_b2(p->server);
	phone_poll(p);
	p->status = 0;
}

static void to_waiting(struct phone *p)
{
	phone_settle(p);
	offer_b2(p->server);
	p->server->answer = PB__ANSWER__ANSWER_ADMISSION;
	phone_poll(p);
	p->server->answer = PB__ANSWER__ANSWER_OFFER;
}

static const struct stop_at {
	const char *name;
	void (*go)(struct phone *p);
	enum huidu_phase phase;
} stops[] = {
	{ "waiting", to_waiting, HUIDU_IDLE },
	{ "fetching", to_fetching, HUIDU_FETCHING },
	{ "applying", to_applying, HUIDU_APPLYING },
	{ "confirming", to_confirming, HUIDU_CONFIRMING },
};
#define STOPS (sizeof(stops) / sizeof(stops[0]))

/* Where offers go on for so long. */
static struct phone *at_for(size_t i, uint64_t offers_for_s)
{
	struct phone *p = phone_new(honest_new(PHONE_T0 / 1000));

	p->server->offers_for_s = offers_for_s;
	assert_true(phone_start(p));
	stops[i].go(p);
	assert_string_equal(phone_status(p).build_id, "b2");
	assert_int_equal(phone_status(p).phase, stops[i].phase);
	p->cut_after = 0;
	return p;
}

static struct phone *at(size_t i)
{
	return at_for(i, 6 * 3600);
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

static void stays_dropped(struct phone *p)
{
	assert_string_equal(phone_status(p).build_id, "");
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	if (p->apply_later)
		phone_apply_ends(p, 0);
	phone_run(p, 5 * HOUR);
	assert_int_equal(p->activations, 0);
	assert_string_equal(phone_status(p).build_id, "");
	phone_restart(p);
	phone_run(p, 5 * HOUR);
	assert_int_equal(p->activations, 0);
}

static void halt(struct honest *s)
{
	s->halted[s->n_halted++] = "b2";
	honest_publish(s); /* a forgetful server: the offer is still there */
}

static void halted_at_each(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at(i);
		print_message("# %s\n", stops[i].name);
		halt(p->server);
		phone_poll(p);
		assert_int_equal(p->last_logged, ERR_BUILD_HALTED);
		stays_dropped(p);
		end(p);
	}
	(void)state;
}

/* The halt comes in metadata that is too old for anything else. */
static void halted_by_expired(void **state)
{
	static uint64_t honest_for[3];

	for (size_t i = 0; i < STOPS * 3; i++) {
		struct phone *p = at(i / 3);
		struct honest *s = p->server;
		uint64_t *for_s[] = { &s->timestamp_for_s, &s->snapshot_for_s, &s->director_for_s };
		uint64_t version = s->timestamp_version;
		honest_for[0] = *for_s[i % 3];
		*for_s[i % 3] = 0;
		halt(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
		assert_string_equal(phone_status(p).build_id, "");
		/* Nothing else of it was taken: an honest answer of that version is. */
		*for_s[i % 3] = honest_for[0];
		s->n_halted = 0;
		s->timestamp_version = version;
		honest_publish(s);
		phone_poll(p);
		/* The offer is back with the approval it had: not good enough. */
		assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
		assert_int_equal(p->activations, 0);
		end(p);
	}
	(void)state;
}

/* Lifting a halt takes an approval newer than the one the build had. */
static void lifted(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at(i);
		struct honest *s = p->server;
		halt(s);
		phone_poll(p);
		if (p->apply_later)
			phone_apply_ends(p, 0);
		p->apply_later = false;
		s->n_halted = 0;
		honest_publish(s);
		phone_run(p, 5 * HOUR);
		assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
		assert_int_equal(p->activations, 0);
		assert_int_equal(honest_count(s, EVENT(REFUSED), "b2"), 1);
		s->offers[0].plan_version = 2;
		honest_publish(s);
		phone_run(p, 5 * HOUR);
		assert_string_equal(p->slot.build_id, "b2");
		end(p);
	}
	(void)state;
}

/* A device that had not chosen the build remembers its halt all the same. */
static void halted_unseen(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	s->halted[s->n_halted++] = "b2";
	honest_publish(s);
	phone_run(p, HOUR);
	s->n_halted = 0;
	offer_b2(s);
	phone_run(p, 5 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
	s->offers[0].plan_version = 2;
	honest_publish(s);
	phone_run(p, 5 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
}

/* Also when it hears of it from expired metadata only. */
static void halted_unseen_expired(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	s->timestamp_for_s = 0;
	halt(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	phone_restart(p);
	s->timestamp_for_s = 86400;
	s->n_halted = 0;
	offer_b2(s);
	phone_run(p, 5 * HOUR);
	assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
	assert_string_equal(p->slot.build_id, "b1");
}

/* The last 16 are remembered; one that is lifted is forgotten. */
static void many_halts(void **state)
{
	static char ids[20][4];
	struct phone *p = *state;
	struct honest *s = p->server;

	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "h%u", i);
		s->halted[s->n_halted++] = ids[i];
	}
	honest_publish(s);
	phone_run(p, HOUR);
	s->n_halted = 0;
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_add_build(s, "h0", 2, 3000);
	for (unsigned i = 1; i < 8; i++)
		honest_add_build(s, ids[12 + i], 2, 3000);
	/* The first is forgotten; a newer approval brings the others back, for good. */
	for (unsigned i = 0; i < 3 * 8; i++) {
		bool welcome = i >= 8 || i == 0;
		honest_withdraw(s);
		honest_add_offer(s, &s->builds[i % 8], 3, PPM)->plan_version = i / 8 == 1 ? 2 : 1;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, welcome ? 0 : ERR_BUILD_HALTED);
	}
}

/* What is in the other slot is not what it was when another build was put here. */
static void flashed(void **state)
{
	struct phone *p = *state;

	to_confirming(p);
	assert_int_equal(p->applies, 1);
	p->slot = (struct phone_slot){ "b0", 0, 0 };
	phone_restart(p);
	phone_run(p, 2 * HOUR);
	assert_int_equal(p->applies, 2);
	assert_string_equal(p->slot.build_id, "b2");
}

/* Not now: everything waits, nothing is lost. */
static void paused_at_each(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at(i);
		struct honest *s = p->server;
		s->answer = PB__ANSWER__ANSWER_PAUSED;
		phone_poll(p);
		if (p->apply_later)
			phone_apply_ends(p, 0);
		phone_run(p, 10 * HOUR);
		assert_string_equal(phone_status(p).build_id, "b2");
		assert_int_equal(phone_status(p).answer, HUIDU_WAIT_PAUSED);
		assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
		assert_int_equal(p->activations, 0);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		phone_run(p, 3 * HOUR);
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(p->applies, 1);
		end(p);
	}
	(void)state;
}

/*
 * Control is ill and moves offers_until on no more; and what has expired is not acted
 * on.
 */
static void offers_end_at_each(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at(i);
		struct honest *s = p->server;
		s->offers_for_s = 0;
		honest_tick(s);
		phone_poll(p);
		if (p->apply_later)
			phone_apply_ends(p, 0);
		phone_run(p, 10 * HOUR);
		assert_int_equal(p->activations, 0);
		assert_string_equal(phone_status(p).build_id, "b2");
		s->offers_for_s = 6 * 3600;
		phone_run(p, 3 * HOUR);
		assert_string_equal(p->slot.build_id, "b2");
		end(p);
	}
	(void)state;
}

static void unreachable_at_each(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at(i);
		p->only = "/v1/poll";
		p->status = -ETIMEDOUT;
		phone_sleep(p, 6 * HOUR + 1000);
		if (p->apply_later)
			phone_apply_ends(p, 0);
		/* The file may come, but offers_until has passed. */
		phone_run(p, 30 * HOUR);
		assert_int_equal(p->activations, 0);
		assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
		p->status = 0;
		phone_run(p, 30 * HOUR);
		assert_string_equal(p->slot.build_id, "b2");
		end(p);
	}
	(void)state;
}

/* Offers would go on for days, but the newest Timestamp is a day old. */
static void stale_at_each(void **state)
{
	for (size_t i = 0; i < STOPS; i++) {
		struct phone *p = at_for(i, 10 * 86400);
		p->only = "/v1/poll";
		p->status = -ETIMEDOUT;
		phone_sleep(p, 24 * HOUR + 1000);
		if (p->apply_later)
			phone_apply_ends(p, 0);
		phone_run(p, 30 * HOUR);
		assert_int_equal(p->activations, 0);
		assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
		p->status = 0;
		phone_run(p, 30 * HOUR);
		assert_string_equal(p->slot.build_id, "b2");
		end(p);
	}
	(void)state;
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halted_at_each),
		cmocka_unit_test(halted_by_expired),
		cmocka_unit_test(lifted),
		ON_PHONE(halted_unseen),
		ON_PHONE(halted_unseen_expired),
		ON_PHONE(many_halts),
		ON_PHONE(flashed),
		cmocka_unit_test(paused_at_each),
		cmocka_unit_test(offers_end_at_each),
		cmocka_unit_test(unreachable_at_each),
		cmocka_unit_test(stale_at_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
