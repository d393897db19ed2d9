/* SPDX-License-Identifier: Apache-2.0 */
/* Each stream of a stage, against sums made by hand: days, ages, silence, signatures, the split. */
#include "unit.h"

#include "gate_world.h"
#include "rng.h"

#define DAY   (24 * HOUR)
#define FIRST (20000 * DAY + 17 * HOUR) /* days begin with the stage, not at midnight */

static bool same(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

static struct gate_rules settling(void)
{
	struct gate_rules r = rules;

	r.settles = true;
	return r;
}

/* Of a stage with evidence in the order of the days: what each has seen, made by hand. */
struct days {
	struct eproc_halt total, before[64];
	size_t n;
};

static void begin_day(struct days *d, size_t day)
{
	while (d->n <= day && d->n < GATE_DAYS)
		d->before[d->n++] = d->total;
}

static void check_days(uint64_t seed, size_t days, bool quiet)
{
	struct gate_rules r = rules;
	struct gate_stage s = { 0 };
	struct days d = { 0 };
	double stream[GATE_STREAM__COUNT];
	struct rng rng = { seed };

	for (size_t day = 0; day < days; day++) {
		begin_day(&d, day);
		for (unsigned k = 0; k < 3; k++) {
			struct batch b = { (double)rng_below(&rng, day < 3 ? 2 : 9),
				(double)rng_below(&rng, 40), 1000, 9000 };
			struct evidence_row row = { .stream = STREAM_CRASH,
				.closed_ms = FIRST + day * DAY + k * (DAY / 3),
				.xc = (uint32_t)b.xc,
				.xk = (uint32_t)b.xk,
				.ec = 1000,
				.ek = 9000 };
			/* On a quiet day nobody crashes: there is no row at all. */
			if (quiet && day % 3 == 1)
				continue;
			gate_add(&s, &r, &row);
			eproc_halt_add(&d.total, &b, 1);
		}
	}
	(void)gate_stage_log(&s, &r, stream);
	if (!same(stream[GATE_STREAM_CRASH], eproc_restart_log(&d.total, d.before, d.n)))
		fail_msg("seed %u, %zu days", (unsigned)seed, days);
}

static void test_days(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		/* The stage's first row begins its days: a first one that is quiet is none. */
		check_days(seed, 1 + seed % 30, false);
		check_days(seed, 2 + seed % 30, true);
		check_days(seed, GATE_DAYS + seed % 20, false);
	}
}

/* A past without crashes hides nothing, and no more than GATE_DAYS days are remembered. */
static void test_turns_bad_late(void **state)
{
	double stream[GATE_STREAM__COUNT], last = 0;

	(void)state;
	for (size_t bad = 0; bad < 60; bad++) {
		struct gate_stage s = { 0 };
		for (size_t day = 0; day <= bad; day++) {
			struct evidence_row row = { .stream = STREAM_CRASH,
				.closed_ms = 1 + day * DAY,
				.xc = day == bad ? 30 : 2,
				.xk = 30,
				.ec = 1000,
				.ek = 9000 };
			gate_add(&s, &rules, &row);
		}
		assert_true(s.days == (bad < GATE_DAYS ? bad + 1 : GATE_DAYS));
		(void)gate_stage_log(&s, &rules, stream);
		/* 30 against an expected 3.3 in one day, whatever was before. */
		if (bad < GATE_DAYS)
			assert_true(stream[GATE_STREAM_CRASH] > log(GATE_HALT / .38));
		else
			assert_true(stream[GATE_STREAM_CRASH] < last + 1e-9);
		last = stream[GATE_STREAM_CRASH];
	}
}

/* Young devices may do three times as much; their evidence is a quarter of the stream's. */
static void test_ages(void **state)
{
	static const struct {
		enum stream stream;
		enum gate_stream shown;
		bool restarts;
	} row[] = {
		{ STREAM_CRASH, GATE_STREAM_CRASH, true },
		{ STREAM_CRASH_LOOP, GATE_STREAM_LOOP, false },
		{ STREAM_SYMPTOM, GATE_STREAM_SYMPTOM, false },
		{ STREAM_SYMPTOM + 7, GATE_STREAM_SYMPTOM + 7, false },
	};
	const struct batch young = { 40, 60, 1000, 9000 }, steady = { 12, 50, 2000, 9000 };
	double stream[GATE_STREAM__COUNT], want_young, want_steady;
	const struct gate_rules with = settling();

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct gate_stage s = { 0 };
		struct eproc_halt y = { { 0 } }, st = { { 0 } }, zero = { { 0 } };
		struct evidence_row r = { .stream = row[i].stream,
			.age = AGE_YOUNG,
			.closed_ms = 1,
			.xc = 40,
			.xk = 60,
			.ec = 1000,
			.ek = 9000 };
		gate_add(&s, &with, &r);
		assert_true(eproc_cs_log(&s.ratio) < 1e-9); /* the ratio is of the steady */
		r = (struct evidence_row){ .stream = row[i].stream,
			.closed_ms = 1,
			.xc = 12,
			.xk = 50,
			.ec = 2000,
			.ek = 9000 };
		gate_add(&s, &with, &r);
		eproc_halt_add(&y, &young, 3);
		eproc_halt_add(&st, &steady, 1);
		want_young = exp(eproc_halt_log(&y));
		want_steady = exp(
			row[i].restarts ? eproc_restart_log(&st, &zero, 1) : eproc_halt_log(&st));
		(void)gate_stage_log(&s, &with, stream);
		assert_true(same(stream[row[i].shown], log(.1 * want_young + .9 * want_steady)));
		/* Without a settle time all are steady, and theirs is the whole of it. */
		(void)gate_stage_log(&s, &rules, stream);
		assert_true(same(stream[row[i].shown], log(want_steady)));
		for (unsigned k = 0; k < GATE_STREAM__COUNT; k++)
			if (k != row[i].shown)
				assert_true(fabs(stream[k]) < 1e-12);
		if (row[i].restarts)
			assert_true(s.crashed == 52 && s.control_crashed == 110);
	}
}

/* Where nothing is compared the ratio is not looked at, nor spoilt. */
static void test_no_tolerance(void **state)
{
	struct fixture f = { .rules = rules };

	(void)state;
	f.rules.tolerance = 0;
	add(&f, STREAM_CRASH, 0, 9, 3);
	assert_true(fabs(eproc_cs_log(&f.stage.ratio)) < 1e-9);
	assert_true(f.stage.crashed == 9);
}

static void test_silent(void **state)
{
	double stream[GATE_STREAM__COUNT];
	struct fixture f = { .rules = settling() };
	struct eproc_halt e = { { 0 } };
	const struct batch b = { 9, 3, 10000, 90000 };

	(void)state;
	add(&f, STREAM_SILENT, 0, 9, 3);
	eproc_halt_add(&e, &b, 1);
	(void)gate_stage_log(&f.stage, &f.rules, stream);
	assert_true(same(stream[GATE_STREAM_SILENT], eproc_halt_log(&e)));
	assert_true(fabs(stream[GATE_STREAM_CRASH]) < 1e-12);
}

static void add_signature(struct gate_stage *s, uint32_t number, uint32_t xc, uint32_t xk)
{
	struct evidence_row row = { .stream = STREAM_SIGNATURE,
		.signature = number,
		.closed_ms = 1,
		.xc = xc,
		.xk = xk,
		.ec = 1000,
		.ek = 9000 };

	gate_add(s, &rules, &row);
}

/* One process each, in the order of their numbers, however the rows come; beyond the last: none. */
static void test_signatures(void **state)
{
	double stream[GATE_STREAM__COUNT], v[3] = { 0 };
	const struct batch first = { 1, 0, 1000, 9000 }, third = { 3, 1, 1000, 9000 };
	struct gate_stage s = { 0 }, before;

	(void)state;
	add_signature(&s, 2, 1, 1);
	add_signature(&s, 2, 2, 0);
	assert_int_equal(s.n_signatures, 3);
	add_signature(&s, 0, 1, 0);
	assert_int_equal(s.n_signatures, 3);
	v[0] = eproc_signature_log(&first);
	v[2] = eproc_signature_log(&third);
	(void)gate_stage_log(&s, &rules, stream);
	assert_true(same(stream[GATE_STREAM_SIGNATURES], eproc_signatures_log(v, 3)));
	before = s;
	add_signature(&s, GATE_SIGNATURES, 9, 0);
	add_signature(&s, UINT32_MAX, 9, 0);
	assert_memory_equal(&s, &before, sizeof(s));
	add_signature(&s, GATE_SIGNATURES - 1, 9, 0);
	assert_int_equal(s.n_signatures, GATE_SIGNATURES);
	assert_true(gate_stage_log(&s, &rules, stream) > 0);
}

/* Devices that came to each arm, `odds_c` of `of` to the canary; looked at after every hundred. */
static bool trips(uint64_t seed, const struct gate_rules *r, unsigned odds_c, unsigned of)
{
	struct rng rng = { seed };
	struct gate_stage s = { 0 };
	bool tripped = false;

	for (unsigned i = 1; i <= 4000 && !tripped; i++) {
		if (rng_below(&rng, of) < odds_c)
			s.offered++;
		else
			s.control++;
		if (i % 100 == 0)
			tripped = gate_split_log(&s, r) >= log(GATE_SPLIT);
	}
	return tripped;
}

static void test_split(void **state)
{
	struct gate_rules r = rules;
	struct gate_stage s = { .offered = 100000, .control = 3 };

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		assert_false(trips(seed, &r, 1, 10));
		assert_true(trips(seed, &r, 2, 3));
		assert_true(trips(seed, &r, 1, 20)); /* canaries do not come */
	}
	r.canary = r.control = .5;
	for (uint64_t seed = 0; seed < 100; seed++)
		assert_false(trips(seed, &r, 1, 2));
	/* Without a control there is no split. */
	r.control = 0;
	assert_true(fabs(gate_split_log(&s, &r)) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_turns_bad_late),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_no_tolerance),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
