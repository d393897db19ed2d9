/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "server/service/flood.h"

#define MINUTE 60000u
#define START  5000000u

static struct bytes network(unsigned n, uint8_t out[3])
{
	put_be16(out, (uint16_t)n);
	out[2] = 7;
	return bytes_of(out, 3);
}

static unsigned take_from(struct flood *f, unsigned n, unsigned tries, uint64_t mono_ms)
{
	uint8_t a[3];
	unsigned taken = 0;

	for (unsigned i = 0; i < tries; i++)
		taken += flood_take_from(f, network(n, a), mono_ms);
	return taken;
}

static unsigned take(struct flood *f, unsigned tries, uint64_t mono_ms)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < tries; i++)
		taken += flood_take(f, mono_ms);
	return taken;
}

/* A minute's worth at once, then at the rate; rest is saved up, but never beyond a minute's worth. */
static void test_rate(void **state)
{
	struct flood *f = flood_new(6, 4);

	(void)state;
	assert_int_equal(take(f, 100, START), 6);
	assert_int_equal(take(f, 100, START + 9999), 0);
	assert_int_equal(take(f, 100, START + 10000), 1);
	assert_int_equal(take(f, 100, START + 35000), 2);
	assert_int_equal(take(f, 100, START + 60 * MINUTE), 6);
	assert_int_equal(take_from(f, 1, 100, START), 4);
	assert_int_equal(take_from(f, 1, 100, START + 14999), 0);
	assert_int_equal(take_from(f, 1, 100, START + 15000), 1);
	assert_int_equal(take_from(f, 1, 100, START + 60 * MINUTE), 4);
	flood_free(f);
}

/* Over a long time it is the rate, whatever is asked for. */
static void test_long(void **state)
{
	struct flood *f = flood_new(600, 7);
	unsigned all = 0, one = 0;

	(void)state;
	for (uint64_t t = 0; t < 60 * MINUTE; t += 50) {
		all += take(f, 3, START + t);
		one += take_from(f, 9, 3, START + t);
	}
	assert_in_range(all, 60 * 600, 61 * 600);
	assert_in_range(one, 60 * 7, 61 * 7);
	flood_free(f);
}

/* One network's flood is not another's: of a thousand others, at most a few share its cell. */
static void test_others(void **state)
{
	struct flood *f = flood_new(0, 2);
	unsigned hurt = 0;

	(void)state;
	assert_int_equal(take_from(f, 0, 10000, START), 2);
	for (unsigned n = 1; n <= 1000; n++)
		hurt += take_from(f, n, 1, START) == 0;
	assert_in_range(hurt, 0, 5);
	flood_free(f);
}

static void test_no_rate(void **state)
{
	struct flood *f = flood_new(0, 0);

	(void)state;
	assert_int_equal(take(f, 10000, START), 10000);
	assert_int_equal(take_from(f, 1, 10000, START), 10000);
	flood_free(f);
	f = flood_new(1, 1);
	for (unsigned i = 0; i < 100; i++)
		assert_true(flood_take_from(f, bytes_of(NULL, 0), START));
	assert_int_equal(take(f, 100, START), 1);
	assert_int_equal(take_from(f, 1, 100, START), 1);
	flood_free(f);
	f = flood_new(UINT32_MAX, UINT32_MAX);
	assert_int_equal(take(f, 10000, START), 10000);
	flood_free(f);
}

static void test_give_back(void **state)
{
	struct flood *f = flood_new(3, 3);
	uint8_t a[3];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(flood_take(f, START));
		assert_true(flood_take_from(f, network(1, a), START));
		flood_give_back(f);
		flood_give_back_from(f, network(1, a));
	}
	assert_int_equal(take(f, 100, START), 3);
	assert_int_equal(take_from(f, 1, 100, START), 3);
	flood_give_back_from(f, bytes_of(NULL, 0));
	flood_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_no_rate),
		cmocka_unit_test(test_give_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
