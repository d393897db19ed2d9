/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/bucket.h"
#include "rng.h"
#include "server/core/admit.h"

static const struct {
	const char *why;
	struct admit_facts in;
	struct admit want;
} cases[] = {
	{ "the start: a window of twenty, asked twice as many", { .expected = 1000 },
		{ 20, 40000 } },
	{ "a small share: all are asked", { .expected = 30 }, { 20, PPM } },
	{ "one device", { .expected = 1 }, { 20, PPM } },
	{ "nothing came back yet", { .granted = 20, .expected = 1000, .admit_ppm = 40000 },
		{ 20, 40000 } },
	{ "one came back", { .granted = 20, .boot_ok = 1, .expected = 1000 }, { 21, 42000 } },
	{ "all came back well: the window stays until they are more than it",
		{ .granted = 20, .boot_ok = 20, .expected = 1000 }, { 40, 80000 } },
	{ "fifty good ones: it doubles", { .granted = 50, .boot_ok = 50, .expected = 1000 },
		{ 100, 200000 } },
	{ "twenty bricks: nothing beyond them", { .granted = 20, .expected = 1000 },
		{ 20, 40000 } },
	{ "failures make no room", { .granted = 40, .boot_ok = 5, .expected = 1000 },
		{ 40, 80000 } },
	{ "and while there is room they take it", { .granted = 20, .boot_ok = 5, .expected = 1000 },
		{ 25, 50000 } },
	{ "the plan's cap", { .boot_ok = 50, .expected = 1000, .cap = 70 }, { 70, 140000 } },
	{ "a cap below the window", { .expected = 1000, .cap = 5 }, { 5, 10000 } },
	{ "what was handed out stays handed out", { .granted = 90, .expected = 1000, .cap = 70 },
		{ 90, 180000 } },
	{ "the share never shrinks", { .expected = 1000, .admit_ppm = 500000 }, { 20, 500000 } },
	{ "sleepers: tokens were left, twice as many are asked",
		{ .granted = 10, .expected = 1000, .admit_ppm = 40000, .idle = true },
		{ 20, 80000 } },
	{ "sleepers: again", { .granted = 10, .expected = 1000, .admit_ppm = 80000, .idle = true },
		{ 20, 160000 } },
	{ "sleepers: not beyond all",
		{ .granted = 10, .expected = 1000, .admit_ppm = 900000, .idle = true },
		{ 20, PPM } },
	{ "idle, but no token is left",
		{ .granted = 20, .expected = 1000, .admit_ppm = 40000, .idle = true },
		{ 20, 40000 } },
	{ "170 million devices",
		{ .boot_ok = 80000000,
			.judged = 70000000,
			.heard = 70000000,
			.expected = 170000000 },
		{ 160000000, PPM } },
	{ "a thousandth of them",
		{ .boot_ok = 40000, .judged = 16000, .heard = 16000, .expected = 170000000 },
		{ 80000, 941 } },
	{ "all boot, none is judged yet: five hundred",
		{ .granted = 400, .boot_ok = 400, .expected = 100000 }, { 500, 10000 } },
	{ "and no more, however many booted",
		{ .granted = 500, .boot_ok = 500, .expected = 100000 }, { 500, 10000 } },
	{ "some are judged, none was heard of: five hundred beyond them",
		{ .granted = 500, .boot_ok = 500, .judged = 100, .expected = 100000 },
		{ 600, 12000 } },
	{ "few were heard of",
		{ .granted = 600, .boot_ok = 600, .judged = 125, .heard = 125, .expected = 100000 },
		{ 625, 12500 } },
	{ "from then on four times as many",
		{ .granted = 600, .boot_ok = 600, .judged = 126, .heard = 126, .expected = 100000 },
		{ 630, 12600 } },
	{ "the silent widen nothing",
		{ .granted = 900, .boot_ok = 900, .judged = 400, .heard = 200, .expected = 100000 },
		{ 1200, 24000 } },
	{ "the window is the smaller one",
		{ .granted = 700, .boot_ok = 30, .judged = 500, .heard = 500, .expected = 100000 },
		{ 700, 14000 } },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct admit a = admit_next(&cases[i].in);
		if (a.allowed != cases[i].want.allowed || a.admit_ppm != cases[i].want.admit_ppm)
			fail_msg("%s: %u, %u ppm", cases[i].why, a.allowed, a.admit_ppm);
	}
}

/* Never more in the dark than came back well, or the window; nor than were heard of four times. */
static void check_dark(const struct admit *a, const struct admit_facts *f)
{
	uint32_t young = 4 * f->heard > 500 ? 4 * f->heard : 500;

	assert_true(a->allowed >= f->granted);
	assert_true(a->admit_ppm >= f->admit_ppm && a->admit_ppm <= PPM);
	if (a->allowed == f->granted)
		return;
	assert_true(a->allowed - f->boot_ok <= (f->boot_ok > 20 ? f->boot_ok : 20));
	assert_true(a->allowed - f->judged <= young);
}

/* Devices that were let in, hour by hour: who boots says so in one, who is judged is in five. */
struct life {
	uint32_t size, bricks_ppm;
	bool brick_late; /* after boot_ok: only silence tells */
	uint32_t in[400], n;
};

static void look(struct life *l, struct admit_facts *f)
{
	uint32_t booted = l->n >= 1 ? l->in[l->n - 1] : 0;
	uint32_t judged = l->n >= 5 ? l->in[l->n - 5] : 0;
	uint32_t good = (uint32_t)((uint64_t)(PPM - l->bricks_ppm) * booted / PPM);

	f->boot_ok = l->brick_late ? booted : good;
	f->judged = judged;
	f->heard = (uint32_t)((uint64_t)(PPM - l->bricks_ppm) * judged / PPM);
}

static uint32_t live(struct life *l, uint64_t seed, unsigned hours)
{
	struct admit_facts f = { .expected = l->size };
	struct rng r = { seed };

	for (l->n = 0; l->n < hours && f.granted < l->size; l->n++) {
		struct admit a;
		look(l, &f);
		f.idle = rng_below(&r, 2) != 0;
		a = admit_next(&f);
		check_dark(&a, &f);
		f.admit_ppm = a.admit_ppm;
		f.granted = a.allowed < l->size ? a.allowed : l->size;
		l->in[l->n] = f.granted;
	}
	return f.granted;
}

/* A good build: nothing ever shrinks, and everybody gets in. */
static void test_lives(void **state)
{
	static struct life l;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct rng r = { seed };
		l = (struct life){ .size = 1 + (uint32_t)rng_below(&r, 20000) };
		assert_int_equal(live(&l, seed, 400), l.size);
	}
}

/* What a build that bricks can do until people look: admission saves the fleet, not statistics. */
static void test_bricks(void **state)
{
	static const struct {
		const char *why;
		uint32_t bricks_ppm;
		bool late;
		unsigned hours;
		uint32_t most; /* let in */
	} row[] = {
		{ "all at once, for ever", PPM, false, 400, 20 },
		{ "half of them", PPM / 2, false, 6, 40 },
		{ "all, after they booted: none before the milestone", PPM, true, 5, 500 },
		{ "and five hundred more for each that was judged", PPM, true, 10, 1000 },
	};
	static struct life l;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint32_t in;
		l = (struct life){
			.size = 10000, .bricks_ppm = row[i].bricks_ppm, .brick_late = row[i].late
		};
		in = live(&l, i, row[i].hours);
		if (in > row[i].most)
			fail_msg("%s: %u", row[i].why, in);
	}
	/* A good build of 10 000 is offered to all in time. */
	l = (struct life){ .size = 10000 };
	assert_int_equal(live(&l, 1, 48), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_bricks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
