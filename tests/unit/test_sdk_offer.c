/* SPDX-License-Identifier: Apache-2.0 */
/* Which offer a device takes, and which it passes over. */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR 3600000u

static struct phone *start(void)
{
	struct phone *p = phone_new(honest_new(PHONE_T0 / 1000));

	p->slot.rollback_index = 5;
	assert_true(phone_start(p));
	phone_settle(p);
	return p;
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

static struct honest_build *new_build(struct honest *s)
{
	struct honest_build *b = honest_add_build(s, "b2", 2, 3000);

	b->rollback_index = 5;
	return b;
}

/* Not for this device: a hold, and no error. */
static void by_bucket(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->upper = 0;
}

static void by_lower(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->lower = o->upper = PPM;
}

static void by_build(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->from_build_id = "b0";
}

static void by_counter(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->build->release_counter = 1;
}

static void by_name(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->build->build_id = "b1";
}

static void by_action(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 3;
}

static void by_halt(struct honest *s, struct honest_offer *o)
{
	s->halted[s->n_halted++] = o->build->build_id;
}

static void by_no_way_back(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 2;
	o->build->release_counter = 0;
}

static void by_index_changed(struct honest *s, struct honest_offer *o)
{
	by_no_way_back(s, o);
	o->build->rollback_from = "b1";
	o->build->rollback_index = 6;
}

static void by_way_back_forward(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 2;
	o->build->rollback_from = "b1";
}

static void each_hold(void **state)
{
	static void (*const holds[])(struct honest *, struct honest_offer *) = { by_bucket,
		by_lower, by_build, by_counter, by_name, by_action, by_halt, by_no_way_back,
		by_index_changed, by_way_back_forward };

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct phone *p = start();
		struct honest *s = p->server;
		struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);
		print_message("# hold %zu\n", i);
		holds[i](s, o);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		honest_publish(s);
		phone_run(p, 3 * HOUR);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(phone_status(p).answer, HUIDU_STAGED_OUT);
		assert_string_equal(p->slot.build_id, "b1");
		assert_int_equal(s->n_events, 0);
		end(p);
	}
	(void)state;
}

static void first_that_fits(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b4 = honest_add_build(s, "b4", 4, 3000);

	(void)state;
	b4->rollback_index = 5;
	honest_add_offer(s, new_build(s), 3, PPM);
	honest_add_offer(s, honest_add_build(s, "b3", 3, 3000), 3, PPM)->build->rollback_index = 5;
	honest_add_offer(s, b4, 3, 0);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b3");
	end(p);
}

/* The share that is open is the device's bucket, to the part in a million. */
static void own_bucket(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);
	uint32_t bucket = bucket_of(s->roles[ENVELOPE_ROOT].keyid[0], s->device_id, HONEST_PRODUCT);
	const struct {
		uint32_t lower, upper;
		const char *want;
	} cases[] = {
		{ 0, bucket, "" },
		{ 0, bucket + 1, "b2" },
		{ bucket, bucket + 1, "b2" },
		{ bucket + 1, PPM, "" },
	};

	(void)state;
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		o->lower = cases[i].lower;
		o->upper = o->approved_upper = cases[i].upper;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_string_equal(phone_status(p).build_id, cases[i].want);
	}
	end(p);
}

/* Who polls without an id is in the last bucket. */
static void anonymous(void **state)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);
	struct honest_offer *o;

	(void)state;
	p->config.reports = 0;
	s->ring_why = PB__RING_WHY__RING_WHY_ANONYMOUS;
	assert_true(phone_start(p));
	o = honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	o->upper = o->approved_upper = PPM - 1;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	assert_int_equal(phone_status(p).ring_why, HUIDU_RING_ANONYMOUS);
	o->upper = o->approved_upper = PPM;
	honest_publish(s);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(s->enrolments, 0);
	assert_int_equal(s->n_events, 0);
	assert_int_equal(s->reports, 0);
	assert_int_equal(s->anonymous_polls, s->polls);
	end(p);
}

/* A fix goes to those on the build it names, whatever their bucket. */
static void fix(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_offer *o = honest_add_offer(s, new_build(s), 3, 0);

	(void)state;
	o->upper = PPM;
	o->from_build_id = "b1";
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	end(p);
}

static void way_back(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b0 = honest_add_build(s, "b0", 0, 3000);
	struct honest_offer *o = honest_add_offer(s, b0, 3, PPM);

	(void)state;
	o->action = 2;
	b0->rollback_index = 5;
	b0->rollback_from = "b1";
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b0");
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_BOOT_OK, "b0"), 1);
	end(p);
}

/* A way back whose Targets cannot be trusted is refused like any other. */
static void way_back_forged(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b0 = honest_add_build(s, "b0", 0, 3000);
	struct honest_offer *o = honest_add_offer(s, b0, 3, PPM);

	(void)state;
	o->action = 2;
	b0->rollback_index = 5;
	b0->rollback_from = "b1";
	s->signatures[ENVELOPE_TARGETS] = 1;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_BELOW_THRESHOLD);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	end(p);
}

/* A newer offer takes the place of one that was chosen; withdrawing it leaves none. */
static void superseded(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b3 = honest_add_build(s, "b3", 3, 4000);

	(void)state;
	b3->rollback_index = 5;
	honest_add_offer(s, new_build(s), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b2");
	honest_add_offer(s, b3, 3, PPM);
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b3");
	honest_withdraw(s);
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "");
	end(p);
}

static const char *odd_path;

static void with_path(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_TARGETS)
		((Pb__Targets *)message)->targets[0]->path = odd_path;
}

/* The path in Targets names nothing here: the file is known by its hash. */
static void odd_paths(void **state)
{
	static const char *const paths[] = { "../../etc/passwd", "/etc/passwd", "", ".", "..",
		"a/../../b", "C:\\windows", "%2e%2e%2f", "?#", "state" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct phone *p = start();
		struct honest *s = p->server;
		char want[128] = "/v1/artifact/";
		odd_path = paths[i];
		s->edit = with_path;
		honest_add_offer(s, new_build(s), 3, PPM);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		honest_publish(s);
		p->cut_after = 1; /* stays at the file */
		phone_poll(p);
		hex_encode(want + strlen(want), s->builds[0].sha256, SHA256_LEN);
		assert_string_equal(p->last_path, want);
		end(p);
	}
}

/* Nobody renewed its signatures for 180 days, and then somebody did: the same build, the next versions. */
static void renewed(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b = new_build(s);
	struct honest_offer *o = honest_add_offer(s, b, 3, PPM);

	(void)state;
	phone_sleep(p, 181ull * 24 * HOUR);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");

	s->answer = PB__ANSWER__ANSWER_OFFER;
	b->version = 2;
	o->plan_version = 2;
	b->expires_s = o->plan_expires_s = s->now_s + 180ull * 24 * HOUR / 1000;
	honest_publish(s);
	phone_poll(p);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(phone_status(p).last_error, 0);
	end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_hold),
		cmocka_unit_test(first_that_fits),
		cmocka_unit_test(own_bucket),
		cmocka_unit_test(anonymous),
		cmocka_unit_test(fix),
		cmocka_unit_test(way_back),
		cmocka_unit_test(way_back_forged),
		cmocka_unit_test(superseded),
		cmocka_unit_test(odd_paths),
		cmocka_unit_test(renewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
