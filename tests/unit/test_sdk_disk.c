/* SPDX-License-Identifier: Apache-2.0 */
/* The file on the disk: gone on with after a restart, and not trusted. */
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

static void goes_on_after_restart(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	for (unsigned i = 1; i <= 2; i++) {
		phone_restart(p);
		assert_int_equal(phone_status(p).fetched, 0);
		phone_settle(p);
		assert_int_equal(p->server->range_from, i * 20000);
	}
	installs(p);
	assert_int_equal(p->server->fetches, 3);
}

/* The device comes back when all is there, but has not seen it in this life. */
static void restart_when_complete(void **state)
{
	struct phone *p = *state;

	p->apply_later = true;
	offer(p);
	assert_int_equal(p->applies, 1);
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(p->applies, 2);
	assert_int_equal(p->server->fetches, 1);
	phone_apply_ends(p, 0);
	installs(p);
}

static void disk_rots_when_complete(void **state)
{
	struct phone *p = *state;

	p->apply_later = true;
	offer(p);
	p->file[100] ^= 1;
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_BAD_HASH);
	assert_int_equal(p->applies, 1);
	p->apply_later = false;
	installs(p);
	assert_int_equal(p->applies, 2);
}

/* What is on the disk is not trusted: it is hashed. */
static void disk_rots(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	p->file[100] ^= 1;
	phone_restart(p);
	phone_settle(p);
	p->cut_after = 0;
	p->clock_ms = p->next_ms;
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_BAD_HASH);
	assert_int_equal(p->applies, 0);
	installs(p);
	assert_int_equal(p->server->range_from, 0);
}

static void disk_is_shorter(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	p->file_len = 12345;
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(p->server->range_from, 12345);
	installs(p);
}

static void disk_is_longer(void **state)
{
	struct phone *p = *state;

	p->apply_later = true;
	offer(p);
	memset(p->file + LENGTH, 9, 1000);
	p->file_len += 1000;
	phone_restart(p);
	phone_settle(p);
	p->file_len = LENGTH;
	assert_int_equal(p->server->fetches, 1);
	phone_apply_ends(p, 0);
	installs(p);
}

static void disk_is_unreadable(void **state)
{
	struct phone *p = *state;

	p->cut_after = 20000;
	offer(p);
	p->read_error = -EIO;
	phone_restart(p);
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, -EIO);
	p->clock_ms = p->next_ms;
	phone_settle(p);
	assert_int_equal(p->server->range_from, 0);
	installs(p);
}

static void disk_is_full(void **state)
{
	struct phone *p = *state;

	p->file_error = -ENOSPC;
	offer(p);
	assert_int_equal(phone_status(p).last_error, -ENOSPC);
	phone_run(p, HOUR);
	assert_int_equal(phone_status(p).phase, HUIDU_FETCHING);
	p->file_error = 0;
	installs(p);
}

/* The file of another build is not gone on with. */
static void other_build(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	p->cut_after = 20000;
	offer(p);
	honest_add_offer(s, honest_add_build(s, "b3", 3, LENGTH), 3, PPM);
	honest_publish(s);
	phone_restart(p);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b3");
	assert_int_equal(s->range_from, 0);
	phone_run(p, 6 * HOUR);
	assert_string_equal(p->slot.build_id, "b3");
	assert_memory_equal(p->file, s->builds[1].file, LENGTH);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(goes_on_after_restart),
		ON_PHONE(restart_when_complete),
		ON_PHONE(disk_rots),
		ON_PHONE(disk_rots_when_complete),
		ON_PHONE(disk_is_shorter),
		ON_PHONE(disk_is_longer),
		ON_PHONE(disk_is_unreadable),
		ON_PHONE(disk_is_full),
		ON_PHONE(other_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
