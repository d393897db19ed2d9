/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A phone that dies at any of its saves, before or after the bytes are safe, or whose
 * flash fails there, ends where an untroubled one does.
 */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR        3600000u
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

static struct phone *fresh(void)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);

	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	p->cut_after = 30000;
	return p;
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

/* From the first start to the proven build. */
static void life(struct phone *p)
{
	if (!phone_start(p))
		fail();
	if (p->dead)
		phone_restart(p);
	phone_run(p, 10 * HOUR);
	/* Saved or not, it dies before it knows: says it again. */
	while (huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0) != 0)
		phone_restart(p);
	phone_run(p, 2 * HOUR);
}

/* How many saves an untroubled life takes. */
static unsigned saves(void)
{
	struct phone *p = fresh();
	unsigned n;

	life(p);
	assert_string_equal(p->slot.build_id, "b2");
	n = p->saves;
	end(p);
	return n;
}

static void check(const struct phone *p, bool switched)
{
	const struct honest *s = p->server;
	unsigned failed = honest_count(s, EVENT(BOOT_FAILED), "b2");

	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	assert_int_equal(phone_status(p).unsent, 0);
	assert_in_range(honest_count(s, EVENT(ALIVE), NULL), 1, 2);
	assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), NULL), 0);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), NULL), 0);
	assert_true(honest_count(s, EVENT(DOWNLOADED), "b2") == 1);
	assert_true(honest_count(s, EVENT(INSTALLING), "b2") == 1);
	for (unsigned i = 1; i < s->n_events; i++)
		assert_true(s->events[i].seq > s->events[i - 1].seq);
	if (switched) {
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(failed, 0);
		assert_int_equal(honest_count(s, EVENT(INSTALLED), "b2"), 1);
		assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	} else {
		/*
		 * It died between the decision to switch and the switch: as if the new
		 * build had never come up.
		 */
		assert_string_equal(p->slot.build_id, "b1");
		assert_int_equal(failed, 1);
	}
}

static void die_at_each_save(void **state)
{
	unsigned n = saves(), unswitched = 0;

	(void)state;
	assert_true(n > 10);
	for (unsigned i = 0; i < 3 * n; i++) {
		struct phone *p = fresh();
		bool switched;
		p->die_at = i / 3 + 1;
		p->die_after = i % 3 == 2;
		p->die_bytes = i % 3 * 1000; /* none, or the slot is torn */
		life(p);
		switched = strcmp(p->slot.build_id, "b2") == 0;
		unswitched += !switched;
		check(p, switched);
		end(p);
	}
	assert_int_equal(unswitched, 1);
}

/* The n-th save and the next few fail, without a restart. */
static int failing_save(void *ctx, unsigned slot, const void *bytes, size_t len);

static struct {
	unsigned at, times;
	int (*save)(void *ctx, unsigned slot, const void *bytes, size_t len);
} trouble;

static int failing_save(void *ctx, unsigned slot, const void *bytes, size_t len)
{
	struct phone *p = ctx;

	if (p->saves + 1 >= trouble.at && trouble.times > 0) {
		trouble.times--;
		return -ENOSPC;
	}
	return trouble.save(ctx, slot, bytes, len);
}

static void fail_at_each_save(void **state)
{
	unsigned n = saves();

	(void)state;
	for (unsigned i = 1; i <= n; i++) {
		struct phone *p = fresh();
		trouble.save = p->platform.state_write;
		trouble.at = i;
		trouble.times = 3;
		p->platform.state_write = failing_save;
		/* The last is huidu_report()'s own, which says so. */
		if (!phone_start(p))
			fail();
		phone_run(p, 10 * HOUR);
		while (huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0) != 0)
			;
		phone_run(p, 10 * HOUR);
		check(p, true);
		end(p);
	}
}

/* A phone on which nothing can be saved installs nothing, and is not busy for ever. */
static void no_flash(void **state)
{
	struct phone *p = fresh();

	(void)state;
	p->save_error = -EROFS;
	assert_true(phone_start(p));
	phone_run(p, 48 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	assert_int_equal(p->server->n_events, 0);
	assert_int_equal(phone_status(p).last_error, -EROFS);
	assert_true(p->requests < 200);
	end(p);
}

static void unreadable_flash(void **state)
{
	struct phone *p = fresh();

	(void)state;
	p->load_error = -EIO;
	assert_false(phone_start(p));
	assert_int_equal(p->init_error, -EIO);
	end(p);
}

/* Restarts at random moments, too. */
static void restless(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct phone *p = fresh();
		assert_true(phone_start(p));
		p->cut_after = 9000;
		for (unsigned k = 0; k < 400; k++) {
			random = random * 1664525u + 1013904223u;
			(void)phone_step(p); /* kept in step_error */
			if (p->restarting || (random >> 16) % 4 == 0)
				phone_restart(p);
			if (p->next_ms > p->clock_ms)
				p->clock_ms = p->next_ms;
			if ((random >> 20) % 8 == 0)
				honest_publish(p->server);
		}
		phone_run(p, 10 * HOUR);
		assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
		phone_run(p, 2 * HOUR);
		check(p, true);
		end(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(die_at_each_save),
		cmocka_unit_test(fail_at_each_save),
		cmocka_unit_test(no_flash),
		cmocka_unit_test(unreadable_flash),
		cmocka_unit_test(restless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
