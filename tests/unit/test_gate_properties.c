/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every stage, on random ones: more canary events never lower K, the order of
 * reports within a batch does not matter, a device counted twice changes nothing.
 */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "rng.h"
#include "server/core/capital.h"

#define HOUR    3600000ull
#define START   (1000 * HOUR)
#define DEVICES 40u
#define BATCHES 12u
#define REPORTS 12u /* in a batch, at most */
#define STORIES 1500u

/* What a canary must not do, and what a device tells otherwise. */
static const enum stream harm[] = { STREAM_CRASH, STREAM_CRASH_LOOP, STREAM_SYMPTOM,
	STREAM_SYMPTOM + 5, STREAM_BOOT, STREAM_INSTALL, STREAM_ROLLBACK };
static const enum stream other[] = { STREAM_DOWNLOADED, STREAM_INSTALLING, STREAM_INSTALLED,
	STREAM_BOOT_OK };

struct report {
	uint32_t device, seq;
	enum stream stream;
};

/* All that happens to a stage, to be told in one way or another. */
struct story {
	struct gate_rules rules;
	uint64_t settle_ms;
	struct {
		enum arm arm;
		uint32_t group, batch; /* in which it enters */
	} device[DEVICES];
	struct {
		uint64_t closes_ms;
		struct report report[REPORTS + 2];
		uint32_t n;
		uint32_t judged; /* device */
		bool silent;
		int closes_group, leaves; /* -1: none */
	} batch[BATCHES];
};

static struct report random_report(struct rng *r, bool harmful)
{
	struct report e = { .device = (uint32_t)rng_below(r, DEVICES), .seq = 1 };

	if (harmful || rng_below(r, 2) != 0)
		e.stream = harm[rng_below(r, COUNT(harm))];
	else
		e.stream = other[rng_below(r, COUNT(other))];
	return e;
}

static void make_batch(struct story *s, struct rng *r, uint32_t b, uint64_t *now_ms)
{
	*now_ms += 1 + rng_below(r, 20 * HOUR);
	s->batch[b].closes_ms = *now_ms;
	s->batch[b].n = (uint32_t)rng_below(r, REPORTS + 1);
	for (uint32_t i = 0; i < s->batch[b].n; i++)
		s->batch[b].report[i] = random_report(r, false);
	s->batch[b].judged = (uint32_t)rng_below(r, DEVICES);
	s->batch[b].silent = rng_below(r, 3) == 0;
	s->batch[b].closes_group = rng_below(r, 10) == 0 ? (int)rng_below(r, EVIDENCE_GROUPS) : -1;
	s->batch[b].leaves = rng_below(r, 4) == 0 ? (int)rng_below(r, DEVICES) : -1;
}

static void make_story(struct story *s, struct rng *r)
{
	uint64_t now_ms = START;

	memset(s, 0, sizeof(*s));
	s->settle_ms = rng_below(r, 3) * 8 * HOUR;
	s->rules = (struct gate_rules){ .tolerance = 2,
		.limit = { .01, .02, .05, .06 },
		.budget = .1 + .2 * (double)rng_below(r, 5),
		.soak_ms = HOUR,
		.max_soak_ms = 1000 * HOUR,
		.restart_ms = 24 * HOUR,
		.settles = s->settle_ms > 0,
		.canary = .5,
		.control = .5 };
	for (uint32_t i = 0; i < DEVICES; i++) {
		s->device[i].arm = rng_below(r, 2) ? ARM_CANARY : ARM_CONTROL;
		s->device[i].group = (uint32_t)rng_below(r, EVIDENCE_GROUPS);
		s->device[i].batch = (uint32_t)rng_below(r, rng_below(r, 2) ? 1 : BATCHES);
	}
	for (uint32_t b = 0; b < BATCHES; b++)
		make_batch(s, r, b, &now_ms);
}

/* How it is told. */
struct telling {
	uint64_t shuffle; /* seed; 0: in order */
	uint32_t times;   /* each report is sent so often */
};

struct told {
	struct evidence e;
	struct evidence_device d[DEVICES];
	struct evidence_row rows[BATCHES * EVIDENCE_ROWS];
	size_t n;
	struct capital capital;
};

static void shuffle(struct report *list, uint32_t n, struct rng *r)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)rng_below(r, i);
		struct report swap = list[i - 1];
		list[i - 1] = list[k];
		list[k] = swap;
	}
}

static void tell_reports(
	const struct story *s, uint32_t b, const struct telling *how, struct told *t)
{
	struct report list[REPORTS + 2];
	struct rng r = { how->shuffle + b };

	memcpy(list, s->batch[b].report, sizeof(list));
	if (how->shuffle != 0)
		shuffle(list, s->batch[b].n, &r);
	for (uint32_t k = 0; k < how->times; k++)
		for (uint32_t i = 0; i < s->batch[b].n; i++) {
			const struct report *e = &list[i];
			if (s->device[e->device].batch <= b)
				(void)evidence_event(
					&t->e, &t->d[e->device], e->stream, e->seq + k);
		}
}

static void tell_batch(const struct story *s, uint32_t b, const struct telling *how, struct told *t)
{
	int leaves = s->batch[b].leaves;
	uint64_t now_ms = s->batch[b].closes_ms;

	for (uint32_t i = 0; i < DEVICES; i++)
		if (s->device[i].batch == b)
			evidence_enter(&t->e, &t->d[i], s->device[i].arm, s->device[i].group, 0,
				t->e.opened_ms);
	tell_reports(s, b, how, t);
	if (s->device[s->batch[b].judged].batch <= b)
		evidence_judge(&t->e, &t->d[s->batch[b].judged], s->batch[b].silent);
	if (leaves >= 0 && s->device[leaves].batch <= b)
		evidence_leave(&t->e, &t->d[leaves]);
	if (s->batch[b].closes_group >= 0)
		evidence_close_group(&t->e, (uint32_t)s->batch[b].closes_group);
	t->n += evidence_close(&t->e, now_ms, 0, &t->rows[t->n]);
}

/* Tells it, adds it up and says log K. */
static double tell(const struct story *s, const struct telling *how, struct told *t)
{
	memset(t, 0, sizeof(*t));
	evidence_start(&t->e, s->settle_ms, START);
	for (uint32_t b = 0; b < BATCHES; b++)
		tell_batch(s, b, how, t);
	for (size_t i = 0; i < t->n; i++)
		gate_add(&t->capital.stage[0], &s->rules, &t->rows[i]);
	return capital_log(&t->capital, &s->rules, 1);
}

static const struct telling plainly = { .times = 1 };

/* Its first event counts, and an earlier one would take a later one's place: there is none. */
static void take_out(struct story *s, const struct report *e)
{
	for (uint32_t b = 0; b < BATCHES; b++)
		for (uint32_t i = s->batch[b].n; i > 0; i--) {
			struct report *list = s->batch[b].report;
			if (list[i - 1].device == e->device && list[i - 1].stream == e->stream)
				list[i - 1] = list[--s->batch[b].n];
		}
}

/*
 * One more event of a canary, in any batch, of any stream that harms.  A failure is one of a device
 * whose outcome is known: the outcome itself is an attempt in all limits, and a good one in the
 * others.
 */
static void test_more_events(void **state)
{
	static struct told a, b;
	struct rng r = { 41 };
	unsigned raised = 0;

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		double before, after;
		uint32_t at = (uint32_t)rng_below(&r, BATCHES);
		struct report more = random_report(&r, true);
		struct report ok = more;
		make_story(&s, &r);
		s.device[more.device].arm = ARM_CANARY;
		take_out(&s, &more);
		ok.stream = STREAM_BOOT_OK;
		if (more.stream >= STREAM_BOOT)
			s.batch[at].report[s.batch[at].n++] = ok;
		before = tell(&s, &plainly, &a);
		s.batch[at].report[s.batch[at].n++] = more;
		after = tell(&s, &plainly, &b);
		if (after < before - 1e-9 * fmax(1, fabs(before)))
			fail_msg("story %u: device %u, stream %d in batch %u: %.12g, %.12g", i,
				more.device, more.stream, at, before, after);
		raised += after > before + 1e-9;
	}
	assert_true(raised > STORIES / 4);
}

/* The same of rows: one more event in any of them. */
static void test_more_in_a_row(void **state)
{
	static struct told t;
	struct rng r = { 46 };

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		static struct capital c;
		struct evidence_row *row;
		double before;
		make_story(&s, &r);
		before = tell(&s, &plainly, &t);
		row = &t.rows[rng_below(&r, t.n)];
		if (row->stream > STREAM_S1)
			continue; /* what is no harm */
		row->xc++;
		memset(&c.stage[0], 0, sizeof(c.stage[0]));
		for (size_t k = 0; k < t.n; k++)
			gate_add(&c.stage[0], &s.rules, &t.rows[k]);
		assert_true(capital_log(&c, &s.rules, 1) >= before - 1e-9 * fmax(1, fabs(before)));
	}
}

static void check_same(const struct story *s, const struct telling *how)
{
	static struct told a, b;
	double log_a = tell(s, &plainly, &a), log_b = tell(s, how, &b);

	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.rows, b.rows, a.n * sizeof(a.rows[0]));
	assert_memory_equal(&a.e, &b.e, sizeof(a.e));
	assert_memory_equal(a.d, b.d, sizeof(a.d));
	assert_true(log_a == log_b);
}

static void test_order_of_reports(void **state)
{
	struct rng r = { 42 };

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		struct telling how = { .shuffle = 1 + rng_u64(&r) / 2, .times = 1 };
		make_story(&s, &r);
		check_same(&s, &how);
	}
}

/* Strata of a stage write the rows of a batch one after another: their order is no matter either. */
static void test_order_of_rows(void **state)
{
	static struct told t;
	struct rng r = { 43 };

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		static struct capital c;
		double want, have;
		make_story(&s, &r);
		want = tell(&s, &plainly, &t);
		memset(&c.stage[0], 0, sizeof(c.stage[0]));
		for (size_t from = 0, to; from < t.n; from = to) {
			to = from;
			while (to < t.n && t.rows[to].batch == t.rows[from].batch)
				to++;
			for (size_t k = to; k > from; k--)
				gate_add(&c.stage[0], &s.rules, &t.rows[k - 1]);
		}
		have = capital_log(&c, &s.rules, 1);
		assert_true(fabs(have - want) <= 1e-9 * fmax(1, fabs(want)));
	}
}

/* As when a reply was lost: all of a batch again, with the numbers it had or with new ones. */
static void test_counted_twice(void **state)
{
	struct rng r = { 44 };

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		struct telling how = { .times = 2 + (uint32_t)rng_below(&r, 3) };
		make_story(&s, &r);
		check_same(&s, &how);
	}
}

/* A device that reports again in a later batch, after everybody else. */
static void test_again_later(void **state)
{
	static struct told a, b;
	struct rng r = { 45 };

	(void)state;
	for (unsigned i = 0; i < STORIES; i++) {
		static struct story s;
		double before;
		uint32_t at, later;
		make_story(&s, &r);
		before = tell(&s, &plainly, &a);
		at = (uint32_t)rng_below(&r, BATCHES);
		later = at + (uint32_t)rng_below(&r, BATCHES - at);
		if (s.batch[at].n == 0)
			continue;
		struct report again = s.batch[at].report[0];
		if (s.device[again.device].batch > at)
			continue; /* it was not there yet */
		again.seq++;
		s.batch[later].report[s.batch[later].n++] = again;
		assert_true(tell(&s, &plainly, &b) == before);
		assert_memory_equal(&a.e, &b.e, sizeof(a.e));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more_events),
		cmocka_unit_test(test_more_in_a_row),
		cmocka_unit_test(test_order_of_reports),
		cmocka_unit_test(test_order_of_rows),
		cmocka_unit_test(test_counted_twice),
		cmocka_unit_test(test_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
