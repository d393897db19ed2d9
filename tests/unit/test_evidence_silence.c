/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that do not come back, boots that do not come in time, and first crashes of a kind. */
#include "unit.h"

#include <string.h>

#include "server/core/evidence.h"

#define NOW  1000000ull
#define EACH 4u

/* Four canaries and four controls, each in a group of its own, that entered before batch 1. */
struct fixture {
	struct evidence e;
	struct evidence_device canary[EACH], control[EACH];
	struct evidence_row rows[EVIDENCE_ROWS];
	size_t n;
};

static void close_batch(struct fixture *f)
{
	f->n = evidence_close(&f->e, NOW, 0, f->rows);
}

static void open_fixture(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	evidence_start(&f->e, 0, NOW);
	for (unsigned i = 0; i < EACH; i++) {
		evidence_enter(&f->e, &f->canary[i], ARM_CANARY, 0, 10, NOW);
		evidence_enter(&f->e, &f->control[i], ARM_CONTROL, i, 10, NOW);
	}
	close_batch(f);
}

static void check_row(const struct fixture *f, const char *why, struct evidence_row want)
{
	struct evidence_row r = { 0 };

	for (size_t i = 0; i < f->n; i++)
		if (f->rows[i].stream == want.stream)
			r = f->rows[i];
	if (r.xc != want.xc || r.xk != want.xk || r.ec != want.ec || r.ek != want.ek)
		fail_msg("%s: %u %u of %u %u", why, r.xc, r.xk, r.ec, r.ek);
}

/* A milestone: who is judged, and who of them is silent, a bit a device. */
struct milestone {
	const char *why;
	unsigned canary, canary_silent, control, control_silent;
	struct evidence_row silent, judged;
};

#define SILENT(...)                                                                                \
	{                                                                                          \
		.stream = STREAM_SILENT, __VA_ARGS__                                               \
	}
#define JUDGED(...)                                                                                \
	{                                                                                          \
		.stream = STREAM_JUDGED, __VA_ARGS__                                               \
	}

static const struct milestone milestones[] = {
	{ "some are judged, nobody is silent: no row of silence", 3, 0, 1, 0, SILENT(0),
		JUDGED(.xc = 2, .xk = 1, .ec = 4, .ek = 4) },
	{ "one is silent, of those judged now", 12, 4, 14, 2,
		SILENT(.xc = 1, .xk = 1, .ec = 2, .ek = 3),
		JUDGED(.xc = 2, .xk = 3, .ec = 2, .ek = 3) },
	{ "a later milestone: all but the silent are at risk again, nobody is new", 15, 1, 15, 0,
		SILENT(.xc = 1, .xk = 0, .ec = 3, .ek = 3), JUDGED(0) },
	{ "silent once: what is judged again changes nothing", 5, 5, 2, 2, SILENT(0), JUDGED(0) },
	{ "the last ones", 10, 10, 13, 13, SILENT(.xc = 2, .xk = 3, .ec = 2, .ek = 3), JUDGED(0) },
	{ "nobody is left", 15, 15, 15, 15, SILENT(0), JUDGED(0) },
};

static void test_milestones(void **state)
{
	static struct fixture f;

	(void)state;
	open_fixture(&f);
	for (size_t i = 0; i < COUNT(milestones); i++) {
		const struct milestone *m = &milestones[i];
		for (unsigned k = 0; k < EACH; k++) {
			if (m->canary & 1u << k)
				evidence_judge(&f.e, &f.canary[k], m->canary_silent & 1u << k);
			if (m->control & 1u << k)
				evidence_judge(&f.e, &f.control[k], m->control_silent & 1u << k);
		}
		close_batch(&f);
		check_row(&f, m->why, m->silent);
		check_row(&f, m->why, m->judged);
	}
	for (enum arm a = ARM_CANARY; a < ARM__COUNT; a++) {
		assert_int_equal(f.e.total[a][STREAM_JUDGED], EACH);
		assert_int_equal(f.e.total[a][STREAM_SILENT], EACH);
		assert_int_equal(f.e.total[a][STREAM_RESOLVED], 0);
	}
}

/* Twice at one milestone, and of devices that do not count any more. */
static void test_who_is_judged(void **state)
{
	static struct fixture f;

	(void)state;
	open_fixture(&f);
	evidence_judge(&f.e, &f.canary[0], true);
	evidence_judge(&f.e, &f.canary[0], true);
	evidence_leave(&f.e, &f.canary[1]);
	evidence_judge(&f.e, &f.canary[1], true);
	evidence_close_group(&f.e, 2);
	evidence_judge(&f.e, &f.control[2], true);
	evidence_judge(&f.e, &f.control[3], false);
	close_batch(&f);
	check_row(&f, "one in each arm",
		(struct evidence_row)SILENT(.xc = 1, .xk = 0, .ec = 1, .ek = 1));
	check_row(&f, "judged", (struct evidence_row)JUDGED(.xc = 1, .xk = 1, .ec = 4, .ek = 3));
	assert_int_equal(f.canary[1].seen | f.control[2].seen, 0);
	/* Crowds that are judged say nothing yet: they do not fill a batch; the silent do. */
	f.e.events = 0;
	evidence_judge(&f.e, &f.canary[2], false);
	(void)evidence_s1(&f.e, &f.control[0]);
	assert_int_equal(f.e.events, 2); /* no boot in time, and so resolved */
	evidence_judge(&f.e, &f.canary[2], true);
	assert_int_equal(f.e.events, 3);
}

static void test_s1(void **state)
{
	static const struct {
		const char *why;
		int before, after; /* streams; -1: none */
		bool failed;
	} row[] = {
		{ "nothing came", -1, -1, true },
		{ "it came", STREAM_BOOT_OK, -1, false },
		{ "it failed to boot", STREAM_BOOT, -1, false },
		{ "it failed to install", STREAM_INSTALL, -1, false },
		{ "it rolled back", STREAM_ROLLBACK, -1, false },
		{ "what is no outcome", STREAM_INSTALLING, -1, true },
		{ "a crash is none", STREAM_CRASH, -1, true },
		{ "it came too late", -1, STREAM_BOOT_OK, true },
		{ "it failed too late", -1, STREAM_BOOT, true },
	};
	static struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint32_t late = row[i].after >= 0;
		open_fixture(&f);
		if (row[i].before >= 0)
			assert_true(
				evidence_event(&f.e, &f.canary[0], (enum stream)row[i].before, 11));
		if (evidence_s1(&f.e, &f.canary[0]) != row[i].failed)
			fail_msg("%s", row[i].why);
		assert_false(evidence_s1(&f.e, &f.canary[0])); /* due once */
		if (late)
			assert_true(
				evidence_event(&f.e, &f.canary[0], (enum stream)row[i].after, 12));
		close_batch(&f);
		check_row(&f, row[i].why,
			(struct evidence_row){
				.stream = STREAM_S1_DUE, .xc = 1, .ec = EACH, .ek = EACH });
		check_row(&f, row[i].why,
			(struct evidence_row){ .stream = STREAM_S1,
				.xc = row[i].failed,
				.ec = row[i].failed ? EACH : 0,
				.ek = row[i].failed ? EACH : 0 });
		/* The first outcome is the outcome. */
		assert_int_equal(f.e.total[ARM_CANARY][STREAM_RESOLVED], 1);
		assert_int_equal(f.e.total[ARM_CANARY][STREAM_S1], row[i].failed);
	}
}

static void test_s1_of_nobody(void **state)
{
	static struct fixture f;

	(void)state;
	open_fixture(&f);
	evidence_leave(&f.e, &f.canary[0]);
	evidence_close_group(&f.e, 1);
	assert_false(evidence_s1(&f.e, &f.canary[0]));
	assert_false(evidence_s1(&f.e, &f.control[1]));
	close_batch(&f);
	assert_int_equal(f.n, 1);
}

static void test_signature(void **state)
{
	static struct fixture f;
	struct evidence_device late;

	(void)state;
	open_fixture(&f);
	evidence_enter(&f.e, &late, ARM_CONTROL, 5, 0, NOW);
	assert_int_equal(evidence_signature(&f.e, &f.canary[0]), ARM_CANARY);
	assert_int_equal(evidence_signature(&f.e, &f.control[0]), ARM_CONTROL);
	assert_int_equal(evidence_signature(&f.e, &late), ARM_NONE);
	/* It says so as often as it is asked, whatever else is known of the device. */
	assert_true(evidence_event(&f.e, &f.canary[0], STREAM_CRASH, 11));
	assert_int_equal(evidence_signature(&f.e, &f.canary[0]), ARM_CANARY);
	evidence_leave(&f.e, &f.canary[1]);
	assert_int_equal(evidence_signature(&f.e, &f.canary[1]), ARM_NONE);
	evidence_close_group(&f.e, 1);
	assert_int_equal(evidence_signature(&f.e, &f.control[1]), ARM_NONE);
	assert_int_equal(evidence_signature(&f.e, &f.control[2]), ARM_CONTROL);
	close_batch(&f);
	assert_int_equal(evidence_signature(&f.e, &late), ARM_CONTROL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_milestones),
		cmocka_unit_test(test_who_is_judged),
		cmocka_unit_test(test_s1),
		cmocka_unit_test(test_s1_of_nobody),
		cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
