/* SPDX-License-Identifier: Apache-2.0 */
/* After a device was erased nothing says that it ever was; what it told is still counted. */
#include "unit.h"

#include <stdio.h>

#include "authority_world.h"
#include "rows.h"
#include "server/service/poll.h"
#include "server/store/check.h"
#include "server/store/device.h"
#include "server/store/novel.h"

#define HOUR    3600000ull
#define DEVICES 24u

static struct deployment d;
static struct test_device devices[DEVICES];
static const char *const products[] = { "phone-a" };
static const struct plan_stage ladder[] = { { RING_CORE, 500000, 0 }, { RING_CORE, 1000000, 0 } };

static const Pb__AdminReply *ask_erase(const uint8_t id[ID_LEN])
{
	char hex[2 * ID_LEN + 1];

	d.arena.used = 0;
	return world_ask(&d, PB__QUERY_KIND__QUERY_ERASE, hex_encode(hex, id, ID_LEN), 0);
}

/* The bytes of the id anywhere in the store but the log; of the log it is said that it stays. */
static unsigned traces(const uint8_t id[ID_LEN])
{
	struct store_cursor c;
	struct store_txn t;
	unsigned n = 0;

	store_begin(d.server.store, &t, false);
	for (unsigned table = 0; table < STORE__COUNT; table++) {
		if (table == STORE_LOG)
			continue;
		store_foreach(&c, &t, (enum store_table)table, bytes_of(NULL, 0))
			n += memmem(c.key.p, c.key.n, id, ID_LEN) != NULL ||
				memmem(c.value.p, c.value.n, id, ID_LEN) != NULL;
	}
	assert_int_equal(t.err, 0);
	store_abort(&t);
	return n;
}

static void found(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	fail_msg("%s: %s", store_table_str(f->table), f->says);
}

static void expect_sound(void)
{
	struct store_check check = { .found = found };
	struct store_txn t;

	store_begin(d.server.store, &t, false);
	assert_int_equal(store_check(&t, &check), 0);
	store_abort(&t);
}

struct sums {
	unsigned arms, gone, hits;
	uint32_t risk[ARM__COUNT], entered[ARM__COUNT];
};

static struct sums sums(void)
{
	static struct evidence e;
	struct sums out = { 0 };
	struct store_cursor c;
	struct store_txn t;
	struct stage_key key;
	uint16_t product;

	store_begin(d.server.store, &t, false);
	store_foreach(&c, &t, STORE_ARM, bytes_of(NULL, 0)) {
		struct evidence_device a;
		uint8_t id[ID_LEN];
		assert_true(arm_read(&c, &key, id, &a));
		out.arms++;
		out.gone += a.gone;
	}
	store_foreach(&c, &t, STORE_STAGE, bytes_of(NULL, 0)) {
		assert_true(stage_key_read(&c, &key, &product));
		assert_true(stage_get(&t, key, product, &e));
		for (unsigned a = 0; a < ARM__COUNT; a++) {
			out.risk[a] += evidence_at_risk(&e, (enum arm)a, STREAM_ENTERED);
			out.entered[a] += e.entered[a];
		}
	}
	out.hits = (unsigned)store_count(&t, STORE_HIT);
	assert_int_equal(t.err, 0);
	store_abort(&t);
	return out;
}

static void live(unsigned hours)
{
	static const uint8_t signature[SHA256_LEN] = { 1, 2, 3 };

	for (unsigned h = 0; h < hours; h++) {
		for (unsigned i = 0; i < DEVICES; i++) {
			struct test_device *t = &devices[i];
			assert_int_equal(device_poll(&d, t), 0);
			if (t->answer == ANSWER_OFFER && t->release_counter < 20)
				assert_int_equal(device_install(&d, t, "2.0", 20), 0);
			t->signature = signature;
			if (t->release_counter == 20)
				assert_int_equal(device_report_one(
							 &d, t, "2.0", PB__EVENT_KIND__EVENT_CRASH),
					0);
		}
		deployment_run(&d, HOUR, 60000);
	}
}

static void open_world(void)
{
	struct deployment_options o = { .profile = "solo",
		.lines = "lines:\n  - products: [phone-a]\n"
			 "    rings: {core: 12, honour: 6, dev: 3}\n    fill_every: 1m\n" };
	struct test_plan plan;

	deployment_open(&d, &o);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(device_enrol(&d, &devices[i], "phone-a", RING_CORE), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(deployment_publish(&d, "phone-a", "2.0", 20, "image"), 0);
	assert_int_equal(deployment_roll_out(
				 &d, "2.0", products, 1, plan_of(&plan, ladder, 2, 40 * HOUR, 0)),
		0);
}

static void close_world(void)
{
	for (unsigned i = 0; i < DEVICES; i++)
		device_forget(&devices[i]);
	deployment_close(&d);
}

static void nothing_is_left(void **state)
{
	unsigned arms = 0;

	(void)state;
	open_world();
	live(4);
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct line *l = &d.server.registry.lines[0];
		struct sums before = sums(), after;
		uint64_t seats = l->devices[RING_CORE], waiting = l->waiting;
		bool has_seat =
			fleet_unpack(atomic_load(fleet_find(d.server.fleet, devices[i].id))).ring ==
			RING_CORE;
		uint8_t old[ID_LEN];
		/* Some while the stage is followed by this server, some after it was started anew. */
		if (i % 6 == 5)
			deployment_restart(&d);
		l = &d.server.registry.lines[0];
		memcpy(old, devices[i].id, ID_LEN);
		assert_true(traces(old) >= 2);
		const Pb__AdminReply *r = ask_erase(old);
		assert_int_equal(r->code, 0);
		arms += strstr(r->text, "stays, and is nobody's") != NULL;
		assert_int_equal(traces(old), 0);
		assert_null(fleet_find(d.server.fleet, old));
		assert_int_equal(l->devices[RING_CORE], seats - has_seat);
		assert_int_equal(l->waiting, waiting - !has_seat);
		deployment_run(&d, 1000, 1000);
		after = sums();
		expect_sound();
		assert_int_equal(after.arms, before.arms);
		assert_int_equal(after.hits, before.hits);
		for (unsigned a = 0; a < ARM__COUNT; a++)
			assert_int_equal(after.entered[a], before.entered[a]);
		assert_int_equal(before.risk[0] + before.risk[1] - after.risk[0] - after.risk[1],
			after.gone - before.gone);
		/* It is nobody now, and may become somebody else. */
		assert_int_equal(device_poll(&d, &devices[i]), ERR_BAD_MAC);
		assert_int_equal(ask_erase(old)->code, ERR_NOT_FOUND);
		if (i % 2 == 0) {
			assert_int_equal(device_apply(&d, &devices[i]), 0);
			assert_memory_not_equal(devices[i].id, old, ID_LEN);
			assert_int_equal(device_poll(&d, &devices[i]), 0);
			assert_int_equal(traces(old), 0);
		}
	}
	assert_true(arms >= 4);
	assert_true(sums().hits > 0);
	deployment_restart(&d);
	assert_int_equal(fleet_count(d.server.fleet), DEVICES / 2);
	deployment_run(&d, 50 * HOUR, HOUR);
	close_world();
}

/* A poll that saw the device just before writes nothing of it. */
static void an_arm_that_comes_late(void **state)
{
	struct rows r;

	(void)state;
	open_world();
	deployment_run(&d, HOUR, 60000);
	for (unsigned i = 0; i < DEVICES; i++) {
		uint8_t id[ID_LEN];
		memcpy(id, devices[i].id, ID_LEN);
		/* Its arm and its wish are queued behind the erasure, or in one transaction with it. */
		assert_int_equal(device_poll(&d, &devices[i]), 0);
		assert_int_equal(ask_erase(id)->code, 0);
		while (writer_drain(&d.server.writer))
			;
		assert_int_equal(traces(id), 0);
	}
	/* Who brings it again, brings it again: by the same id, and young. */
	rows_begin(&r);
	Pb__FleetRow row = PB__FLEET_ROW__INIT;
	row.product = "phone-a";
	row.has_id = 1;
	row.id = wire_data(devices[0].id, ID_LEN);
	rows_add(&r, &row);
	d.arena.used = 0;
	rows_end(&r, &d);
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	m.import = &r.import;
	assert_int_equal(world_do(&d, &m, 0, KEY_RELEASE), 0);
	deployment_run(&d, 2000, 1000);
	assert_non_null(fleet_find(d.server.fleet, devices[0].id));
	assert_int_equal(device_poll(&d, &devices[0]), 0);
	assert_int_equal(ask_erase(devices[0].id)->code, 0);
	assert_int_equal(traces(devices[0].id), 0);
	buf_release(&r.file);
	close_world();
}

/* A poll that is answered with a word from before: whatever it wished for, it is of stable. */
static void a_poll_under_way(void **state)
{
	struct poll_ask ask = { .wish = RING_CORE };
	struct poll_answer a;
	struct desk desk;
	bool waits = false;

	(void)state;
	open_world();
	assert_int_equal(desk_open(&desk, &d.server), 0);
	(void)desk_refresh(&desk);
	for (unsigned i = 0; i < DEVICES && !waits; i++) {
		memcpy(ask.id, devices[i].id, ID_LEN);
		ask.word = fleet_find(d.server.fleet, ask.id);
		waits = fleet_unpack(atomic_load(ask.word)).ring == RING_STABLE;
	}
	assert_true(waits);
	ask.product = fleet_unpack(atomic_load(ask.word)).product;
	assert_int_equal(ask_erase(ask.id)->code, 0);
	poll_answer(&desk, &ask, d.now_ms, &a);
	const struct image_product *p = image_number(desk.image, ask.product);
	assert_ptr_equal(a.part[0].p, p->ring[RING_STABLE].full.data);
	assert_ptr_not_equal(a.part[0].p, p->ring[RING_CORE].full.data);
	assert_int_not_equal(a.answer, ANSWER_OFFER);
	assert_int_equal(a.part[1].p[1], RING_STABLE); /* field 8 */
	while (writer_drain(&d.server.writer))
		;
	assert_int_equal(traces(ask.id), 0);
	desk_release(&desk);
	close_world();
}

static void what_the_log_says_stays(void **state)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__SeatAct seat = PB__SEAT_ACT__INIT;
	ProtobufCBinaryData id;
	struct deployment_options o = { .profile = "solo",
		.lines = "lines:\n  - products: [phone-a]\n    fill: invite\n" };

	(void)state;
	deployment_open(&d, &o);
	assert_int_equal(device_enrol(&d, &devices[0], "phone-a", RING_CORE), 0);
	id = wire_data(devices[0].id, ID_LEN);
	seat.product = "phone-a";
	seat.ring = PB__RING__RING_CORE;
	seat.device_ids = &id;
	seat.n_device_ids = 1;
	m.seat = &seat;
	d.arena.used = 0;
	uint64_t index = control_state(&d.server)->log.size;
	assert_int_equal(world_do(&d, &m, 0, KEY_RELEASE), 0);
	char want[64];
	(void)snprintf(want, sizeof(want), "its id stands in the log, entry %llu, for ever",
		(unsigned long long)index);
	assert_non_null(strstr(ask_erase(devices[0].id)->text, want));
	assert_int_equal(d.server.registry.lines[0].devices[RING_CORE], 0);
	assert_int_equal(traces(devices[0].id), 0);
	/* The log is whole without it. */
	deployment_restart(&d);
	device_forget(&devices[0]);
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(an_arm_that_comes_late),
		cmocka_unit_test(a_poll_under_way),
		cmocka_unit_test(what_the_log_says_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
