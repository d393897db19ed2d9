/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/rollout.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "proto/bucket.h"
#include "server/base/mem.h"
#include "server/core/admit.h"
#include "server/sim/fleet.h"
#include "server/sim/timing.h"

#define BOOKS 2u /* the model the fault concerns, and all others */

struct stage_run {
	struct book book[BOOKS];
	struct run *run;
	uint32_t step;
	struct book_sink sink;
	bool open; /* its rows are still collected */
	uint64_t opened_ms, passed_ms;
	uint32_t granted, allowed, admit_ppm, idle_looks;
	double offered_h;
};

struct run {
	const struct sim_setup *setup;
	struct chance chance;
	struct timing timing;
	struct plan_step step[LADDER_STEPS_MAX];
	struct gate_rules rules[LADDER_STEPS_MAX];
	struct stage_run stage[LADDER_STEPS_MAX];
	struct fleet fleet;
	struct capital *capital;
	double log_e[LADDER_STEPS_MAX]; /* of each stage */
	size_t n, at, books;
	uint64_t now_ms, paused_ms, done_ms;
	bool paused, complete;
	uint64_t resumed_ms;
	enum gate_reason why; /* it is paused */
	struct sim_result out;
};

struct sim_setup sim_setup(const Pb__PlanSpec *spec, uint32_t fleet)
{
	struct sim_setup s = { .spec = spec,
		.look_ms = 3600000,
		.person_h = 4,
		.tolerance_h = 4,
		.patience_h = 7 * 24 };

	s.world = sim_world();
	fleet_seats(spec, fleet, s.world.ring);
	return s;
}

static double hours(uint64_t ms)
{
	return (double)(ms - SIM_BEGAN_MS) / 3600000;
}

static void take_row(void *to, uint32_t book, const struct evidence_row *row)
{
	struct stage_run *s = to;
	struct run *r = s->run;

	gate_add(&r->capital->stage[s->step], &r->rules[s->step], row);
	if (r->setup->row != NULL)
		r->setup->row(r->setup->to, s->step, book, row);
}

static void take_event(void *to, uint32_t book, const struct book_event *e)
{
	struct stage_run *s = to;

	s->run->setup->event(s->run->setup->to, s->step, book, e);
}

/* ---- opening and closing ---- */

static void open_books(struct run *r, struct stage_run *s)
{
	uint32_t phones[BOOK_SIDES], sides;

	for (uint32_t i = 0; i < r->books; i++) {
		struct book *b = &s->book[i];
		sides = fleet_sides(&r->fleet, &r->chance, s->step, i, phones);
		*b = (struct book){ .world = &r->setup->world,
			.clock = &r->timing.clock,
			.effect = &r->timing.effect,
			.sink = &s->sink,
			.number = i,
			.faulty = i == 0,
			.began_h = hours(r->now_ms) };
		book_init(b, &r->chance, phones, sides);
	}
}

/* The control of the stages before it in its ring loses the phones that this one asks. */
static void leave_control(struct run *r, size_t step)
{
	uint32_t later = 0;

	for (size_t i = step; i-- > 0;) {
		if (r->step[i].ring != r->step[step].ring)
			continue;
		later++;
		for (uint32_t b = 0; r->stage[i].open && b < r->books; b++)
			book_close_side(&r->stage[i].book[b], later);
	}
}

static void open_step(struct run *r, size_t step)
{
	struct stage_run *s = &r->stage[step];

	r->at = step;
	*s = (struct stage_run){ .run = r, .step = (uint32_t)step, .open = true };
	s->opened_ms = r->now_ms;
	s->sink = (struct book_sink){ take_row, r->setup->event != NULL ? take_event : NULL, s };
	open_books(r, s);
	leave_control(r, step);
}

static void add_hurt(struct sim_hurt *sum, const struct sim_hurt *h)
{
	sum->crashed += h->crashed;
	sum->looped += h->looped;
	sum->symptoms += h->symptoms;
	sum->bricked += h->bricked;
	sum->failed += h->failed;
}

static void close_step(struct run *r, struct stage_run *s)
{
	for (uint32_t b = 0; s->open && b < r->books; b++) {
		add_hurt(&r->out.hurt, &s->book[b].hurt);
		r->out.offered += s->book[b].offered;
		book_release(&s->book[b]);
	}
	s->open = false;
}

static struct sim_hurt hurt_now(const struct run *r)
{
	struct sim_hurt h = r->out.hurt;

	for (size_t i = 0; i < r->n; i++)
		for (uint32_t b = 0; r->stage[i].open && b < r->books; b++)
			add_hurt(&h, &r->stage[i].book[b].hurt);
	return h;
}

/* ---- one look ---- */

static uint32_t expected(const struct run *r, size_t step)
{
	const struct plan_step *p = &r->step[step];
	uint64_t n = (uint64_t)r->setup->world.ring[p->ring] * (p->upper - p->lower) / PPM;

	return (uint32_t)n;
}

static uint32_t cap(const struct run *r, size_t step)
{
	int stage = r->step[step].stage;

	return stage >= 0 && r->setup->spec->stages[stage]->has_devices
		? r->setup->spec->stages[stage]->devices
		: 0;
}

/* The admission as control does it after each look: who may come in the next. */
static void admit(struct run *r, struct stage_run *s)
{
	struct admit_facts f = { .granted = s->granted,
		.expected = expected(r, s->step) > 0 ? expected(r, s->step) : 1,
		.cap = cap(r, s->step),
		.admit_ppm = s->admit_ppm };
	struct admit next;

	for (uint32_t b = 0; b < r->books; b++) {
		f.boot_ok += s->book[b].boot_ok;
		f.judged += s->book[b].judged;
		f.heard += s->book[b].judged - s->book[b].silent;
	}
	s->idle_looks = s->granted < s->allowed ? s->idle_looks + 1 : 0;
	f.idle = s->idle_looks >= r->timing.clock.poll;
	if (f.idle)
		s->idle_looks = 0;
	next = admit_next(&f);
	for (uint32_t b = 0; b < r->books; b++)
		book_ask(&s->book[b], &r->chance, s->admit_ppm / 1e6, next.admit_ppm / 1e6);
	s->admit_ppm = next.admit_ppm;
	s->allowed = next.allowed > s->allowed ? next.allowed : s->allowed;
}

/* Offers go round while there are any; the control enters as long as the canary can. */
static void take_in(struct run *r, struct stage_run *s)
{
	uint32_t waiting[BOOKS] = { 0 }, all = 0, left = s->allowed - s->granted, taken = 0;
	double part;

	for (uint32_t b = 0; b < r->books; b++)
		all += waiting[b] = book_waiting(&s->book[b]);
	part = all > left ? (double)left / all : 1;
	if (left == 0)
		return;
	for (uint32_t b = 0; b < r->books; b++) {
		bool last = b + 1 == r->books;
		uint32_t n = waiting[b];
		if (all > left)
			n = last ? left - taken : chance_binomial(&r->chance, n, part);
		n = n < left - taken ? n : left - taken;
		n = n < waiting[b] ? n : waiting[b];
		taken += n;
		book_enter(&s->book[b], &r->chance, n, part);
	}
	s->granted += taken;
	if (taken > 0)
		s->offered_h = (double)(r->now_ms - s->opened_ms) / 3600000;
}

static void close_batch(struct run *r, struct stage_run *s)
{
	bool admitting = s->step == r->at && !r->paused && !r->complete;
	double streams[GATE_STREAM__COUNT];
	uint32_t held = 0;

	for (uint32_t b = 0; b < r->books; b++)
		book_events(&s->book[b], &r->chance, r->now_ms);
	if (admitting)
		take_in(r, s);
	for (uint32_t b = 0; b < r->books; b++) {
		book_due(&s->book[b], &r->chance);
		held += admitting ? book_held(&s->book[b]) : 0;
	}
	for (uint32_t b = 0; b < r->books; b++)
		book_close(&s->book[b], b == 0 ? held : 0);
	r->log_e[s->step] =
		gate_stage_log(&r->capital->stage[s->step], &r->rules[s->step], streams);
	if (s->passed_ms != 0 && s->passed_ms + r->setup->spec->watch_ms <= r->now_ms)
		close_step(r, s);
}

/* ---- verdicts ---- */

static void note_stop(struct run *r, const struct gate_judgement *j)
{
	bool halt = j->verdict == GATE_DO_HALT;

	if (!r->out.stopped) {
		r->out.stopped = true;
		r->out.reason = j->reason;
		r->out.stop_step = (uint32_t)r->at;
		r->out.stop_h = hours(r->now_ms);
		r->out.at_stop = hurt_now(r);
	}
	if (halt) {
		r->out.end = SIM_HALTED;
		r->out.halt_step = (uint32_t)r->at;
		r->out.halt_h = hours(r->now_ms);
		return;
	}
	r->out.pauses += j->reason == GATE_EVIDENCE;
	r->out.undecided += j->reason != GATE_EVIDENCE;
	r->paused = true;
	r->paused_ms = r->now_ms;
	r->why = j->reason;
}

static void promote(struct run *r)
{
	r->stage[r->at].passed_ms = r->now_ms;
	r->out.offered_h[r->at] = r->stage[r->at].offered_h;
	r->out.steps_passed++;
	if (r->at + 1 == r->n || r->step[r->at + 1].stage < 0)
		r->out.done_h = r->out.done_h > 0 ? r->out.done_h : hours(r->now_ms);
	if (r->at + 1 < r->n) {
		open_step(r, r->at + 1);
		return;
	}
	r->complete = true;
	r->done_ms = r->now_ms;
}

static struct gate_judgement judge(struct run *r, double log_k)
{
	bool last = r->at + 1 == r->n;
	struct gate_facts f = {
		.now_ms = r->now_ms,
		.opened_ms = r->stage[r->at].opened_ms,
		.resumed_ms = r->resumed_ms,
		.not_before_ms = last ? 0 : r->step[r->at + 1].not_before_s * 1000,
		.expected = cap(r, r->at) > 0 && cap(r, r->at) < expected(r, r->at)
			? cap(r, r->at)
			: expected(r, r->at),
		.log_k = log_k,
		.paused = r->paused,
		.crash_reports = true,
	};

	if (!r->complete)
		return gate_judge(&r->capital->stage[r->at], &r->rules[r->at], &f);
	/* Still watched: it can be halted, there is nothing left to open. */
	if (log_k >= log(GATE_HALT))
		return (struct gate_judgement){ GATE_DO_HALT, GATE_EVIDENCE, exp(log_k),
			GATE_HALT };
	return (struct gate_judgement){ .reason = GATE_PASSED };
}

/* How long a person takes to let it go on. */
static double wait_h(const struct run *r)
{
	bool numbers =
		r->why == GATE_TOLERANCE || r->why == GATE_ADMITTING || r->why == GATE_NOBODY;

	return numbers ? r->setup->tolerance_h : r->setup->person_h;
}

static void resume(struct run *r)
{
	if (!r->paused || hours(r->now_ms) < hours(r->paused_ms) + wait_h(r))
		return;
	r->paused = false;
	r->resumed_ms = r->now_ms;
	capital_resumed(r->capital, r->n, r->now_ms);
	memset(r->log_e, 0, sizeof(r->log_e));
}

/* One look; false when the story is over. */
static bool look(struct run *r)
{
	struct gate_judgement j;
	double log_k;

	resume(r);
	r->now_ms += r->setup->look_ms;
	r->out.looks++;
	for (size_t i = 0; i <= r->at; i++)
		if (r->stage[i].open)
			close_batch(r, &r->stage[i]);
	log_k = capital_sum(r->log_e, r->rules, r->n);
	r->out.max_log_k = fmax(r->out.max_log_k, log_k);
	j = judge(r, log_k);
	if (j.verdict == GATE_DO_HALT || j.verdict == GATE_DO_PAUSE)
		note_stop(r, &j);
	else if (j.verdict == GATE_PROMOTE)
		promote(r);
	if (r->out.end == SIM_HALTED)
		return false;
	if (!r->paused && !r->complete)
		admit(r, &r->stage[r->at]);
	if (r->out.looks >= r->timing.most)
		return false;
	if (r->complete && r->now_ms >= r->done_ms + r->setup->spec->watch_ms)
		return false;
	return !r->paused || !isinf(wait_h(r)) ||
		hours(r->now_ms) < hours(r->paused_ms) + r->setup->patience_h;
}

struct sim_result sim_run(const struct sim_setup *setup, uint64_t seed)
{
	struct run *r = mem_zalloc(sizeof(*r));
	struct sim_result out;

	r->setup = setup;
	r->now_ms = SIM_BEGAN_MS;
	r->capital = mem_zalloc(sizeof(*r->capital));
	r->books = setup->world.product < 1 ? 2 : 1;
	chance_init(&r->chance, seed);
	timing_init(&r->timing, setup);
	plan_steps(setup->spec, SIM_BEGAN_MS / 1000, r->step, &r->n);
	for (size_t i = 0; i < r->n; i++) {
		r->rules[i] = capital_rules(setup->spec, &r->step[i]);
		if (r->rules[i].restart_ms == 0)
			r->rules[i].restart_ms = 86400000;
	}
	fleet_init(&r->fleet, &r->chance, &setup->world, r->step, r->n);
	open_step(r, 0);
	admit(r, &r->stage[0]);
	while (look(r))
		;
	if (!r->complete && r->out.end != SIM_HALTED)
		r->out.end = r->paused ? SIM_PAUSED : SIM_STUCK;
	for (size_t i = 0; i < r->n; i++)
		close_step(r, &r->stage[i]);
	out = r->out;
	timing_release(&r->timing);
	free(r->capital);
	free(r);
	return out;
}
