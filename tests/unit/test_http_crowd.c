/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/crowd.h"

#include <pthread.h>

#include "unit.h"

static bool enter(struct crowd *c, uint32_t network, uint32_t *place)
{
	uint8_t at[4];

	put_be32(at, network);
	return crowd_enter(c, bytes_of(at, sizeof(at)), place);
}

static void test_one_network(void **state)
{
	struct crowd *c = crowd_new();
	uint32_t place[4], other;

	(void)state;
	crowd_limit(c, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(enter(c, 7, &place[i]) && place[i] != 0);
	for (size_t i = 0; i < 10; i++)
		assert_true(!enter(c, 7, &place[3]) && place[3] == 0);
	assert_true(enter(c, 8, &other));
	crowd_leave(c, place[1]);
	assert_true(enter(c, 7, &place[1]));
	assert_false(enter(c, 7, &place[3]));
	crowd_free(c);
}

/* No limit, or no network: not counted. */
static void test_not_counted(void **state)
{
	struct crowd *c = crowd_new();
	uint32_t place;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		assert_true(enter(c, 7, &place) && place == 0);
	crowd_limit(c, 1);
	for (size_t i = 0; i < 100; i++)
		assert_true(crowd_enter(c, bytes_of(NULL, 0), &place) && place == 0);
	crowd_leave(c, 0);
	assert_true(enter(c, 7, &place));
	assert_false(enter(c, 7, &place));
	crowd_free(c);
}

/* With ten networks at their limit, hardly any of 50 000 others is taken for one of them. */
static void test_others(void **state)
{
	struct crowd *c = crowd_new();
	uint32_t place;
	unsigned refused = 0;

	(void)state;
	crowd_limit(c, 100);
	for (uint32_t network = 0; network < 10; network++)
		for (unsigned i = 0; i < 100; i++)
			assert_true(enter(c, network, &place));
	for (uint32_t network = 1000; network < 51000; network++) {
		refused += !enter(c, network, &place);
		crowd_leave(c, place);
	}
	assert_true(refused <= 1);
	crowd_free(c);
}

#define THREADS 4
#define TURNS   20000

static void *come_and_go(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < TURNS; i++) {
		uint32_t place[3] = { 0 };
		for (unsigned j = 0; j < 3; j++)
			(void)enter(c, 7, &place[j]); /* some are too many */
		for (unsigned j = 0; j < 3; j++)
			crowd_leave(c, place[j]);
	}
	return NULL;
}

/* When all have left, there is room for exactly as many as at first. */
static void test_threads(void **state)
{
	struct crowd *c = crowd_new();
	pthread_t thread[THREADS];
	uint32_t place;

	(void)state;
	crowd_limit(c, 5);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_true(enter(c, 7, &place));
	assert_false(enter(c, 7, &place));
	crowd_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_network),
		cmocka_unit_test(test_not_counted),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
