/* SPDX-License-Identifier: Apache-2.0 */
/* Random lives of a stage, against a model that remembers every device and counts from scratch. */
#include "unit.h"

#include <string.h>

#include "rng.h"
#include "server/core/evidence.h"

#define DEVICES 60u
#define STEPS   600u
#define LIVES   150u
#define START   5000u

struct model_device {
	bool in, gone;
	enum arm arm;
	uint32_t group, seq, batch;
	uint64_t came_ms; /* when its batch opened */
	bool seen[STREAM__COUNT];
};

struct model {
	struct model_device d[DEVICES];
	bool closed[EVIDENCE_GROUPS];
	uint32_t batch, counted;
	uint64_t settle_ms, opened_ms;
	/* By age: those that are not compared are steady. */
	uint32_t frozen[AGE__COUNT][ARM__COUNT][STREAM__COUNT];
	uint32_t open[AGE__COUNT][ARM__COUNT][STREAM__COUNT];
	uint32_t total[ARM__COUNT][STREAM__COUNT], judged[ARM__COUNT];
};

struct life {
	struct rng rng;
	struct model m;
	struct evidence e;
	struct evidence_device d[DEVICES];
	uint64_t now_ms;
};

/* From the end of the slot in which it came: until an eighth of the settle time is full. */
static enum age age_of(const struct model *m, const struct model_device *d)
{
	uint64_t eighth = m->settle_ms / 8, end;

	if (m->settle_ms == 0)
		return AGE_STEADY;
	end = (d->came_ms - START) / eighth * eighth + 9 * eighth;
	return m->opened_ms - START < end ? AGE_YOUNG : AGE_STEADY;
}

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
		m->open[is_compared(s) ? age_of(m, d) : AGE_STEADY][d->arm][s]++;
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
	memset(m->frozen, 0, sizeof(m->frozen));
	memset(m->judged, 0, sizeof(m->judged));
	for (size_t i = 0; i < DEVICES; i++) {
		const struct model_device *d = &m->d[i];
		for (unsigned s = 0; s < STREAM__COUNT && is_followed(m, d); s++)
			if (!d->seen[s])
				m->frozen[is_compared(s) ? age_of(m, d) : AGE_STEADY][d->arm][s]++;
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
		.batch = l->m.batch,
		.came_ms = l->m.opened_ms };
	l->m.open[AGE_STEADY][d->arm][STREAM_ENTERED]++;
	evidence_enter(&l->e, &l->d[i], d->arm, d->group, d->seq, l->now_ms);
	assert_int_equal(l->d[i].entered_ms, l->now_ms);
}

static void step_event(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	unsigned s = (unsigned)rng_below(&l->rng, STREAM_RESOLVED);
	uint32_t seq = (uint32_t)rng_below(&l->rng, 60);

	if (!l->m.d[i].in || s == STREAM_SILENT) /* it is judged, not told */
		return;
	assert_int_equal(evidence_event(&l->e, &l->d[i], (enum stream)s, seq),
		model_event(&l->m, &l->m.d[i], s, seq));
}

static void step_judge(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	struct model_device *d = &l->m.d[i];
	bool silent = rng_below(&l->rng, 4) == 0;

	if (!d->in)
		return;
	evidence_judge(&l->e, &l->d[i], silent);
	if (!is_followed(&l->m, d) || d->seen[STREAM_SILENT])
		return;
	(void)model_mark(&l->m, d, STREAM_JUDGED);
	l->m.judged[d->arm]++;
	if (silent)
		(void)model_mark(&l->m, d, STREAM_SILENT);
}

static void step_s1(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	struct model_device *d = &l->m.d[i];
	bool failed = false;

	if (!d->in)
		return;
	if (is_followed(&l->m, d) && model_mark(&l->m, d, STREAM_S1_DUE))
		failed = !d->seen[STREAM_RESOLVED] && model_mark(&l->m, d, STREAM_S1) &&
			model_mark(&l->m, d, STREAM_RESOLVED);
	assert_int_equal(evidence_s1(&l->e, &l->d[i]), failed);
}

static void step_signature(struct life *l)
{
	size_t i = rng_below(&l->rng, DEVICES);
	const struct model_device *d = &l->m.d[i];
	bool counts = is_followed(&l->m, d) && d->batch < l->m.batch;

	if (d->in)
		assert_int_equal(evidence_signature(&l->e, &l->d[i]), counts ? d->arm : ARM_NONE);
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

/* Those of it at risk now are out of the open batch; none can be missing twice. */
static void model_leave_group(struct model *m, uint32_t g)
{
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		uint32_t *steady = &m->frozen[AGE_STEADY][ARM_CONTROL][s];
		uint32_t *young = &m->frozen[AGE_YOUNG][ARM_CONTROL][s];
		uint32_t all = *steady + *young, leave = 0, leave_young = 0;
		for (size_t i = 0; i < DEVICES; i++) {
			const struct model_device *d = &m->d[i];
			bool in = is_followed(m, d) && d->arm == ARM_CONTROL && d->group == g;
			leave += in && !d->seen[s];
			leave_young +=
				in && !d->seen[s] && is_compared(s) && age_of(m, d) == AGE_YOUNG;
		}
		*young -= *young < leave_young ? *young : leave_young;
		*steady = all - (all < leave ? all : leave) - *young;
	}
}

static void step_group(struct life *l)
{
	uint32_t g = (uint32_t)rng_below(&l->rng, EVIDENCE_GROUPS);

	/* Seldom, or nothing would be left. */
	if (rng_below(&l->rng, 4) != 0)
		return;
	if (!l->m.closed[g])
		model_leave_group(&l->m, g);
	l->m.closed[g] = true;
	evidence_close_group(&l->e, g);
}

/* What the row of a stream and age must say; an exposure that is not frozen is of those judged. */
static struct evidence_row wanted(const struct life *l, unsigned s, enum age age)
{
	const struct model *m = &l->m;
	bool silent = s == STREAM_SILENT;

	return (struct evidence_row){
		.batch = m->batch,
		.stream = s,
		.age = age,
		.closed_ms = l->now_ms,
		.xc = m->open[age][ARM_CANARY][s],
		.xk = m->open[age][ARM_CONTROL][s],
		.ec = silent ? m->judged[ARM_CANARY] : m->frozen[age][ARM_CANARY][s],
		.ek = silent ? m->judged[ARM_CONTROL] : m->frozen[age][ARM_CONTROL][s],
	};
}

static void check_row(const struct evidence_row *r, const struct evidence_row *want)
{
	assert_int_equal(r->batch, want->batch);
	assert_int_equal(r->stream, want->stream);
	assert_int_equal(r->age, want->age);
	assert_int_equal(r->closed_ms, want->closed_ms);
	assert_int_equal(r->xc, want->xc);
	assert_int_equal(r->xk, want->xk);
	assert_int_equal(r->ec, want->ec);
	assert_int_equal(r->ek, want->ek);
	/* No more events than devices that could have had them. */
	if (is_compared(r->stream) || r->stream == STREAM_SILENT)
		assert_true(r->xc <= r->ec && r->xk <= r->ek);
}

static void check_rows(struct life *l, uint32_t held)
{
	struct evidence_row rows[EVIDENCE_ROWS];
	size_t n = evidence_close(&l->e, l->now_ms, held, rows), at = 0;

	l->m.open[AGE_STEADY][ARM_CANARY][STREAM_HELD] = held;
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		for (int age = AGE_YOUNG; age >= AGE_STEADY; age--) {
			struct evidence_row want = wanted(l, s, (enum age)age);
			if (want.xc + want.xk == 0 && (s != STREAM_ENTERED || age == AGE_YOUNG))
				continue;
			assert_true(at < n);
			check_row(&rows[at++], &want);
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
	for (unsigned arm = 0; arm < ARM__COUNT; arm++)
		for (unsigned s = 0; s < STREAM_COMPARED; s++) {
			assert_int_equal(l->e.frozen_young[arm][s], l->m.frozen[AGE_YOUNG][arm][s]);
			assert_int_equal(l->e.frozen[arm][s],
				l->m.frozen[AGE_YOUNG][arm][s] + l->m.frozen[AGE_STEADY][arm][s]);
		}
	assert_int_equal(l->e.batch, l->m.batch);
	assert_int_equal(evidence_due(&l->e, l->now_ms, 1000),
		l->now_ms >= l->m.opened_ms + 1000 || l->m.counted >= EVIDENCE_MAX_EVENTS);
}

/* From none to one that outlasts every life; batches are shorter than a slot, and far longer. */
static const uint64_t settles[] = { 0, 8, 800, 4000, 16000, 100000000 };

static void test_random_lives(void **state)
{
	static void (*const steps[])(struct life *) = { step_enter, step_enter, step_event,
		step_event, step_event, step_event, step_judge, step_s1, step_signature, step_leave,
		step_group, step_close, step_close };
	static struct life l;

	(void)state;
	for (uint64_t seed = 0; seed < LIVES; seed++) {
		memset(&l, 0, sizeof(l));
		l.rng.state = seed;
		l.now_ms = START;
		l.m.settle_ms = settles[seed % COUNT(settles)];
		evidence_start(&l.e, l.m.settle_ms, l.now_ms);
		model_open(&l.m, l.now_ms);
		for (unsigned i = 0; i < STEPS; i++) {
			l.now_ms += rng_below(&l.rng, rng_below(&l.rng, 20) == 0 ? 5000 : 100);
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
