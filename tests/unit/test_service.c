/* SPDX-License-Identifier: Apache-2.0 */
/* The services together, in one process, with a clock set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment.h"
#include "server/store/stage.h"

#define HOUR  3600000ull
#define FLEET 400

static const char *const phone_a[] = { "phone-a" };

struct fleet_sim {
	struct deployment d;
	struct test_device device[FLEET];
};

static void open_fleet(struct fleet_sim *f, const char *profile)
{
	struct deployment_options o = { .profile = profile,
		.lines = "lines:\n  - products: [phone-a]\n"
			 "    rings: {core: 20, honour: 100, dev: 100}\n"
			 "    fill_every: 1m\n" };

	deployment_open(&f->d, &o);
	for (size_t i = 0; i < FLEET; i++)
		assert_int_equal(0,
			device_enrol(&f->d, &f->device[i], "phone-a",
				i < 300 ? RING_CORE : RING_STABLE));
	deployment_run(&f->d, 120000, 60000);
}

static void close_fleet(struct fleet_sim *f)
{
	for (size_t i = 0; i < FLEET; i++)
		device_forget(&f->device[i]);
	deployment_close(&f->d);
}

/* Everybody polls once an hour; who is offered the build installs it at once. */
static void live(struct fleet_sim *f, unsigned hours, const char *build, uint64_t counter,
	unsigned crash_every)
{
	for (unsigned h = 0; h < hours; h++) {
		for (size_t i = 0; i < FLEET; i++) {
			struct test_device *t = &f->device[i];
			bool on_it = strcmp(t->build_id, build) == 0;
			assert_int_equal(0, device_poll(&f->d, t));
			if (t->answer == ANSWER_OFFER)
				assert_int_equal(0, device_install(&f->d, t, build, counter));
			if (on_it && crash_every > 0 && (i + h) % crash_every == 0)
				assert_int_equal(0,
					device_report_one(
						&f->d, t, build, PB__EVENT_KIND__EVENT_CRASH));
		}
		deployment_run(&f->d, HOUR, 60000);
	}
}

static unsigned count_on(const struct fleet_sim *f, const char *build)
{
	unsigned n = 0;

	for (size_t i = 0; i < FLEET; i++)
		n += strcmp(f->device[i].build_id, build) == 0;
	return n;
}

static const struct plan_stage ladder[] = {
	{ RING_CORE, 500000, 0 },
	{ RING_CORE, 1000000, 0 },
	{ RING_HONOUR, 300000, 0 },
	{ RING_HONOUR, 1000000, 0 },
	{ RING_DEV, 1000000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

static void seats_are_exact(void **state)
{
	static struct fleet_sim f;
	unsigned taken[RING__COUNT] = { 0 };

	(void)state;
	open_fleet(&f, "solo");
	for (size_t i = 0; i < FLEET; i++) {
		assert_int_equal(0, device_poll(&f.d, &f.device[i]));
		taken[f.device[i].ring]++;
	}
	assert_int_equal(20, taken[RING_CORE]);
	assert_int_equal(100, taken[RING_HONOUR]);
	assert_int_equal(100, taken[RING_DEV]);
	assert_int_equal(180, taken[RING_STABLE]);
	close_fleet(&f);
}

static const struct line *line_of(const struct fleet_sim *f)
{
	return &f->d.server.registry.lines[0];
}

static void check_line(const struct fleet_sim *f, unsigned core, unsigned honour, unsigned stable)
{
	const struct line *l = line_of(f);

	assert_int_equal(core, atomic_load(&l->devices[RING_CORE]));
	assert_int_equal(honour, atomic_load(&l->devices[RING_HONOUR]));
	assert_int_equal(100, atomic_load(&l->devices[RING_DEV]));
	assert_int_equal(stable, atomic_load(&l->devices[RING_STABLE]));
}

static struct test_device *seated(struct fleet_sim *f, enum ring ring)
{
	for (size_t i = 0; i < FLEET; i++) {
		assert_int_equal(0, device_poll(&f->d, &f->device[i]));
		if (f->device[i].ring == ring)
			return &f->device[i];
	}
	fail();
	return NULL;
}

/* A device that no longer wants what its seat is for keeps nobody from it. */
static void wish_gives_up_seat(void **state)
{
	static struct fleet_sim f;
	struct test_device *out, *down;

	(void)state;
	open_fleet(&f, "solo");
	check_line(&f, 20, 100, 180);
	assert_int_equal(280, atomic_load(&line_of(&f)->waiting)); /* all but those in core */
	out = seated(&f, RING_CORE);
	out->wish = RING_STABLE;
	assert_int_equal(0, device_poll(&f.d, out));
	assert_int_equal(RING_STABLE, out->ring);
	check_line(&f, 19, 100, 181);
	assert_int_equal(280, atomic_load(&line_of(&f)->waiting));
	down = seated(&f, RING_CORE);
	down->wish = RING_HONOUR;
	assert_int_equal(0, device_poll(&f.d, down));
	assert_int_equal(RING_STABLE, down->ring);
	check_line(&f, 18, 100, 182);
	assert_int_equal(281, atomic_load(&line_of(&f)->waiting));
	/* Both seats in core go to others, and so do those that these had: every ring is full again. */
	deployment_run(&f.d, 120000, 60000);
	check_line(&f, 20, 100, 180);
	assert_int_equal(0, device_poll(&f.d, out));
	assert_int_equal(RING_STABLE, out->ring);
	assert_int_equal(0, device_poll(&f.d, down));
	assert_int_not_equal(RING_CORE, down->ring); /* honour, or one that waits for it outside */
	/* The counts are those of the store. */
	deployment_restart(&f.d);
	check_line(&f, 20, 100, 180);
	close_fleet(&f);
}

/* Who leaves the ring leaves the arm it was in there, and is offered what stable is. */
static void wish_leaves_arms(void **state)
{
	static struct fleet_sim f;
	struct test_plan p;
	struct test_device *t;
	struct store_txn txn;
	struct evidence_device e;
	struct stage_key key;

	(void)state;
	open_fleet(&f, "solo");
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(0,
		deployment_roll_out(
			&f.d, "1.0", phone_a, 1, plan_of(&p, ladder, 6, 2 * HOUR, 10000)));
	key = (struct stage_key){ deployment_rollout(&f.d, "1.0")->no, 0 };
	deployment_run(&f.d, HOUR, 60000); /* admission has begun */
	for (t = f.device; t < f.device + FLEET; t++) {
		assert_int_equal(0, device_poll(&f.d, t));
		if (t->ring == RING_CORE && t->answer == ANSWER_OFFER)
			break;
	}
	assert_true(t < f.device + FLEET);
	store_begin(f.d.server.store, &txn, false);
	assert_true(arm_get(&txn, key, t->id, &e));
	assert_false(e.gone);
	store_abort(&txn);
	t->wish = RING_DEV;
	assert_int_equal(0, device_poll(&f.d, t));
	assert_int_equal(ANSWER_UP_TO_DATE, t->answer);
	store_begin(f.d.server.store, &txn, false);
	assert_true(arm_get(&txn, key, t->id, &e));
	assert_true(e.gone);
	store_abort(&txn);
	close_fleet(&f);
}

static void good_build_reaches_all(void **state)
{
	static struct fleet_sim f;
	struct test_plan p;

	(void)state;
	open_fleet(&f, "team");
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(0,
		deployment_roll_out(
			&f.d, "1.0", phone_a, 1, plan_of(&p, ladder, 6, 2 * HOUR, 10000)));
	live(&f, 40, "1.0", 1, 0);
	assert_int_equal(ROLLOUT_COMPLETE, deployment_rollout(&f.d, "1.0")->state);
	assert_int_equal(FLEET, count_on(&f, "1.0"));
	close_fleet(&f);
}

static void bad_build_is_stopped(void **state)
{
	static struct fleet_sim f;
	struct test_plan p;
	const struct rollout *r;

	(void)state;
	open_fleet(&f, "solo");
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "2.0", 2, "two"));
	assert_int_equal(0,
		deployment_roll_out(
			&f.d, "2.0", phone_a, 1, plan_of(&p, ladder, 6, 6 * HOUR, 10000)));
	live(&f, 40, "2.0", 2, 4);
	r = deployment_rollout(&f.d, "2.0");
	/* Halted, or paused before it came to that: in either case on what its devices told. */
	assert_true(r->state == ROLLOUT_HALTED || r->state == ROLLOUT_PAUSED);
	assert_non_null(strstr(r->why, "crashes in "));
	assert_true(rollout_ring(r) <= RING_HONOUR);
	assert_true(count_on(&f, "2.0") <= 120);
	close_fleet(&f);
}

/* The core likes 1.0 while everybody is given 1.1, the repair: it stays so. */
static void newer_build_keeps_its_ring(void **state)
{
	static const struct plan_stage inside_out[] = { { RING_CORE, 1000000, 0 },
		{ RING_STABLE, 1000000, 0 } };
	static const struct plan_stage repair[] = { { RING_STABLE, 1000, 0 },
		{ RING_STABLE, 1000000, 0 } };
	static struct fleet_sim f;
	struct test_plan p;

	(void)state;
	open_fleet(&f, "solo");
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "1.1", 2, "two"));
	assert_int_equal(0,
		deployment_roll_out(
			&f.d, "1.0", phone_a, 1, plan_of(&p, inside_out, 2, 2 * HOUR, 0)));
	assert_int_equal(0,
		deployment_roll_out(&f.d, "1.1", phone_a, 1, plan_of(&p, repair, 2, 2 * HOUR, 0)));
	for (unsigned h = 0; h < 20; h++) {
		for (size_t i = 0; i < FLEET; i++) {
			struct test_device *t = &f.device[i];
			if (t->ring != RING_CORE && h > 0)
				continue;
			assert_int_equal(0, device_poll(&f.d, t));
			if (t->ring == RING_CORE && t->answer == ANSWER_OFFER)
				assert_int_equal(0, device_install(&f.d, t, "1.0", 1));
		}
		deployment_run(&f.d, HOUR, 60000);
	}
	assert_int_equal(ROLLOUT_SUPERSEDED, deployment_rollout(&f.d, "1.0")->state);
	assert_string_equal(
		"1.1, which is newer, is open in stable", deployment_rollout(&f.d, "1.0")->why);
	assert_int_not_equal(ROLLOUT_SUPERSEDED, deployment_rollout(&f.d, "1.1")->state);
	assert_true(rollout_is_live(deployment_rollout(&f.d, "1.1")));
	deployment_restart(&f.d);
	assert_int_equal(ROLLOUT_SUPERSEDED, deployment_rollout(&f.d, "1.0")->state);
	close_fleet(&f);
}

static void restart_goes_on(void **state)
{
	static struct fleet_sim f;
	struct test_plan p;
	uint32_t step;

	(void)state;
	open_fleet(&f, "solo");
	assert_int_equal(0, deployment_publish(&f.d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(0,
		deployment_roll_out(
			&f.d, "1.0", phone_a, 1, plan_of(&p, ladder, 6, 2 * HOUR, 10000)));
	live(&f, 5, "1.0", 1, 0);
	step = deployment_rollout(&f.d, "1.0")->step;
	assert_true(step > 0);
	deployment_restart(&f.d);
	assert_int_equal(step, deployment_rollout(&f.d, "1.0")->step);
	live(&f, 40, "1.0", 1, 0);
	assert_int_equal(ROLLOUT_COMPLETE, deployment_rollout(&f.d, "1.0")->state);
	assert_int_equal(FLEET, count_on(&f, "1.0"));
	close_fleet(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seats_are_exact),
		cmocka_unit_test(wish_gives_up_seat),
		cmocka_unit_test(wish_leaves_arms),
		cmocka_unit_test(good_build_reaches_all),
		cmocka_unit_test(bad_build_is_stopped),
		cmocka_unit_test(newer_build_keeps_its_ring),
		cmocka_unit_test(restart_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
