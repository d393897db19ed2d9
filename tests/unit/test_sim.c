/* SPDX-License-Identifier: Apache-2.0 */
/* The made-up fleet: does it count like evidence.c, and does it play fair? */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/sim/rollout.h"

#define HOUR 3600000ull
#define LOTS 20000u

/* ---- a plan of two stages, built by hand ---- */

struct small_plan {
	Pb__StageSpec stage[2], *list[2];
	Pb__PlanSpec spec;
};

static void make_plan(struct small_plan *p)
{
	p->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	for (size_t i = 0; i < 2; i++) {
		Pb__StageSpec *s = p->list[i] = &p->stage[i];
		*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
		s->ring = PB__RING__RING_DEV;
		s->share_ppm = i == 0 ? 100000 : 400000;
		s->soak_ms = 24 * HOUR;
		s->max_soak_ms = 96 * HOUR;
		s->boot_ppm = s->install_ppm = s->rollback_ppm = 20000;
		s->s1_ppm = 60000;
	}
	p->spec.stages = p->list;
	p->spec.n_stages = 2;
	p->spec.settle_ms = 6 * HOUR;
	p->spec.watch_ms = 48 * HOUR;
	p->spec.batch_ms = HOUR;
	p->spec.restart_ms = 24 * HOUR;
}

/* ---- the same devices, one by one, in evidence.c ---- */

struct phone {
	struct evidence_device d;
	uint32_t side, batch;
};

struct shadow {
	bool on;
	uint32_t step;
	struct evidence e;
	struct phone *phone;
	size_t n;
	struct evidence_row rows[2 * EVIDENCE_ROWS]; /* of the open batch, as the simulation says */
	size_t n_rows;
	uint32_t batches, closed, compared;
	uint64_t first_ms;
};

static void shadow_enter(struct shadow *s, const struct book_event *e)
{
	for (uint32_t i = 0; i < e->n; i++) {
		struct phone *p = &s->phone[s->n++];
		assert_true(s->n <= LOTS);
		*p = (struct phone){ .side = e->side, .batch = s->e.batch };
		evidence_enter(&s->e, &p->d, e->side == 0 ? ARM_CANARY : ARM_CONTROL,
			e->side == 0 ? 0 : e->side - 1, 0, s->e.opened_ms);
	}
}

static bool has(const struct phone *p, enum stream stream)
{
	return (p->d.seen & 1u << stream) != 0;
}

/* Some phone of the side and batch takes the event; there must be one. */
static void shadow_event(struct shadow *s, const struct book_event *e)
{
	uint32_t left = e->n;

	for (size_t i = 0; i < s->n && left > 0; i++) {
		struct phone *p = &s->phone[i];
		bool compared = e->stream < STREAM_COMPARED;
		if (p->side != e->side || has(p, e->stream))
			continue;
		if (compared && (e->old ? p->batch > e->batch : p->batch != e->batch))
			continue;
		if (!compared && has(p, STREAM_RESOLVED))
			continue;
		assert_true(evidence_event(&s->e, &p->d, e->stream, 1));
		left--;
	}
	assert_int_equal(left, 0);
}

static void shadow_judge(struct shadow *s, const struct book_event *e)
{
	uint32_t left = e->n, bad = e->bad;
	bool again = e->kind == BOOK_JUDGE_AGAIN;

	for (size_t i = 0; i < s->n && left > 0; i++) {
		struct phone *p = &s->phone[i];
		if (p->side != e->side || has(p, STREAM_JUDGED) != again || has(p, STREAM_SILENT))
			continue;
		evidence_judge(&s->e, &p->d, bad > 0);
		bad -= bad > 0;
		left--;
	}
	assert_int_equal(left, 0);
}

static void shadow_s1(struct shadow *s, const struct book_event *e)
{
	uint32_t bad = e->bad, good = e->n - e->bad;

	for (size_t i = 0; i < s->n && bad + good > 0; i++) {
		struct phone *p = &s->phone[i];
		uint32_t *left = has(p, STREAM_RESOLVED) ? &good : &bad;
		if (p->side != 0 || has(p, STREAM_S1_DUE) || *left == 0)
			continue;
		assert_int_equal(evidence_s1(&s->e, &p->d), left == &bad);
		--*left;
	}
	assert_int_equal(bad + good, 0);
}

static void take_event(void *to, uint32_t step, uint32_t book, const struct book_event *e)
{
	static void (*const take[])(struct shadow *, const struct book_event *) = {
		[BOOK_ENTER] = shadow_enter,
		[BOOK_EVENT] = shadow_event,
		[BOOK_JUDGE] = shadow_judge,
		[BOOK_JUDGE_AGAIN] = shadow_judge,
		[BOOK_S1] = shadow_s1,
	};
	struct shadow *s = to;

	assert_int_equal(book, 0);
	if (step != s->step)
		return;
	if (e->kind == BOOK_CLOSED) {
		evidence_close_group(&s->e, e->side - 1);
		s->closed++;
	} else {
		take[e->kind](s, e);
	}
}

static const struct evidence_row *find(const struct shadow *s, const struct evidence_row *like)
{
	for (size_t i = 0; i < s->n_rows; i++)
		if (s->rows[i].stream == like->stream && s->rows[i].age == like->age)
			return &s->rows[i];
	return NULL;
}

/* Streams whose at-risk numbers no verdict uses are 0 in the simulation. */
static void check_row(struct shadow *s, const struct evidence_row *want)
{
	const struct evidence_row *got = find(s, want);
	bool compared = want->stream <= STREAM_SILENT;

	if (got == NULL) {
		fail_msg("batch %u: no row of stream %d, age %d", want->batch, want->stream,
			want->age);
		return;
	}
	if (got->batch != want->batch || got->xc != want->xc || got->xk != want->xk ||
		(compared && (got->ec != want->ec || got->ek != want->ek)))
		fail_msg("batch %u, stream %d, age %d: %u %u of %u %u, not %u %u of %u %u",
			want->batch, want->stream, want->age, got->xc, got->xk, got->ec, got->ek,
			want->xc, want->xk, want->ec, want->ek);
	s->compared += compared;
}

/* The last row of a batch: now evidence.c closes its own. */
static void close_batch(struct shadow *s, const struct evidence_row *last)
{
	struct evidence_row rows[EVIDENCE_ROWS];
	const struct evidence_row *held =
		find(s, &(struct evidence_row){ .stream = STREAM_HELD, .age = AGE_STEADY });
	size_t n = evidence_close(&s->e, last->closed_ms, held != NULL ? held->xc : 0, rows);

	for (size_t i = 0; i < n; i++)
		check_row(s, &rows[i]);
	assert_int_equal(n, s->n_rows);
	s->n_rows = 0;
	s->batches++;
}

static void take_row(void *to, uint32_t step, uint32_t book, const struct evidence_row *row)
{
	struct shadow *s = to;

	(void)book;
	if (step != s->step || row->stream == STREAM_SIGNATURE)
		return;
	s->rows[s->n_rows++] = *row;
	if (row->stream == STREAM_ENTERED)
		close_batch(s, row);
}

/* Every row of a stage is what evidence.c says of the same devices. */
static void test_rows(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct small_plan p;
		struct shadow s = { .step = 0, .phone = calloc(LOTS, sizeof(*s.phone)) };
		struct sim_setup setup;
		make_plan(&p);
		setup = sim_setup(&p.spec, 3000);
		setup.world.crash = .2;
		setup.world.loop = setup.world.symptom = .05;
		setup.world.away = .1;
		setup.world.bad_boot = setup.world.bad_install = .01;
		setup.row = take_row;
		setup.event = take_event;
		setup.to = &s;
		/* A stage opens at its rollout's start; both clocks count from there. */
		evidence_start(&s.e, p.spec.settle_ms, SIM_BEGAN_MS);
		(void)sim_run(&setup, seed);
		assert_true(s.batches > 60 && s.n > 200 && s.compared > 200);
		assert_int_equal(s.closed, 1); /* the second stage took its part of the control */
		free(s.phone);
	}
}

/* ---- fairness ---- */

static void test_same_seed(void **state)
{
	struct small_plan p;
	struct sim_setup setup;
	struct sim_result a, b, other;

	(void)state;
	make_plan(&p);
	setup = sim_setup(&p.spec, 20000);
	a = sim_run(&setup, 7);
	b = sim_run(&setup, 7);
	other = sim_run(&setup, 8);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(memcmp(&a, &other, sizeof(a)) != 0);
}

/* All that enter are resolved, or are still out; nobody is counted twice. */
struct totals {
	uint64_t entered[ARM__COUNT], crashed[ARM__COUNT], resolved, s1_due, judged, silent,
		outcomes;
};

static void add_row(void *to, uint32_t step, uint32_t book, const struct evidence_row *row)
{
	struct totals *t = to;

	(void)step;
	(void)book;
	if (row->stream == STREAM_ENTERED) {
		t->entered[ARM_CANARY] += row->xc;
		t->entered[ARM_CONTROL] += row->xk;
	} else if (row->stream == STREAM_CRASH) {
		t->crashed[ARM_CANARY] += row->xc;
		t->crashed[ARM_CONTROL] += row->xk;
		assert_true(row->xc <= row->ec && row->xk <= row->ek);
	} else if (row->stream == STREAM_RESOLVED) {
		t->resolved += row->xc;
	} else if (row->stream == STREAM_S1_DUE) {
		t->s1_due += row->xc;
	} else if (row->stream == STREAM_JUDGED) {
		t->judged += row->xc;
	} else if (row->stream == STREAM_SILENT) {
		t->silent += row->xc;
		assert_true(row->xc <= row->ec && row->xk <= row->ek);
	} else if (row->stream == STREAM_BOOT_OK ||
		(row->stream >= STREAM_BOOT && row->stream <= STREAM_S1)) {
		t->outcomes += row->xc;
	}
}

static void test_nothing_is_lost(void **state)
{
	static const struct {
		const char *why;
		double brick, from_h, product;
	} row[] = { { "good", 0, 0, 1 }, { "bricks", .02, 0, 1 }, { "late bricks", .02, 30, 1 },
		{ "two models", .1, 0, .3 } };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct small_plan p;
		struct totals t = { .resolved = 0 };
		struct sim_setup setup;
		struct sim_result r;
		make_plan(&p);
		setup = sim_setup(&p.spec, 5000);
		setup.world.brick = row[i].brick;
		setup.world.from_h = row[i].from_h;
		setup.world.product = row[i].product;
		setup.row = add_row;
		setup.to = &t;
		r = sim_run(&setup, 3);
		if (t.entered[ARM_CANARY] != r.offered || t.outcomes != t.resolved ||
			t.resolved > r.offered || t.s1_due > r.offered || t.judged > r.offered ||
			t.silent > t.judged || t.crashed[ARM_CANARY] > r.offered)
			fail_msg("%s: the sums do not agree", row[i].why);
		if ((row[i].brick > 0) != (r.hurt.bricked > 0))
			fail_msg("%s: %u bricks", row[i].why, r.hurt.bricked);
	}
}

/* The crash stream of a day, as the gate adds it up. */
static void add_crash(void *to, uint32_t step, uint32_t book, const struct evidence_row *row)
{
	struct batch b = { row->xc, row->xk, row->ec, row->ek };

	(void)step;
	(void)book;
	if (row->stream == STREAM_CRASH && row->closed_ms <= SIM_BEGAN_MS + 24 * HOUR)
		eproc_halt_add(to, &b, 1);
}

/*
 * On a good build the e-value's mean is 1 at any fixed time, however the phones differ.  Looked at
 * through the smallest alternative, 1.2: of the others the mean hangs on a few runs.
 */
static void test_expectation(void **state)
{
	enum { RUNS = 2000 };
	double sum = 0, squares = 0, mean, error;
	struct small_plan p;
	struct sim_setup setup;

	(void)state;
	make_plan(&p);
	p.spec.n_stages = 1;
	p.spec.watch_ms = p.spec.settle_ms = 0;
	setup = sim_setup(&p.spec, 4000);
	setup.world.crash = .05;
	setup.world.diurnal = .8;
	setup.world.eager = 1;
	setup.row = add_crash;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		struct eproc_halt crash = { { 0 } };
		double e;
		setup.to = &crash;
		(void)sim_run(&setup, seed);
		e = exp(crash.l[0]);
		sum += e;
		squares += e * e;
	}
	mean = sum / RUNS;
	error = sqrt((squares / RUNS - mean * mean) / RUNS);
	if (fabs(mean - 1) > 4 * error || error > .1)
		fail_msg("mean %.3f, error %.3f", mean, error);
}

static void test_binomial(void **state)
{
	static const struct {
		uint32_t n;
		double p;
	} row[] = { { 10, .3 }, { 1000, .001 }, { 1000, .5 }, { 100000, .01 }, { 900000, .7 },
		{ 50, .97 } };
	struct chance r;

	(void)state;
	chance_init(&r, 1);
	for (size_t i = 0; i < COUNT(row); i++) {
		double n = row[i].n, mean = n * row[i].p, var = mean * (1 - row[i].p);
		double sum = 0, squares = 0, runs = 20000;
		for (unsigned k = 0; k < (unsigned)runs; k++) {
			double x = chance_binomial(&r, row[i].n, row[i].p);
			assert_true(x <= n);
			sum += x - mean;
			squares += (x - mean) * (x - mean);
		}
		assert_true(fabs(sum / runs) < 5 * sqrt(var / runs));
		assert_true(fabs(squares / runs / var - 1) < .07);
	}
	assert_int_equal(chance_binomial(&r, 5, 0), 0);
	assert_int_equal(chance_binomial(&r, 5, 1), 5);
	assert_int_equal(chance_binomial(&r, 0, .5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_same_seed),
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_expectation),
		cmocka_unit_test(test_binomial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
