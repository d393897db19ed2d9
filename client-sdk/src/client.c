/* SPDX-License-Identifier: Apache-2.0 */
/* The API, and the phases of a device's life. */
#include "client-sdk/src/private.h"

#include <errno.h>

/* A report does not go alone when a poll is so near. */
#define NEAR_MS 60000u

int sdk_note(huidu_t *h, int err, const char *what)
{
	h->last_error = err;
	h->tried = true;
	if (err != 0 && h->platform.log != NULL)
		h->platform.log(h->platform.ctx, err, what);
	return err;
}

uint64_t sdk_clock_ms(const huidu_t *h)
{
	return h->platform.now_ms(h->platform.ctx);
}

struct arena sdk_arena(huidu_t *h)
{
	return (struct arena){ .base = h->scratch->arena, .size = ARENA_SIZE };
}

enum huidu_phase sdk_phase(const huidu_t *h)
{
	const struct state *s = &h->state;

	if (h->config.reports && !s->enrolled)
		return HUIDU_ENROLLING;
	if (s->trial.stage == TRIAL_ACTIVATED)
		return HUIDU_ACTIVATING;
	if (s->trial.stage == TRIAL_INSTALLED)
		return HUIDU_PROVING;
	if (!poll_allows(h))
		return HUIDU_IDLE;
	if (s->candidate.stage >= STAGE_APPLIED)
		return HUIDU_CONFIRMING;
	return h->applying || (s->candidate.stage == STAGE_FETCHED && fetch_is_done(h))
		? HUIDU_APPLYING
		: HUIDU_FETCHING;
}

static uint64_t work_due_ms(const huidu_t *h)
{
	return h->work.at_ms;
}

static uint64_t apply_due_ms(const huidu_t *h)
{
	return h->applying ? UINT64_MAX : h->work.at_ms;
}

/* What each phase does, beside polling and reporting, and when. */
static const struct phase {
	bool polls;
	int (*step)(huidu_t *h);
	uint64_t (*due_ms)(const huidu_t *h);
} phases[] = {
	[HUIDU_ENROLLING] = { false, enroll_step, enroll_due_ms },
	[HUIDU_IDLE] = { true, NULL, NULL },
	[HUIDU_FETCHING] = { true, fetch_step, work_due_ms },
	[HUIDU_APPLYING] = { true, apply_step, apply_due_ms },
	[HUIDU_CONFIRMING] = { true, confirm_step, confirm_due_ms },
	[HUIDU_ACTIVATING] = { false, NULL, NULL },
	[HUIDU_PROVING] = { true, NULL, NULL },
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t report_due_ms(const huidu_t *h, const struct phase *p)
{
	bool alone = h->one_by_one ||
		(events_urgent(&h->state) && h->poll.at_ms > sdk_clock_ms(h) + NEAR_MS);

	return p->polls && h->state.enrolled && alone ? h->work.at_ms : UINT64_MAX;
}

static uint64_t poll_due_ms(const huidu_t *h, const struct phase *p)
{
	return p->polls ? h->poll.at_ms : UINT64_MAX;
}

/* What comes between the polls, in every phase that has them. */
static const struct errand {
	enum exchange_kind kind;
	uint64_t (*due_ms)(const huidu_t *h);
} errands[] = {
	{ EXCHANGE_GRANT, grant_due_ms },
	{ EXCHANGE_TIME, time_due_ms },
};
#define ERRANDS (sizeof(errands) / sizeof(errands[0]))

static uint64_t errand_due_ms(const huidu_t *h, const struct phase *p, size_t i)
{
	return p->polls ? errands[i].due_ms(h) : UINT64_MAX;
}

static uint64_t step_due_ms(const huidu_t *h, const struct phase *p)
{
	return p->step != NULL ? p->due_ms(h) : UINT64_MAX;
}

static int act(huidu_t *h)
{
	const struct phase *p = &phases[sdk_phase(h)];
	uint64_t now = sdk_clock_ms(h);
	enum exchange_kind due = EXCHANGE_NONE;

	/* Before the poll that they are for. */
	for (size_t i = 0; due == EXCHANGE_NONE && i < ERRANDS; i++)
		if (errand_due_ms(h, p, i) <= now)
			due = errands[i].kind;
	if (due == EXCHANGE_NONE && poll_due_ms(h, p) <= now)
		due = EXCHANGE_POLL;
	if (due == EXCHANGE_NONE && report_due_ms(h, p) <= now)
		due = EXCHANGE_REPORT;
	if (due != EXCHANGE_NONE)
		exchange_start(h, due);
	else if (step_due_ms(h, p) <= now)
		return p->step(h);
	return 0;
}

int client_settle(huidu_t *h)
{
	int err;

	if (h->settled)
		return 0;
	err = install_settle(h);
	h->settled = err == 0;
	return err == 0 ? 0 : sdk_note(h, err, "save");
}

/* The first of what is waited for; while a request is out, its answer. */
static uint64_t next_due_ms(const huidu_t *h)
{
	const struct phase *p = &phases[sdk_phase(h)];
	uint64_t now = sdk_clock_ms(h), at = UINT64_MAX;

	if (!h->settled)
		at = h->work.at_ms;
	else if (h->in_flight == EXCHANGE_NONE)
		at = min_u64(step_due_ms(h, p), min_u64(poll_due_ms(h, p), report_due_ms(h, p)));
	for (size_t i = 0; h->settled && h->in_flight == EXCHANGE_NONE && i < ERRANDS; i++)
		at = min_u64(at, errand_due_ms(h, p, i));
	if (at == UINT64_MAX)
		at = now + (uint64_t)h->config.poll_max_s * 1000;
	return at > now ? at : now;
}

int huidu_step(huidu_t *h, uint64_t *next_ms)
{
	int err = 0;

	h->tried = false;
	pace_check(h, &h->poll);
	pace_check(h, &h->work);
	pace_check(h, &h->grant);
	if (h->work.at_ms <= sdk_clock_ms(h))
		err = client_settle(h);
	if (err == 0 && h->settled && h->in_flight == EXCHANGE_NONE)
		err = act(h);
	if (err != 0) {
		(void)sdk_note(h, err, "step");
		pace_fail(h, &h->work, 0);
	}
	*next_ms = next_due_ms(h);
	return h->tried ? h->last_error : 0;
}

int huidu_boot_ok(huidu_t *h)
{
	struct state *next;
	int err = client_settle(h);

	if (err != 0)
		return err;
	next = state_begin(h);
	if (next->trial.stage != TRIAL_INSTALLED)
		return 0;
	next->trial.stage = TRIAL_PROVED;
	if (next->rollback_index < h->config.rollback_index)
		next->rollback_index = h->config.rollback_index;
	(void)events_add(h, next, PB__EVENT_KIND__EVENT_BOOT_OK, h->build_id, 0); /* room is made */
	return state_commit(h);
}

static bool event_ok(enum huidu_event event, const uint8_t *signature)
{
	switch (event) {
	case HUIDU_EVENT_CRASH:
		return signature != NULL;
	case HUIDU_EVENT_BOOT_FAILED:
	case HUIDU_EVENT_SYMPTOM:
	case HUIDU_EVENT_ALIVE:
	case HUIDU_EVENT_DEFERRED:
	case HUIDU_EVENT_LEAVE:
	case HUIDU_EVENT_CRASH_LOOP:
		return true;
	}
	return false;
}

int huidu_report(huidu_t *h, enum huidu_event event, const uint8_t *signature, uint32_t code)
{
	struct state *next;
	struct event *e;
	int err;

	if (!event_ok(event, signature))
		return -EINVAL;
	if (!h->config.reports)
		return 0;
	err = client_settle(h);
	if (err != 0)
		return err;
	next = state_begin(h);
	e = events_add(h, next, (Pb__EventKind)event, h->build_id, code);
	if (e == NULL)
		return ERR_NO_ROOM;
	if (signature != NULL) {
		e->has_signature = 1;
		memcpy(e->signature, signature, SHA256_LEN);
	}
	return state_commit(h);
}

void huidu_poll_now(huidu_t *h)
{
	h->asked = true;
	h->poll.at_ms = 0;
	h->work.at_ms = 0;
	h->grant.at_ms = 0;
}

/* The server may offer what this device, looking closer, does not take. */
static enum huidu_answer answer_of(const huidu_t *h)
{
	const struct state *s = &h->state;

	if (s->answer != HUIDU_OFFERED || s->candidate.build_id[0] != '\0')
		return (enum huidu_answer)s->answer;
	return HUIDU_STAGED_OUT;
}

static bool is_stale(const huidu_t *h)
{
	uint64_t now = sdk_clock_ms(h), fresh = h->state.last_fresh_ms;

	return fresh != 0 && now > fresh && now - fresh > (uint64_t)h->config.stale_after_s * 1000;
}

/* Never inside what was proved; the server may know of a seat before we do. */
static enum huidu_ring ring_of(const huidu_t *h)
{
	unsigned proved = grant_ring(h);

	return (enum huidu_ring)(h->state.ring > proved ? h->state.ring : proved);
}

void huidu_status(const huidu_t *h, struct huidu_status *out)
{
	const struct state *s = &h->state;
	bool acting = s->candidate.build_id[0] != '\0';

	*out = (struct huidu_status){ .phase = sdk_phase(h),
		.ring = ring_of(h),
		.ring_why = (enum huidu_ring_why)s->ring_why,
		.answer = answer_of(h),
		.enrolled = s->enrolled,
		.last_error = h->last_error,
		.last_fresh_ms = s->last_fresh_ms,
		.stale = is_stale(h),
		.next_ms = next_due_ms(h),
		.fetched = acting ? fetch_have(h) : 0,
		.length = s->candidate.length,
		.unsent = s->n_events,
		.acknowledged = s->n_events > 0 ? s->events[0].seq - 1 : s->last_seq,
		.unsync = !time_is_known(h),
		.held_since_ms = s->held_since_ms,
		.hold_notice = hold_is_long(h),
		.root_version = s->root_version,
		.log_size = s->log.size };
	memcpy(out->device_id, s->device_id, ID_LEN);
	memcpy(out->build_id, s->candidate.build_id, TEXT_LEN);
}

const char *huidu_strerror(int err)
{
	return err_str(err);
}
