/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts recomputed: whole lives of rollouts, written down as the server does, replay to the same
 * verdicts, and whatever is changed in them is noticed.
 */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay_world.h"

/* ---- lives ---- */

static void good_stage(struct world *w)
{
	for (uint32_t i = 0; i < 10; i++)
		batch(w, i, 2, w->at == 0 ? 18 : 0);
	w->now_ms += DAY;
}

static void live_well(struct world *w)
{
	person(w, PB__ACT__ACT_START);
	good_stage(w);
	decide(w, PB__DECISION_KIND__DECISION_PROMOTE);
	good_stage(w);
	decide(w, PB__DECISION_KIND__DECISION_COMPLETE);
}

static void live_badly(struct world *w)
{
	person(w, PB__ACT__ACT_START);
	batch(w, 0, 12, 5);
	decide(w, PB__DECISION_KIND__DECISION_HALT);
}

/* Paused by the gate, then by a person; what is against it is forgotten twice. */
static void live_on(struct world *w)
{
	person(w, PB__ACT__ACT_START);
	batch(w, 0, 7, 5);
	decide(w, PB__DECISION_KIND__DECISION_PAUSE);
	w->now_ms += HOUR;
	batch(w, 1, 2, 18); /* closed before they let it go on */
	resume(w);
	batch(w, 2, 2, 18);
	w->now_ms += HOUR;
	person(w, PB__ACT__ACT_PAUSE);
	batch(w, 3, 3, 18);
	resume(w);
	w->now_ms += 2 * DAY;
	decide(w, PB__DECISION_KIND__DECISION_PROMOTE); /* nothing has closed since */
	good_stage(w);
	decide(w, PB__DECISION_KIND__DECISION_COMPLETE);
}

/* Not decided by max_soak: a person must look, and waives it. */
static void live_slowly(struct world *w)
{
	person(w, PB__ACT__ACT_START);
	batch(w, 0, 1, 9);
	w->now_ms += 3 * DAY;
	decide(w, PB__DECISION_KIND__DECISION_PAUSE);
	resume(w);
	batch(w, 1, 1, 9); /* counts: it closed later */
	w->now_ms += DAY;  /* a soak of its own */
	decide(w, PB__DECISION_KIND__DECISION_PROMOTE);
}

/* Turns bad in the watch, after all steps have passed. */
static void live_and_turn(struct world *w)
{
	live_well(w);
	w->at = 0;
	batch(w, 10, 30, 5);
	look(w);
	w->at = 1;
	write_down(w, PB__DECISION_KIND__DECISION_HALT,
		capital_log(&w->capital, w->rules, w->n_steps));
	resume(w);
}

static void halt_before_start(struct world *w)
{
	person(w, PB__ACT__ACT_HALT); /* approved again, of which nothing is told */
	live_well(w);
}

static void halted_by_people(struct world *w)
{
	person(w, PB__ACT__ACT_START);
	person(w, PB__ACT__ACT_HALT);
}

/* ---- replay ---- */

static void tell(void *context, const struct replay_verdict *v)
{
	struct world *w = context;

	w->told++;
	if (!v->same && w->differs[0] == '\0')
		(void)snprintf(w->differs, sizeof(w->differs), "%s", v->differs);
	assert_true(v->same == (v->differs[0] == '\0'));
}

static int replay(struct world *w)
{
	struct replay_input in = { &w->spec, w->proposed_s, { w->rows[0], w->n_rows * REPLAY_ROW },
		w->events, w->n_events };
	int err = replay_run(&in, tell, w, &w->total, w->error);

	assert_int_equal(w->told, w->total.verdicts);
	assert_true((err != 0) == (w->error[0] != '\0'));
	return err;
}

static void test_lives(void **state)
{
	static const struct {
		const char *why;
		void (*live)(struct world *w);
		size_t verdicts;
	} life[] = {
		{ "good", live_well, 2 },
		{ "bad", live_badly, 1 },
		{ "resumed twice", live_on, 3 },
		{ "undecided", live_slowly, 2 },
		{ "bad in the watch", live_and_turn, 3 },
		{ "halted before its start", halt_before_start, 2 },
		{ "halted by people", halted_by_people, 0 },
	};
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	for (size_t i = 0; i < COUNT(life); i++) {
		begin(w);
		life[i].live(w);
		if (replay(w) != 0 || w->total.differ > 0)
			fail_msg("%s: %s%s", life[i].why, w->error, w->differs);
		assert_int_equal(w->total.verdicts, life[i].verdicts);
	}
	free(w);
}

/* ---- lies, in the life of a good build: event 1 promotes, event 2 completes ---- */

static void lie_row(struct world *w)
{
	w->rows[5][12 + 19]++; /* a crash more */
}

static void lie_order(struct world *w)
{
	uint8_t row[REPLAY_ROW - 4];

	/* The values of two rows of one batch; their numbers stay. */
	memcpy(row, w->rows[3] + 12, 36);
	memcpy(w->rows[3] + 12, w->rows[4] + 12, 36);
	memcpy(w->rows[4] + 12, row, 36);
}

static void lie_log_k(struct world *w)
{
	w->decision[1].log_k = nextafter(w->decision[1].log_k, 100);
	pack(w, 1);
}

static void lie_kind(struct world *w)
{
	w->decision[2].kind = PB__DECISION_KIND__DECISION_HALT;
	pack(w, 2);
}

static void lie_step(struct world *w)
{
	w->decision[1].step = 1;
	pack(w, 1);
}

static void lie_early(struct world *w)
{
	w->event[1].time_ms = w->event[0].time_ms + DAY - 1;
}

static void lie_started_late(struct world *w)
{
	w->event[0].time_ms = w->event[1].time_ms - HOUR;
}

static void lie_nobody(struct world *w)
{
	w->decision[1].expected = 2000; /* of so many, a rate of failures must be shown */
	pack(w, 1);
}

static void lie_no_reports(struct world *w)
{
	w->decision[1].crash_reports = 0;
	pack(w, 1);
}

static void lie_fewer_rows(struct world *w)
{
	w->decision[1].rows--;
	pack(w, 1);
}

static void lie_plan(struct world *w)
{
	w->stage[0].tolerance_ppm = 1100000;
}

static void lie_proposed(struct world *w)
{
	w->proposed_s += 10 * 86400;
}

static void lie_no_rows(struct world *w)
{
	w->n_rows = 10;
}

static void lie_number(struct world *w)
{
	w->rows[4][11] = 9;
}

static void lie_stream(struct world *w)
{
	w->rows[4][13] = 99;
}

static void lie_twice(struct world *w)
{
	w->event[2] = w->event[0];
}

static void lie_resumed(struct world *w)
{
	w->event[1] = (Pb__ReplayEvent)PB__REPLAY_EVENT__INIT;
	w->event[1].has_resumed = w->event[1].resumed = 1;
}

static void lie_garbage(struct world *w)
{
	w->packed[1][0] = 0xff;
}

static void lie_no_plan(struct world *w)
{
	w->stage[0].soak_ms = 0;
}

static const struct {
	void (*tell)(struct world *w);
	size_t differ; /* 0: cannot be replayed at all */
	const char *text;
} lies[] = {
	{ lie_row, 2, "the rows are not those it was taken on: their hash chain differs" },
	{ lie_order, 2, "the rows are not those it was taken on: their hash chain differs" },
	{ lie_log_k, 1, "log K is " },
	{ lie_kind, 1, "the verdict is promote, the log says halt" },
	{ lie_step, 1, "step 1 was open, not 2" },
	{ lie_early, 1, "the verdict is hold, the log says promote" },
	{ lie_started_late, 1, "the verdict is hold, the log says promote" },
	{ lie_nobody, 1, "the verdict is hold, the log says promote" },
	{ lie_no_reports, 1, "the verdict is pause, the log says promote" },
	{ lie_fewer_rows, 1, "the rows are not those it was taken on: their hash chain differs" },
	{ lie_plan, 1, "the verdict is hold, the log says promote" },
	{ lie_proposed, 1, "the verdict is hold, the log says promote" },
	{ lie_no_rows, 2, "cannot be recomputed: it rests on 30 rows, and 10 are left" },
	{ lie_number, 0, "row 4 is not one of evidence" },
	{ lie_stream, 0, "row 4 is not one of evidence" },
	{ lie_twice, 0, "entry 100 of the log cannot follow those before it" },
	{ lie_resumed, 0, "entry 0 of the log cannot follow those before it" },
	{ lie_garbage, 0, "entry 101 of the log cannot follow those before it" },
	{ lie_no_plan, 0, "the plan: soak is 0: crashes and silence take time to show" },
};

static void test_lies(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	for (size_t i = 0; i < COUNT(lies); i++) {
		int err;
		begin(w);
		live_well(w);
		lies[i].tell(w);
		err = replay(w);
		if ((err != 0) != (lies[i].differ == 0) || w->total.differ != lies[i].differ ||
			strncmp(err != 0 ? w->error : w->differs, lies[i].text,
				strlen(lies[i].text)) != 0)
			fail_msg("lie %zu: %d, %zu differ: %s%s", i, err, w->total.differ, w->error,
				w->differs);
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
