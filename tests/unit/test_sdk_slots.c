/* SPDX-License-Identifier: Apache-2.0 */
/* The state's two slots: whatever one of them holds, the other counts. */
#include "client-sdk/src/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/phone.h"

/* Something is saved, whatever it is. */
static void save(struct phone *p)
{
	unsigned saves = p->saves;

	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	assert_int_equal(p->saves, saves + 1);
}

static struct phone_flash *older(struct phone *p)
{
	return phone_saved(p) == &p->flash[0] ? &p->flash[1] : &p->flash[0];
}

static void in_turns(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	for (unsigned i = 0; i < 6; i++) {
		const struct phone_flash *next = older(p);
		save(p);
		assert_ptr_equal(phone_saved(p), next);
		if (i % 2 == 1)
			phone_restart(p);
		assert_int_equal(phone_status(p).unsent, i + 1);
	}
}

static void zeroed(struct phone_flash *f)
{
	memset(f->bytes, 0, f->len);
}

static void erased(struct phone_flash *f)
{
	memset(f->bytes, 0xff, sizeof(f->bytes));
	f->len = sizeof(f->bytes);
}

static void cut(struct phone_flash *f)
{
	f->len--;
}

static void cut_to_head(struct phone_flash *f)
{
	f->len = 24;
}

static void one_bit(struct phone_flash *f)
{
	f->bytes[f->len / 2] ^= 4;
}

/* A generation that was not written with the rest does not win. */
static void higher(struct phone_flash *f)
{
	memset(f->bytes + 16, 0xff, 8);
}

static void longer(struct phone_flash *f)
{
	put_be32(f->bytes + 12, UINT32_MAX);
}

static void never(struct phone_flash *f)
{
	f->len = 0;
}

static void (*const damages[])(struct phone_flash *f) = { zeroed, erased, cut, cut_to_head, one_bit,
	higher, longer, never };
#define DAMAGES (sizeof(damages) / sizeof(damages[0]))

/* The older is of no use: nothing is lost.  The newer is: what was saved last is. */
static void one_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * DAMAGES; i++) {
		struct phone *p;
		void *at;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		save(p);
		save(p);
		damages[i / 2](i % 2 == 0 ? older(p) : phone_saved(p));
		p->last_logged = 0;
		phone_restart(p);
		assert_int_equal(p->last_logged, 0);
		assert_true(phone_status(p).enrolled);
		assert_int_equal(phone_status(p).unsent, i % 2 == 0 ? 2 : 1);
		/* And goes on: the bad one is written next. */
		save(p);
		save(p);
		phone_restart(p);
		assert_int_equal(phone_status(p).unsent, i % 2 == 0 ? 4 : 3);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Both: it begins as new, says so, and lives. */
static void both_are_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < DAMAGES * DAMAGES; i++) {
		struct phone *p;
		void *at;
		bool as_new = damages[i / DAMAGES] == never && damages[i % DAMAGES] == never;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		save(p);
		damages[i / DAMAGES](&p->flash[0]);
		damages[i % DAMAGES](&p->flash[1]);
		p->last_logged = 0;
		phone_restart(p);
		assert_int_equal(p->last_logged, as_new ? 0 : ERR_CORRUPT);
		assert_false(phone_status(p).enrolled);
		phone_settle(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_true(phone_status(p).enrolled);
		phone_restart(p);
		assert_true(phone_status(p).enrolled);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

static int (*real_read)(void *ctx, unsigned slot, void *out, size_t *len);
static unsigned unreadable; /* bits: slots */

static int reads(void *ctx, unsigned slot, void *out, size_t *len)
{
	return unreadable >> slot & 1 ? -EIO : real_read(ctx, slot, out, len);
}

/* A flash cell that does not answer is a bad slot; a flash that does not is no new phone. */
static void unread(void **state)
{
	struct phone *p = *state;

	real_read = p->platform.state_read;
	p->platform.state_read = reads;
	phone_settle(p);
	save(p);
	for (unreadable = 0; unreadable < 3; unreadable++) {
		phone_restart(p);
		assert_true(phone_status(p).enrolled);
	}
	phone_stop(p);
	assert_false(phone_start(p));
	assert_int_equal(p->init_error, -EIO);
	never(&p->flash[0]);
	unreadable = 2;
	assert_false(phone_start(p));
	assert_int_equal(p->init_error, -EIO);
	unreadable = 0;
	assert_true(phone_start(p));
}

/* A write that ends at any byte leaves the old state or the new, never none. */
static void torn(void **state)
{
	struct phone *p = *state;
	static struct phone_flash before[2], after[2];
	unsigned unsent, slot;
	size_t len;

	phone_settle(p);
	save(p);
	save(p);
	unsent = phone_status(p).unsent;
	memcpy(before, p->flash, sizeof(before));
	slot = older(p) == &p->flash[1];
	save(p);
	memcpy(after, p->flash, sizeof(after));
	len = after[slot].len;
	assert_true(len > 1000);
	for (size_t n = 0; n <= len; n++) {
		memcpy(p->flash, before, sizeof(before));
		memcpy(p->flash[slot].bytes, after[slot].bytes, n);
		if (p->flash[slot].len < n)
			p->flash[slot].len = n;
		phone_restart(p);
		assert_int_equal(phone_status(p).unsent, unsent + (n == len));
		assert_true(phone_status(p).enrolled);
	}
}

/* So does the very first. */
static void first_torn(void **state)
{
	struct phone *p = *state;

	for (size_t n = 0; n < 2000; n += 7) {
		memset(p->flash, 0, sizeof(p->flash));
		p->saves = 0;
		p->die_at = 1;
		p->die_bytes = n;
		phone_stop(p);
		assert_true(phone_start(p));
		p->die_at = 0;
		phone_restart(p);
		phone_settle(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_true(phone_status(p).enrolled);
	}
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(in_turns),
		cmocka_unit_test(one_is_bad),
		cmocka_unit_test(both_are_bad),
		ON_PHONE(unread),
		ON_PHONE(torn),
		ON_PHONE(first_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
