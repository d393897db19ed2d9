/* SPDX-License-Identifier: Apache-2.0 */
/* Random lives of a stage, against a model that remembers every device and counts from
 * scratch. */
#include "unit.h"

#include <string.h>

#include "rng.h"
#include "server/core/evidence.h"

#define DEVICES 60u
#define STEPS   600u
#define LIVES   150u

struct model_device {
	bool in, gone;
	enum arm arm;
	uint32_t group, seq, batch;
	bool seen[STREAM__COUNT];
};

struct model {
	struct model_device d[DEVICES];
	bool closed[EVIDENCE_GROUPS];
	uint32_t batch, counted;
	uint64_t opened_ms;
	uint32_t frozen[ARM__COUNT][STREAM__COUNT], open[ARM__COUNT][STREAM__COUNT],
		total[ARM__COUNT][STREAM__COUNT];
};

struct life {
	struct rng rng;
	struct model m;
	struct evidence e;
	struct evidence_device d[DEVICES];
	uint64_t now_ms;
};

static bool is_followed(const struct model *m, const struct model_device *d)
{
	return d->in && !d->gone && (d->arm == ARM_CANARY || !m->closed[d->group]);
}

static uint32_t at_risk(const struct model *m, enum arm arm, unsigned stream)
{
	uint32_t n = 0;

	for (size_t i = 0; i < DEVICES; i++)
		n += is_followed(m, &m->d[i]) && m->d[i].arm == arm && !m->d[i].seen[stream];
	return n;
}

static bool is_compared(unsigned s)
{
	return s == STREAM_CRASH || s == STREAM_CRASH_LOOP || (s >= 2 && s <= 9);
}

static bool model_mark(struct model *m, struct model_device *d, unsigned s)
{
	if (d->seen[s])
		return false;
	d->seen[s] = true;
	m->total[d->arm][s]++;
	if (!is_compared(s) || d->batch < m->batch) {
		m->open[d->arm][s]++;
		m->counted += s != STREAM_JUDGED && s != STREAM_S1_DUE;
	}
	return true;
}

static bool model_event(struct model *m, struct model_device *d, unsigned s, uint32_t seq)
{
	bool outcome = s == STREAM_BOOT_OK || s == STREAM_BOOT || s == STREAM_INSTALL ||
		s == STREAM_ROLLBACK || s == STREAM_S1;

	if (!is_followed(m, d) || seq <= d->seq || !model_mark(m, d, s))
		return false;
	if (outcome)
		(void)model_mark(m, d, STREAM_RESOLVED);
	return true;
}

static void model_open(struct model *m, uint64_t now_ms)
{
	m->opened_ms = now_ms;
	m->counted = 0;
	memset(m->open, 0, sizeof(m->open));
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		m->frozen[ARM_CANARY][s] = at_risk(m, ARM_CANARY, s);
		m->frozen[ARM_CONTROL][s] = at_risk(m, ARM_CONTROL, s);
	}
}

static void step_enter(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	struct model_device *d = &l->m.d[i];

	if (d->in)
		return;
	*d = (struct model_device){ .in = true,
		.arm = rng_below(&l->rng, 2) ? ARM_CANARY : ARM_CONTROL,
		.group = (uint32_t)rng_below(&l->rng, EVIDENCE_GROUPS),
		.seq = (uint32_t)rng_below(&l->rng, 20),
		.batch = l->m.batch };
	l->m.open[d->arm][STREAM_ENTERED]++;
	evidence_enter(&l->e, &l->d[i], d->arm, d->group, d->seq, l->now_ms);
	assert_int_equal(l->d[i].entered_ms, l->now_ms);
}

static void step_event(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	unsigned s = (unsigned)rng_below(&l->rng, STREAM_RESOLVED);
	uint32_t seq = (uint32_t)rng_below(&l->rng, 60);

	if (!l->m.d[i].in)
		return;
	assert_int_equal(evidence_event(&l->e, &l->d[i], (enum stream)s, seq),
		model_event(&l->m, &l->m.d[i], s, seq));
}

static void step_leave(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);

	if (!l->m.d[i].in)
		return;
	if (is_followed(&l->m, &l->m.d[i]))
		l->m.d[i].gone = true;
	evidence_leave(&l->e, &l->d[i]);
}

static void step_group(struct life *l)
{
	uint32_t g = (uint32_t)rng_below(&l->rng, EVIDENCE_GROUPS);

	/* Seldom, or nothing would be left. */
	if (rng_below(&l->rng, 4) != 0)
		return;
	l->m.closed[g] = true;
	evidence_close_group(&l->e, g);
}

static void check_rows(struct life *l, uint32_t held)
{
	struct evidence_row rows[EVIDENCE_ROWS];
	size_t n = evidence_close(&l->e, l->now_ms, held, rows), at = 0;

	l->m.open[ARM_CANARY][STREAM_HELD] = held;
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		uint32_t xc = l->m.open[ARM_CANARY][s], xk = l->m.open[ARM_CONTROL][s];
		if (xc + xk == 0 && s != STREAM_ENTERED)
			continue;
		assert_true(at < n);
		assert_int_equal(rows[at].stream, s);
		assert_int_equal(rows[at].batch, l->m.batch);
		assert_int_equal(rows[at].closed_ms, l->now_ms);
		assert_int_equal(rows[at].xc, xc);
		assert_int_equal(rows[at].xk, xk);
		assert_int_equal(rows[at].ec, l->m.frozen[ARM_CANARY][s]);
		assert_int_equal(rows[at].ek, l->m.frozen[ARM_CONTROL][s]);
		/* No more events than devices that could have had them. */
		if (is_compared(s))
			assert_true(xc <= rows[at].ec && xk <= rows[at].ek);
		at++;
	}
	assert_int_equal(at, n);
}

static void step_close(struct life *l)
{
	if (rng_below(&l->rng, 3) != 0)
		return;
	check_rows(l, (uint32_t)rng_below(&l->rng, 3));
	l->m.batch++;
	model_open(&l->m, l->now_ms);
}

static void check(const struct life *l)
{
	uint32_t entered[ARM__COUNT] = { 0 };

	for (size_t i = 0; i < DEVICES; i++)
		if (l->m.d[i].in)
			entered[l->m.d[i].arm]++;
	for (unsigned arm = 0; arm < ARM__COUNT; arm++) {
		assert_int_equal(l->e.entered[arm], entered[arm]);
		for (unsigned s = 0; s < STREAM__COUNT; s++) {
			assert_int_equal(l->e.total[arm][s], l->m.total[arm][s]);
			assert_int_equal(evidence_at_risk(&l->e, (enum arm)arm, s),
				at_risk(&l->m, (enum arm)arm, s));
		}
	}
	assert_int_equal(l->e.batch, l->m.batch);
	assert_int_equal(evidence_due(&l->e, l->now_ms, 1000),
		l->now_ms >= l->m.opened_ms + 1000 || l->m.counted >= EVIDENCE_MAX_EVENTS);
}

static void test_random_lives(void **state)
{
	static void (*const steps[])(struct life *) = { step_enter, step_event, step_event,
		step_event, step_event, step_leave, step_group, step_close };
	static struct life l;

	(void)state;
	for (uint64_t seed = 0; seed < LIVES; seed++) {
		memset(&l, 0, sizeof(l));
		l.rng.state = seed;
		l.now_ms = 5000;
		evidence_start(&l.e, 0, l.now_ms);
		model_open(&l.m, l.now_ms);
		for (unsigned i = 0; i < STEPS; i++) {
			l.now_ms += rng_below(&l.rng, 200);
			steps[rng_below(&l.rng, COUNT(steps))](&l);
			check(&l);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
