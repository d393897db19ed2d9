/* SPDX-License-Identifier: Apache-2.0 */
/* A busy worker's phones are told a longer interval, and silence takes it into account. */
#include "unit.h"

#include "authority_world.h"
#include "deployment.h"
#include "server/core/hearing.h"

#define HOUR 3600000ull

static void test_interval(void **state)
{
	static const struct {
		const char *interval;
		unsigned stretch;
		uint32_t want_s;
	} row[] = {
		{ "1h", 0, 3600 },
		{ "1h", 1, 7200 },
		{ "1h", 2, 14400 },
		{ "6h", 2, 43200 },
		{ "12h", 2, 43200 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct deployment_options o = { .profile = "solo",
			.poll_interval = row[i].interval };
		struct deployment d;
		struct test_device t;
		deployment_open(&d, &o);
		assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
		d.desk.shed.stretch = row[i].stretch;
		assert_in_range(
			device_told_s(&d, &t), row[i].want_s * 8 / 10, row[i].want_s * 12 / 10);
		device_forget(&t);
		deployment_close(&d);
	}
}

/* What workers say reaches silence with the next tick, once. */
static void test_heard(void **state)
{
	struct deployment_options o = { .profile = "solo", .poll_interval = "1h" };
	struct deployment d;
	const struct hearing *h = &d.server.writer.stages.hearing;
	uint64_t lost_ms;

	(void)state;
	deployment_open(&d, &o);
	deployment_tick(&d, 1000);
	assert_int_equal(hearing_window(h, HOUR, d.now_ms), HOUR);
	atomic_store(&d.server.deaf, true);
	deployment_tick(&d, 60000);
	assert_int_equal(hearing_window(h, HOUR, d.now_ms), HOUR + 60000);
	deployment_tick(&d, 60000);
	assert_int_equal(hearing_window(h, HOUR, d.now_ms), HOUR + 60000);
	(void)atomic_fetch_or(&d.server.stretches, 1u << 1 | 1u << 2);
	deployment_tick(&d, 60000);
	lost_ms = hearing_window(h, HOUR, d.now_ms) - HOUR;
	assert_int_equal(lost_ms, 60000 + 45000);
	assert_int_equal(h->stretch, 2);
	deployment_close(&d);
}

/* The doctor's word, of the last tick alone. */
static void test_told(void **state)
{
	struct deployment_options o = { .profile = "solo", .poll_interval = "1h" };
	struct deployment d;

	(void)state;
	deployment_open(&d, &o);
	deployment_tick(&d, 1000);
	assert_null(world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, NULL, 0)->text);
	atomic_store(&d.server.stretches, 1u << 1);
	deployment_tick(&d, 1000);
	assert_non_null(strstr(
		world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, NULL, 0)->text, "poll 2 times less"));
	atomic_store(&d.server.deaf, true);
	deployment_tick(&d, 1000);
	assert_non_null(
		strstr(world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, NULL, 0)->text, "turned away"));
	deployment_tick(&d, 1000);
	assert_null(world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, NULL, 0)->text);
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_heard),
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
