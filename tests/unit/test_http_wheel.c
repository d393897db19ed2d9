/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/wheel.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define START_MS 1000003u /* not on a tick */

/* Advances in steps; returns when the node came out, 0 if not before `end_ms`. */
static uint64_t comes_at(
	struct wheel *w, struct wheel_node *n, uint64_t now_ms, uint64_t end_ms, uint64_t step_ms)
{
	for (; now_ms <= end_ms; now_ms += step_ms)
		if (wheel_expired(w, now_ms) == n)
			return now_ms;
	return 0;
}

/* Never early, and late by a tick at most. */
static void in_time(void **state)
{
	static const uint64_t after_ms[] = { 0, 1, 49, 50, 51, 300, 5000, 51199, 51200, 51201,
		60000, 200000 };

	(void)state;
	for (size_t i = 0; i < COUNT(after_ms); i++) {
		struct wheel w;
		struct wheel_node n = { 0 };
		wheel_init(&w, START_MS);
		wheel_set(&w, &n, START_MS + after_ms[i]);
		uint64_t at = comes_at(&w, &n, START_MS, START_MS + 300000, 1);
		assert_in_range(at, START_MS + after_ms[i], START_MS + after_ms[i] + WHEEL_TICK_MS);
		assert_null(wheel_expired(&w, START_MS + 400000));
	}
}

static void moved(void **state)
{
	static const struct {
		const char *why;
		uint64_t first_ms, then_ms;
	} t[] = {
		{ "later", 5000, 60000 },
		{ "a little later", 5000, 5001 },
		{ "earlier", 60000, 5000 },
		{ "into the past", 60000, 0 },
		{ "once around and more", 100, 51200 + 100 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct wheel w;
		struct wheel_node n = { 0 };
		wheel_init(&w, START_MS);
		wheel_set(&w, &n, START_MS + t[i].first_ms);
		wheel_set(&w, &n, START_MS + t[i].then_ms);
		uint64_t at = comes_at(&w, &n, START_MS, START_MS + 300000, 10);
		if (at < START_MS + t[i].then_ms ||
			at > START_MS + t[i].then_ms + WHEEL_TICK_MS + 10)
			fail_msg("%s: at %lu", t[i].why, (unsigned long)at);
	}
}

static void cleared(void **state)
{
	struct wheel w;
	struct wheel_node n[3] = { { 0 } };

	(void)state;
	wheel_init(&w, START_MS);
	for (size_t i = 0; i < 3; i++)
		wheel_set(&w, &n[i], START_MS + 100);
	wheel_clear(&n[1]);
	wheel_clear(&n[1]);
	assert_non_null(wheel_expired(&w, START_MS + 200));
	assert_non_null(wheel_expired(&w, START_MS + 200));
	assert_null(wheel_expired(&w, START_MS + 200));
}

/* After a sleep of hours everything that is due comes, and nothing else. */
static void long_sleep(void **state)
{
	struct wheel w;
	struct wheel_node n[100] = { { 0 } };
	uint64_t wake_ms = START_MS + 3600 * 1000;
	unsigned come = 0;

	(void)state;
	wheel_init(&w, START_MS);
	for (size_t i = 0; i < 99; i++)
		wheel_set(&w, &n[i], START_MS + i * 700);
	wheel_set(&w, &n[99], wake_ms + 1000);
	while (wheel_expired(&w, wake_ms) != NULL)
		come++;
	assert_int_equal(come, 99);
	assert_ptr_equal(wheel_expired(&w, wake_ms + 1100), &n[99]);
}

/* Against a plain array, with everything at random. */
static void many(void **state)
{
	enum { N = 500 };
	static struct wheel w;
	static struct wheel_node node[N];
	uint64_t want[N] = { 0 }, now = START_MS;
	struct wheel_node *n;

	(void)state;
	srand(1);
	wheel_init(&w, now);
	for (int round = 0; round < 20000; round++) {
		size_t i = (size_t)rand() % N;
		if (rand() % 4 == 0) {
			wheel_clear(&node[i]);
			want[i] = 0;
		} else {
			want[i] = now + (uint64_t)(rand() % 70000);
			wheel_set(&w, &node[i], want[i]);
		}
		now += (uint64_t)(rand() % 30);
		while ((n = wheel_expired(&w, now)) != NULL) {
			assert_in_range(want[n - node], 1, now);
			want[n - node] = 0;
		}
		for (size_t k = 0; k < N; k++)
			assert_true(want[k] == 0 || want[k] + WHEEL_TICK_MS > now);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_time),
		cmocka_unit_test(moved),
		cmocka_unit_test(cleared),
		cmocka_unit_test(long_sleep),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
