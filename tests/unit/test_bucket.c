/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <math.h>

#include "proto/bucket.h"
#include "rng.h"

#define IDS 100000u

#define LONGEST "product-with-a-name-of-sixty-three-characters.which_is-longest1"

/*
 * Golden: phones in the field compute these numbers too.  If this test fails, the code
 * is wrong; changing a literal is an incident in the field, not a fix.  They are those
 * of `xxhsum -H3` over the concatenated bytes, scaled to ppm.
 *
 * Seed and id of row k: for k < 7 the seed is 32 bytes 0x11 * k, else the bytes k, k +
 * 1, ..; the id is 16 bytes 0xff - k for odd k, else the bytes 0, k, 2 * k, ..
 */
static const struct {
	const char *product;
	uint32_t bucket, admission;
	uint64_t seat;
} golden[] = {
	{ "", 884111, 389511, 0x03db3a6403f75ca3 },
	{ "phone-a", 160480, 904631, 0xf63c7e7aed84ce19 },
	{ "phone-b", 230646, 712510, 0x6ddc8f30a5749c0f },
	{ "x", 761628, 28702, 0x6411169b6f986b79 },
	{ LONGEST, 343157, 778066, 0xecb6c74e954f79a2 },
	{ "", 629216, 157520, 0xa230a1e3f9ee04cf },
	{ "phone-a", 929581, 925264, 0x2e8ae515a49a66ed },
	{ "phone-b", 531096, 87843, 0xe5d0e4fca6baf9c0 },
	{ "x", 71437, 400394, 0xa26dece88ba4ec5d },
	{ LONGEST, 105490, 67073, 0x18ad3ff07e330036 },
	{ "", 955175, 412723, 0x7e4d1b497805e1bd },
	{ "phone-a", 513550, 152331, 0x2aa1f620cd29e593 },
	{ "phone-b", 716458, 282235, 0xc0beff55e0ac2d2d },
	{ "x", 418301, 641726, 0x7bdc92bbfcba0299 },
};

static void make_input(size_t k, uint8_t seed[SEED_LEN], uint8_t id[ID_LEN])
{
	for (size_t i = 0; i < SEED_LEN; i++)
		seed[i] = (uint8_t)(k < 7 ? 0x11 * k : i + k);
	for (size_t i = 0; i < ID_LEN; i++)
		id[i] = (uint8_t)(k % 2 ? 0xff - k : i * k);
}

static void test_golden(void **state)
{
	uint8_t seed[SEED_LEN], id[ID_LEN];

	(void)state;
	for (size_t k = 0; k < COUNT(golden); k++) {
		const char *product = golden[k].product;
		make_input(k, seed, id);
		assert_int_equal(bucket_of(seed, id, product), golden[k].bucket);
		assert_int_equal(bucket_admission(seed, id, product), golden[k].admission);
		assert_int_equal(bucket_seat(seed, id), golden[k].seat);
	}
	assert_int_equal(hash64("", 0), 0x2d06800538d394c2);
	assert_int_equal(hash64("huidu", 5), 0xcf78e590f65602d2);
	assert_int_equal(hash64_seeded("huidu", 5, 0), hash64("huidu", 5));
	assert_int_equal(hash64_seeded("huidu", 5, 7), 0xbeaa7d6748f30639);
	assert_int_equal(hash64_seeded("", 0, 7), 0x913ae0873e9b7eb8);
	assert_int_equal(BUCKET_ANONYMOUS, 999999);
}

/* One fleet for all that follows: random ids, one seed. */
static uint8_t fleet_seed[SEED_LEN];
static uint32_t first[IDS], second[IDS], other_seed[IDS], other_product[IDS];
static uint64_t seat[IDS];

static int make_fleet(void **state)
{
	struct rng r = { 1 };
	uint8_t id[ID_LEN], seed2[SEED_LEN];

	(void)state;
	rng_fill(&r, fleet_seed, sizeof(fleet_seed));
	memcpy(seed2, fleet_seed, sizeof(seed2));
	seed2[31] ^= 1;
	for (size_t i = 0; i < IDS; i++) {
		rng_fill(&r, id, sizeof(id));
		first[i] = bucket_of(fleet_seed, id, "phone-a");
		second[i] = bucket_admission(fleet_seed, id, "phone-a");
		other_seed[i] = bucket_of(seed2, id, "phone-a");
		other_product[i] = bucket_of(fleet_seed, id, "phone-b");
		seat[i] = bucket_seat(fleet_seed, id);
	}
	return 0;
}

static void test_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < IDS; i++) {
		assert_true(first[i] < PPM);
		assert_true(second[i] < PPM);
	}
}

__extension__ typedef unsigned __int128 u128;

/* Of all 64 bits of the hash, the lowest too: h * 1 000 000 >> 64. */
static void test_scaled_exactly(void **state)
{
	struct rng r = { 1 };
	uint8_t text[SEED_LEN + ID_LEN + 7], seed[SEED_LEN];

	(void)state;
	rng_fill(&r, seed, sizeof(seed));
	memcpy(text, seed, SEED_LEN);
	memcpy(text + SEED_LEN + ID_LEN, "phone-a", 7);
	for (size_t i = 0; i < IDS; i++) {
		rng_fill(&r, text + SEED_LEN, ID_LEN);
		u128 h = hash64(text, sizeof(text));
		assert_int_equal(first[i], (uint32_t)(h * PPM >> 64));
	}
}

/* As many as a share of `ppm` of IDS devices should hold, give or take 5 sigma. */
static bool is_plausible(size_t count, uint32_t ppm)
{
	double p = ppm / 1e6, mean = IDS * p;

	return fabs((double)count - mean) <= 5 * sqrt(mean * (1 - p)) + 1;
}

static void check_share(const uint32_t *bucket, uint32_t lower, uint32_t upper)
{
	size_t n = 0;

	for (size_t i = 0; i < IDS; i++)
		n += bucket[i] >= lower && bucket[i] < upper;
	if (!is_plausible(n, upper - lower))
		fail_msg("[%u, %u): %zu devices", lower, upper, n);
}

static void test_uniform(void **state)
{
	static const uint32_t shares[] = { 1, 10, 100, 1000, 10000, 20000, 50000, 100000, 250000,
		500000 };

	(void)state;
	for (size_t i = 0; i < COUNT(shares); i++) {
		uint32_t s = shares[i];
		check_share(first, 0, s);
		check_share(second, 0, s);
		check_share(first, PPM - s, PPM);
		check_share(second, PPM - s, PPM);
		check_share(first, 500000 - s / 2, 500000 - s / 2 + s);
		check_share(second, 500000 - s / 2, 500000 - s / 2 + s);
	}
}

#define CELLS 20u

/* Chi-square of the table of two buckets cut into CELLS classes each. */
static double chi_square(const uint32_t *a, const uint32_t *b)
{
	uint32_t table[CELLS][CELLS] = { 0 }, row[CELLS] = { 0 }, column[CELLS] = { 0 };
	double sum = 0;

	for (size_t i = 0; i < IDS; i++) {
		uint32_t x = (uint32_t)((uint64_t)a[i] * CELLS / PPM);
		uint32_t y = (uint32_t)((uint64_t)b[i] * CELLS / PPM);
		table[x][y]++;
		row[x]++;
		column[y]++;
	}
	for (size_t x = 0; x < CELLS; x++) {
		for (size_t y = 0; y < CELLS; y++) {
			double want = (double)row[x] * column[y] / IDS;
			sum += (table[x][y] - want) * (table[x][y] - want) / want;
		}
	}
	return sum;
}

static void check_independent(const char *why, const uint32_t *a, const uint32_t *b)
{
	double freedom = (CELLS - 1) * (CELLS - 1), chi = chi_square(a, b);

	if (fabs(chi - freedom) > 5 * sqrt(2 * freedom))
		fail_msg("%s: chi-square %.0f of %.0f", why, chi, freedom);
}

/*
 * Who is asked first must not depend on who is in the share, nor one rollout on
 * another: otherwise the same phones would always be the canaries.
 */
static void test_independent(void **state)
{
	static uint32_t seat_ppm[IDS];

	(void)state;
	for (size_t i = 0; i < IDS; i++)
		seat_ppm[i] = (uint32_t)((seat[i] >> 32) * PPM >> 32);
	check_independent("admission", first, second);
	check_independent("seed", first, other_seed);
	check_independent("product", first, other_product);
	check_independent("seat", first, seat_ppm);
	check_independent("seat and admission", second, seat_ppm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_scaled_exactly),
		cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_independent),
	};

	return cmocka_run_group_tests(tests, make_fleet, NULL);
}
