/* SPDX-License-Identifier: Apache-2.0 */
/* What single devices did goes when the rollout is over; what was counted stays. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "deployment.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/store/check.h"
#include "server/store/novel.h"

#define HOUR  3600000ull
#define DAY   (24 * HOUR)
#define FLEET 40

static const char *const phone_a[] = { "phone-a" };

struct fleet_sim {
	struct deployment d;
	struct test_device device[FLEET];
	struct test_plan plan;
};

static void open_fleet(struct fleet_sim *f)
{
	struct deployment_options o = { .profile = "solo" };

	deployment_open(&f->d, &o);
	for (size_t i = 0; i < FLEET; i++)
		assert_int_equal(device_enrol(&f->d, &f->device[i], "phone-a", RING_STABLE), 0);
}

static void close_fleet(struct fleet_sim *f)
{
	for (size_t i = 0; i < FLEET; i++)
		device_forget(&f->device[i]);
	deployment_close(&f->d);
}

static void roll_out(struct fleet_sim *f, const char *build, uint64_t counter, uint64_t soak_ms)
{
	static const struct plan_stage half = { RING_STABLE, 500000, 0 };
	const Pb__PlanSpec *spec = plan_of(&f->plan, &half, 1, soak_ms, 0);

	f->plan.spec.watch_ms = HOUR;
	assert_int_equal(deployment_publish(&f->d, "phone-a", build, counter, build), 0);
	assert_int_equal(deployment_roll_out(&f->d, build, phone_a, 1, spec), 0);
}

/* Everybody polls once an hour, installs what is offered, and some crash with their own signature. */
static void live(struct fleet_sim *f, unsigned hours, const char *build, uint64_t counter)
{
	for (unsigned h = 0; h < hours; h++) {
		for (size_t i = 0; i < FLEET; i++) {
			struct test_device *t = &f->device[i];
			assert_int_equal(device_poll(&f->d, t), 0);
			if (t->answer == ANSWER_OFFER)
				assert_int_equal(device_install(&f->d, t, build, counter), 0);
			if (i % 8 == 0)
				assert_int_equal(device_report_one(&f->d, t, t->build_id,
							 PB__EVENT_KIND__EVENT_CRASH),
					0);
		}
		deployment_run(&f->d, HOUR, 10 * 60000);
	}
}

static uint64_t count(const struct fleet_sim *f, enum store_table table)
{
	struct store_txn t;
	uint64_t n;

	store_begin(f->d.server.store, &t, false);
	n = store_count(&t, table);
	store_abort(&t);
	return n;
}

static struct evidence evidence_of(const struct fleet_sim *f, const struct rollout *r)
{
	struct stage_key key = { r->no, (uint8_t)r->step };
	struct store_txn t;
	struct evidence e;

	store_begin(f->d.server.store, &t, false);
	assert_true(stage_get(&t, key, f->d.server.registry.products[0].number, &e));
	store_abort(&t);
	return e;
}

static void found(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	print_error("%s: %s\n", store_table_str(f->table), f->says);
}

static void check_whole(const struct fleet_sim *f)
{
	struct store_check c = { .found = found };
	struct store_txn t;

	store_begin(f->d.server.store, &t, false);
	assert_int_equal(store_check(&t, &c), 0);
	store_abort(&t);
}

/* Hash of all rows: what every verdict is computed from. */
static void rows_hash(const struct fleet_sim *f, uint8_t out[SHA256_LEN])
{
	struct buf all = { 0 };
	struct store_cursor c;
	struct store_txn t;
	struct bytes text;

	store_begin(f->d.server.store, &t, false);
	store_foreach(&c, &t, STORE_ROW, bytes_of(NULL, 0)) {
		buf_add(&all, c.key.p, c.key.n);
		buf_add(&all, c.value.p, c.value.n);
	}
	store_abort(&t);
	text = buf_bytes(&all);
	assert_true(all.len > 0);
	assert_int_equal(crypto_sha256(&text, 1, out), 0);
	buf_release(&all);
}

static void test_due(void **state)
{
	Pb__PlanSpec spec = PB__PLAN_SPEC__INIT;
	struct rollout r = { .spec = &spec, .since_ms = 1000 };
	static const struct {
		enum rollout_state state;
		uint64_t watch_ms, want;
	} row[] = {
		{ ROLLOUT_PROPOSED, 5, UINT64_MAX },
		{ ROLLOUT_APPROVED, 5, UINT64_MAX },
		{ ROLLOUT_RUNNING, 5, UINT64_MAX },
		{ ROLLOUT_PAUSED, 5, UINT64_MAX },
		{ ROLLOUT_HALTED, 5, 1100 },
		{ ROLLOUT_HALTED, 500, 1500 },
		{ ROLLOUT_COMPLETE, 5, 1005 },
		{ ROLLOUT_SUPERSEDED, 5, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		r.state = row[i].state;
		spec.watch_ms = row[i].watch_ms;
		assert_true(retention_due_ms(&r, 100) == row[i].want);
	}
}

/* Kept for a while, then gone; approved after that it goes on, and its devices enter anew. */
static void test_halted(void **state)
{
	struct fleet_sim *f = calloc(1, sizeof(*f));
	uint8_t before[SHA256_LEN], after[SHA256_LEN];
	const struct rollout *r;
	struct evidence e, old;
	uint64_t purged = metric_get(METRIC_PURGED);

	(void)state;
	open_fleet(f);
	f->d.config.retention_ms = 3 * DAY;
	roll_out(f, "1.0", 1, 20 * DAY);
	live(f, 6, "1.0", 1);
	assert_true(count(f, STORE_ARM) > 15);
	assert_int_equal(deployment_act(&f->d, "1.0", PB__ACT__ACT_HALT), 0);
	deployment_run(&f->d, HOUR, HOUR);
	r = deployment_rollout(&f->d, "1.0");
	old = evidence_of(f, r);
	rows_hash(f, before);
	assert_true(old.risk[0][STREAM_CRASH] > 0);
	deployment_run(&f->d, 3 * DAY - 2 * HOUR, HOUR);
	assert_true(count(f, STORE_ARM) > 15); /* it may still go on as it was */
	assert_int_equal(metric_get(METRIC_PURGED), purged);
	deployment_run(&f->d, 2 * HOUR, HOUR);
	assert_int_equal(count(f, STORE_ARM), 0);
	assert_int_equal(count(f, STORE_HIT), 0);
	assert_true(metric_get(METRIC_PURGED) >= purged + 15);
	rows_hash(f, after);
	assert_memory_equal(before, after, SHA256_LEN);
	e = evidence_of(f, r);
	assert_memory_equal(e.total, old.total, sizeof(e.total));
	assert_memory_equal(e.entered, old.entered, sizeof(e.entered));
	assert_int_equal(e.risk[0][STREAM_CRASH], 0);

	check_whole(f);

	/* It goes on: each device once, and as many at risk as have entered since. */
	assert_int_equal(deployment_approve(&f->d, "1.0", 0), 0);
	assert_int_equal(deployment_rollout(&f->d, "1.0")->state, ROLLOUT_RUNNING);
	for (size_t i = 0; i < FLEET; i += 2) { /* half of them are new phones */
		device_forget(&f->device[i]);
		assert_int_equal(device_enrol(&f->d, &f->device[i], "phone-a", RING_STABLE), 0);
	}
	live(f, 6, "1.0", 1);
	e = evidence_of(f, r);
	assert_int_equal(count(f, STORE_ARM),
		e.entered[ARM_CANARY] + e.entered[ARM_CONTROL] - old.entered[ARM_CANARY] -
			old.entered[ARM_CONTROL]);
	assert_true(count(f, STORE_ARM) > 0);
	check_whole(f);
	close_fleet(f);
	free(f);
}

static bool is_complete(const struct fleet_sim *f, const char *name)
{
	return deployment_rollout(&f->d, name)->state == ROLLOUT_COMPLETE;
}

static void test_complete_and_superseded(void **state)
{
	struct fleet_sim *f = calloc(1, sizeof(*f));
	const struct rollout *r;

	(void)state;
	open_fleet(f);
	roll_out(f, "1.0", 1, 2 * DAY);
	live(f, 3, "1.0", 1);
	assert_int_equal(deployment_rollout(&f->d, "1.0")->state, ROLLOUT_RUNNING);
	assert_true(count(f, STORE_ARM) > 0);
	/* Another one takes the ring. */
	roll_out(f, "2.0", 2, HOUR);
	assert_int_equal(deployment_rollout(&f->d, "1.0")->state, ROLLOUT_SUPERSEDED);
	deployment_run(&f->d, 60000, 60000);
	assert_int_equal(count(f, STORE_ARM), 0);
	for (unsigned h = 0; h < 30 && !is_complete(f, "2.0"); h++)
		live(f, 1, "2.0", 2);
	assert_true(is_complete(f, "2.0"));
	assert_true(count(f, STORE_ARM) > 0); /* watched */
	r = deployment_rollout(&f->d, "2.0");
	deployment_run(&f->d, r->since_ms + r->spec->watch_ms - f->d.now_ms - 60000, HOUR);
	assert_true(count(f, STORE_ARM) > 0);
	deployment_run(&f->d, 120000, 60000);
	assert_int_equal(count(f, STORE_ARM), 0);
	close_fleet(f);
	free(f);
}

/* Many: some thousand a tick, through a restart in the middle, and nobody else's. */
static void test_steps(void **state)
{
	static const uint8_t signature[SIGNATURE_LEN] = { 7 };
	struct fleet_sim *f = calloc(1, sizeof(*f));
	struct evidence_device d = { 0 };
	struct store_txn t;
	uint64_t left, kept;
	unsigned ticks = 0;
	uint32_t no;

	(void)state;
	open_fleet(f);
	roll_out(f, "1.0", 1, 2 * DAY);
	no = deployment_rollout(&f->d, "1.0")->no;
	store_begin(f->d.server.store, &t, true);
	for (uint32_t i = 0; i < 10000; i++) {
		uint8_t id[ID_LEN] = { 1 };
		put_be32(id + 4, i);
		arm_put(&t, (struct stage_key){ no, (uint8_t)(i % 3) }, id, &d);
		if (i % 2 == 0)
			(void)hit_put(
				&t, (struct stage_key){ no, (uint8_t)(i % 3) }, signature, id);
		if (i < 100)
			arm_put(&t, (struct stage_key){ no + 1000, 0 }, id, &d);
	}
	assert_int_equal(store_commit(&t), 0);
	kept = 100;
	assert_int_equal(deployment_act(&f->d, "1.0", PB__ACT__ACT_HALT), 0);
	deployment_run(&f->d, 91 * DAY - HOUR, 91 * DAY);
	for (left = 15000 + kept; left > kept; ticks++) {
		uint64_t now;
		if (ticks == 2)
			deployment_restart(&f->d);
		deployment_tick(&f->d, 1000);
		now = count(f, STORE_ARM) + count(f, STORE_HIT);
		assert_true(now < left && left - now <= 8000);
		/* Never a hit without its arm. */
		assert_true(count(f, STORE_HIT) == 0 || count(f, STORE_ARM) >= 10000 + kept);
		left = now;
	}
	assert_true(ticks >= 2 && ticks <= 5);
	assert_int_equal(left, kept);
	deployment_tick(&f->d, 1000);
	assert_int_equal(count(f, STORE_ARM), kept);
	close_fleet(f);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_halted),
		cmocka_unit_test(test_complete_and_superseded),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
