/* SPDX-License-Identifier: Apache-2.0 */
/* From the verified file to the proven build, and each way that can end. */
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

static struct honest_build *offer_b2(struct honest *s)
{
	struct honest_build *b = honest_add_build(s, "b2", 2, 50000);

	honest_add_offer(s, b, 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	return b;
}

/* INSTALLING reaches the server before the switch, as the confirming poll does. */
static void announced_first(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	unsigned polls;

	phone_settle(p);
	offer_b2(s);
	p->only = "/v1/report";
	p->status = 500;
	polls = s->polls;
	phone_poll(p);
	assert_int_equal(p->applies, 1);
	assert_int_equal(p->activations, 0);
	assert_int_equal(s->polls, polls + 2); /* one more, just before the switch */
	assert_true(s->asked.urgent);
	assert_int_equal(phone_status(p).phase, HUIDU_CONFIRMING);
	assert_int_equal(honest_count(s, EVENT(INSTALLING), "b2"), 0);
	p->status = 0;
	phone_run(p, HOUR / 2);
	assert_int_equal(p->activations, 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLING), "b2"), 1);
}

/* When that takes long, the build may have been halted: asked again. */
static void confirmed_again(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	unsigned polls;

	phone_settle(p);
	s->next_poll_s = 86400;
	offer_b2(s);
	p->only = "/v1/report";
	p->status = 500;
	phone_poll(p);
	polls = s->polls;
	phone_sleep(p, 10 * 60000);
	p->status = 0;
	s->halted[s->n_halted++] = "b2";
	honest_withdraw(s);
	honest_publish(s);
	phone_settle(p);
	assert_int_equal(s->polls, polls + 1);
	assert_int_equal(p->activations, 0);
	assert_string_equal(phone_status(p).build_id, "");
}

static void apply_fails(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer_b2(s);
	p->apply_error = -ENOSPC;
	phone_run(p, 5 * HOUR);
	assert_int_equal(p->applies, 1);
	assert_int_equal(p->activations, 0);
	assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), "b2"), 1);
	assert_int_equal(honest_last(s, EVENT(INSTALL_FAILED))->code, ENOSPC);
	assert_string_equal(phone_status(p).build_id, "");
	/* Nor after a restart. */
	p->apply_error = 0;
	phone_restart(p);
	phone_run(p, 5 * HOUR);
	assert_int_equal(p->applies, 1);
	/* Another build is. */
	honest_add_offer(s, honest_add_build(s, "b3", 3, 4000), 3, PPM);
	honest_publish(s);
	phone_run(p, 5 * HOUR);
	assert_string_equal(p->slot.build_id, "b3");
}

static void apply_ends_later(void **state)
{
	struct phone *p = *state;

	offer_b2(p->server);
	p->apply_later = true;
	phone_run(p, 3 * HOUR);
	assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
	assert_int_equal(p->applies, 1);
	phone_apply_ends(p, 0);
	phone_apply_ends(p, -EIO); /* nobody asked */
	phone_run(p, HOUR);
	assert_string_equal(p->slot.build_id, "b2");
}

static void apply_fails_later(void **state)
{
	struct phone *p = *state;

	offer_b2(p->server);
	p->apply_later = true;
	phone_run(p, HOUR);
	phone_apply_ends(p, -EIO);
	phone_run(p, 3 * HOUR);
	assert_int_equal(honest_count(p->server, EVENT(INSTALL_FAILED), "b2"), 1);
	assert_string_equal(p->slot.build_id, "b1");
}

static void activate_fails(void **state)
{
	struct phone *p = *state;

	offer_b2(p->server);
	p->activate_error = -EBUSY;
	phone_run(p, 3 * HOUR);
	assert_int_equal(p->activations, 1);
	assert_int_equal(honest_count(p->server, EVENT(INSTALL_FAILED), "b2"), 1);
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	phone_restart(p);
	phone_run(p, 3 * HOUR);
	assert_int_equal(honest_count(p->server, EVENT(BOOT_FAILED), NULL), 0);
}

static void never_came_up(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer_b2(s);
	p->never_comes_up = true;
	phone_run(p, 5 * HOUR);
	assert_int_equal(p->activations, 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_FAILED), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLED), NULL), 0);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), NULL), 0);
}

static void fall_back(struct phone *p)
{
	struct phone_slot b2 = p->slot;

	phone_stop(p);
	p->slot = p->other;
	p->other = b2;
	assert_true(phone_start(p));
}

/* It started, and the platform gave it up before it proved itself. */
static void rolled_back_unproved(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer_b2(s);
	p->sick = true;
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(phone_status(p).phase, HUIDU_PROVING);
	assert_int_equal(honest_count(s, EVENT(INSTALLED), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), NULL), 0);
	fall_back(p);
	phone_run(p, 5 * HOUR);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_FAILED), NULL), 0);
	assert_int_equal(p->activations, 1);
	assert_string_equal(p->slot.build_id, "b1");
}

static void rolled_back_proved(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer_b2(s);
	phone_run(p, 3 * HOUR);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	phone_restart(p);
	phone_run(p, HOUR);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(INSTALLED), "b2"), 1);
	fall_back(p);
	phone_run(p, 5 * HOUR);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), "b2"), 1);
	assert_int_equal(p->activations, 1);
}

/* Somebody put a third build on the phone: no verdict on ours. */
static void third_build(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer_b2(s);
	p->sick = true;
	phone_run(p, 3 * HOUR);
	p->slot = (struct phone_slot){ "b9", 9, 0 };
	phone_restart(p);
	phone_run(p, 3 * HOUR);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), NULL), 0);
	assert_int_equal(honest_count(s, EVENT(BOOT_FAILED), NULL), 0);
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
}

/*
 * While a build proves itself no other is taken, and its rollback index does not bind
 * yet.
 */
static void proving(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct honest_build *b2 = offer_b2(s);

	b2->rollback_index = 7;
	honest_publish(s);
	p->sick = true;
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	honest_add_offer(s, honest_add_build(s, "b3", 3, 4000), 3, PPM);
	honest_publish(s);
	phone_run(p, 5 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_string_equal(phone_status(p).build_id, "b3"); /* its index 0 is allowed yet */
	p->sick = false;
	assert_int_equal(huidu_boot_ok(p->h), 0);
	assert_int_equal(huidu_boot_ok(p->h), 0);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_ROLLBACK);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	assert_string_equal(p->slot.build_id, "b2");
}

static void eight_failures(void **state)
{
	static const char *const ids[] = { "x1", "x2", "x3", "x4", "x5", "x6", "x7" };
	struct phone *p = *state;
	struct honest *s = p->server;

	p->apply_error = -EIO;
	for (unsigned i = 0; i < 7; i++) {
		honest_withdraw(s);
		honest_add_offer(s, honest_add_build(s, ids[i], 10 + i, 1000), 3, PPM);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		honest_publish(s);
		phone_run(p, 2 * HOUR);
		assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), ids[i]), 1);
	}
	for (unsigned i = 0; i < 7; i++) {
		honest_withdraw(s);
		honest_add_offer(s, &s->builds[i], 3, PPM);
		honest_publish(s);
		phone_run(p, 2 * HOUR);
		assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), ids[i]), 1);
	}
}

/* A clock that stands at its very beginning is a time like any other. */
static void clock_at_zero(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	phone_stop(p);
	p->skew_ms = -(int64_t)p->clock_ms;
	assert_true(phone_start(p));
	offer_b2(p->server);
	phone_poll(p);
	assert_int_equal(p->activations, 1);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(announced_first),
		ON_PHONE(confirmed_again),
		ON_PHONE(apply_fails),
		ON_PHONE(apply_ends_later),
		ON_PHONE(apply_fails_later),
		ON_PHONE(activate_fails),
		ON_PHONE(never_came_up),
		ON_PHONE(rolled_back_unproved),
		ON_PHONE(rolled_back_proved),
		ON_PHONE(third_build),
		ON_PHONE(proving),
		ON_PHONE(eight_failures),
		ON_PHONE(clock_at_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
