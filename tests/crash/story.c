/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/story.h"

#include <stdarg.h>
#include <stdio.h>

#define TICK_MS        60000ull
#define TRIES          3
#define HALTED_COUNTER 2u

static const char *const product[] = { "phone-a" };

void story_options(struct deployment_options *o)
{
	*o = (struct deployment_options){ .profile = "solo", .poll_interval = "1h" };
}

void story_wrong(struct story *s, const char *format, ...)
{
	va_list args;

	if (s->notes->wrong[0] != '\0')
		return;
	va_start(args, format);
	(void)vsnprintf(s->notes->wrong, sizeof(s->notes->wrong), format, args);
	va_end(args);
}

/* ---- what can be done, and whether it is done ---- */

struct step {
	const char *what;
	int (*run)(struct story *s, const char *arg);
	bool (*is_done)(struct story *s, const char *arg); /* NULL: only its answer says */
	const char *arg;
};

static const struct rollout *rollout(struct story *s, const char *release)
{
	return state_rollout(control_state(&s->d->server), release);
}

static bool in_state(struct story *s, const char *release, enum rollout_state state)
{
	const struct rollout *r = rollout(s, release);

	return r != NULL && r->state == state;
}

static int enrol(struct story *s, const char *arg)
{
	unsigned i = (unsigned)(arg[0] - '0');
	struct test_device *t = &s->notes->phone[i];
	int err = device_enrol(s->d, t, product[0], i == 4 ? RING_CORE : RING_STABLE);

	if (err == 0)
		s->notes->enrolled |= 1u << i;
	device_forget(t);
	t->key = NULL;
	return err;
}

static bool is_enrolled(struct story *s, const char *arg)
{
	return (s->notes->enrolled >> (arg[0] - '0') & 1) != 0;
}

/* Number and answer of each report are noted on both sides of it. */
static int report(
	struct story *s, unsigned i, const char *build, const Pb__EventKind *kinds, size_t n)
{
	struct story_notes *notes = s->notes;
	int err;

	if (notes->sent[i] < notes->phone[i].seq + n)
		notes->sent[i] = notes->phone[i].seq + (uint32_t)n;
	err = device_report(s->d, &notes->phone[i], build, kinds, n);
	if (err == 0)
		notes->taken[i] = notes->phone[i].seq;
	return err;
}

static int alive(struct story *s, const char *arg)
{
	static const Pb__EventKind kinds[] = { PB__EVENT_KIND__EVENT_ALIVE,
		PB__EVENT_KIND__EVENT_SYMPTOM };
	int err = 0;

	for (unsigned i = 0; err == 0 && i < STORY_PHONES; i++)
		err = report(s, i, arg, kinds, 2);
	return err;
}

static int install(struct story *s, const char *arg)
{
	static const Pb__EventKind kinds[] = { PB__EVENT_KIND__EVENT_DOWNLOADED,
		PB__EVENT_KIND__EVENT_INSTALLING, PB__EVENT_KIND__EVENT_INSTALLED,
		PB__EVENT_KIND__EVENT_BOOT_OK };
	int err = 0;

	for (unsigned i = 0; err == 0 && i < STORY_PHONES; i++) {
		err = device_poll(s->d, &s->notes->phone[i]);
		if (err == 0)
			err = report(s, i, arg, kinds, 4);
		if (err == 0 && strcmp(arg, "1.0") == 0)
			s->notes->installed[i] = true;
	}
	return err;
}

static int publish_build(struct story *s, const char *release)
{
	return deployment_publish(s->d, product[0], release, (uint64_t)(release[0] - '0'), release);
}

static bool is_published(struct story *s, const char *release)
{
	const struct state *state = control_state(&s->d->server);
	bool found = false;

	for (size_t i = 0; i < state->n_builds; i++)
		found |= strcmp(state->builds[i]->build_id, release) == 0;
	return found;
}

static int propose(struct story *s, const char *release)
{
	static const struct plan_stage stages[] = { { RING_STABLE, 1000000, 0 } };
	struct test_plan plan;

	return deployment_propose(
		s->d, release, product, 1, plan_of(&plan, stages, 1, 3 * TICK_MS, 0));
}

static bool is_proposed(struct story *s, const char *release)
{
	return rollout(s, release) != NULL;
}

static int approve(struct story *s, const char *release)
{
	return deployment_approve(s->d, release, 0);
}

static bool is_approved(struct story *s, const char *release)
{
	return is_proposed(s, release) && !in_state(s, release, ROLLOUT_PROPOSED);
}

static int start(struct story *s, const char *release)
{
	return deployment_act(s->d, release, PB__ACT__ACT_START);
}

static bool is_started(struct story *s, const char *release)
{
	return is_approved(s, release) && !in_state(s, release, ROLLOUT_APPROVED);
}

static int halt(struct story *s, const char *release)
{
	int err = deployment_act(s->d, release, PB__ACT__ACT_HALT);

	if (err == 0)
		s->notes->halted = true;
	return err;
}

static bool is_halted(struct story *s, const char *release)
{
	return in_state(s, release, ROLLOUT_HALTED);
}

/* Timestamps are signed, batches close, a seat is filled, a soak ends. */
static int wait_minutes(struct story *s, const char *arg)
{
	for (int i = 0; i < arg[0] - '0'; i++) {
		deployment_run(s->d, TICK_MS, TICK_MS);
		s->notes->now_ms = s->d->now_ms;
	}
	return 0;
}

/* The seat is a decision of the machine: it comes with time, or later. */
static const struct step steps[] = {
	{ "enrol", enrol, is_enrolled, "0" },
	{ "enrol", enrol, is_enrolled, "1" },
	{ "enrol", enrol, is_enrolled, "2" },
	{ "enrol", enrol, is_enrolled, "3" },
	{ "enrol", enrol, is_enrolled, "4" },
	{ "report", alive, NULL, "factory" },
	{ "publish", publish_build, is_published, "1.0" },
	{ "propose", propose, is_proposed, "1.0" },
	{ "approve", approve, is_approved, "1.0" },
	{ "start", start, is_started, "1.0" },
	{ "wait", wait_minutes, NULL, "1" },
	{ "install", install, NULL, "1.0" },
	{ "wait", wait_minutes, NULL, "6" },
	{ "report", alive, NULL, "1.0" },
	{ "publish", publish_build, is_published, STORY_HALTED },
	{ "propose", propose, is_proposed, STORY_HALTED },
	{ "approve", approve, is_approved, STORY_HALTED },
	{ "start", start, is_started, STORY_HALTED },
	{ "wait", wait_minutes, NULL, "1" },
	{ "poll", alive, NULL, "1.0" },
	{ "halt", halt, is_halted, STORY_HALTED },
	{ "wait", wait_minutes, NULL, "2" },
	{ "publish", publish_build, is_published, "3.0" },
	{ "propose", propose, is_proposed, "3.0" },
	{ "approve", approve, is_approved, "3.0" },
	{ "start", start, is_started, "3.0" },
	{ "wait", wait_minutes, NULL, "2" },
	{ "report", alive, NULL, "1.0" },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- what phones are served ---- */

static const Pb__Envelope *opened(struct story *s, ProtobufCBinaryData bytes)
{
	int err;
	const Pb__Envelope *e = envelope_read(wire_bytes(bytes), &s->d->arena, &err);

	if (e == NULL)
		story_wrong(s, "served: an envelope: %s", err_str(err));
	return e;
}

static uint64_t version_of(struct story *s, unsigned kind, ProtobufCBinaryData bytes)
{
	static const ProtobufCMessageDescriptor *const type[STORY_KINDS] = {
		&pb__timestamp__descriptor, &pb__snapshot__descriptor, &pb__director__descriptor
	};
	const Pb__Envelope *e = opened(s, bytes);
	int err;
	const void *m = e == NULL
		? NULL
		: wire_read(type[kind], wire_bytes(e->payload), &wire_signed, &s->d->arena, &err);
	const Pb__Director *director = m;

	if (m == NULL)
		return 0;
	for (size_t i = 0; kind == 2 && s->notes->halted && i < director->n_offers; i++)
		s->offered |= director->offers[i]->release_counter == HALTED_COUNTER;
	return kind == 0    ? ((const Pb__Timestamp *)m)->version
		: kind == 1 ? ((const Pb__Snapshot *)m)->version
			    : director->version;
}

/* Polls are answered, come what may; and no version goes back. */
static void look(struct story *s)
{
	struct test_device t = s->notes->phone[0];
	struct buf body = { 0 };
	const Pb__PollReply *m;
	int err;

	if ((s->notes->enrolled & 1) == 0)
		return;
	t.snapshot_version = 0;
	err = device_poll_body(s->d, &t, &body);
	if (err != 0 && !s->starves)
		story_wrong(s, "a poll is refused: %s", err_str(err));
	s->offered = false;
	s->d->arena.used = 0;
	m = err != 0 ? NULL
		     : wire_read(&pb__poll_reply__descriptor, buf_bytes(&body), &wire_admin,
			       &s->d->arena, &err);
	for (unsigned k = 0; m != NULL && k < STORY_KINDS; k++) {
		ProtobufCBinaryData part = k == 0 ? m->timestamp
			: k == 1                  ? m->snapshot
						  : m->director;
		uint64_t version = version_of(s, k, part);
		if (version < s->notes->served[k])
			story_wrong(s, "served: version %llu of kind %u after %llu",
				(unsigned long long)version, k,
				(unsigned long long)s->notes->served[k]);
		s->notes->served[k] = version;
	}
	/* Until it is signed the answer alone says so. */
	if (s->offered && (s->must_be_signed || t.answer == ANSWER_OFFER))
		story_wrong(s, "served: the build that was halted");
	buf_release(&body);
}

/* ---- the telling ---- */

static void note_log(struct story *s)
{
	const struct state *state = control_state(&s->d->server);

	s->notes->log_size = state->log.size;
	memcpy(s->notes->log_root, state_root(state), SHA256_LEN);
}

static bool is_done(struct story *s, const struct step *step)
{
	return step->is_done != NULL && step->is_done(s, step->arg);
}

/* Once; true when it need not be tried again. */
static bool try_step(struct story *s, const struct step *step)
{
	int err;

	s->d->text[0] = '\0';
	err = step->run(s, step->arg);
	if (err == 0) {
		note_log(s);
		return true;
	}
	s->notes->refused++;
	if (err_str(err)[0] == '\0')
		story_wrong(s, "%s %s: refused without a word", step->what, step->arg);
	if (!is_done(s, step))
		return false;
	s->notes->unpaid++;
	return true;
}

static void tell_step(struct story *s, const struct step *step)
{
	bool done = is_done(s, step);

	for (unsigned i = 0; !done && i < (s->patient ? 1 : TRIES); i++) {
		if (i > 0)
			deployment_run(s->d, TICK_MS, TICK_MS); /* people wait a little */
		done = try_step(s, step);
	}
	s->notes->now_ms = s->d->now_ms;
	if (!done && !s->patient && (s->is_over == NULL || !s->is_over()))
		story_wrong(s, "%s %s: refused %d times: %s", step->what, step->arg, TRIES,
			s->d->text[0] != '\0' ? s->d->text : "(nothing was said)");
	look(s);
}

/* What a step needs was refused, as it may be: it cannot be told. */
static bool is_possible(struct story *s, const struct step *step)
{
	bool devices = step->run == alive || step->run == install;

	if (devices)
		return s->notes->enrolled == (1u << STORY_PHONES) - 1;
	if (step->run == propose)
		return is_published(s, step->arg);
	if (step->run == approve)
		return is_proposed(s, step->arg);
	if (step->run == start || step->run == halt)
		return is_approved(s, step->arg);
	return true;
}

void story_tell(struct story *s)
{
	for (size_t i = 0; i < STEPS && s->notes->wrong[0] == '\0'; i++) {
		if (s->has_ended != NULL && s->has_ended(s))
			return;
		if (!is_possible(s, &steps[i]))
			continue;
		s->notes->steps++;
		tell_step(s, &steps[i]);
	}
}

/* Devices that took the build in time are counted, or its stage was not opened. */
static void check_counted(struct story *s, const char *release)
{
	const struct rollout *r = rollout(s, release);
	struct stage *g = r == NULL
		? NULL
		: stages_find(&s->d->server.writer.stages, (struct stage_key){ r->no, 0 });

	if (g == NULL)
		story_wrong(s, "rollout %s: its stage is not open", release);
	else if (g->strata[0].evidence.total[ARM_CANARY][STREAM_BOOT_OK] == 0)
		story_wrong(s, "rollout %s: no installation is counted", release);
}

void story_go_on(struct story *s, const char *release)
{
	const struct step last[] = {
		{ "report", alive, NULL, "1.0" },
		{ "publish", publish_build, is_published, release },
		{ "propose", propose, is_proposed, release },
		{ "approve", approve, is_approved, release },
		{ "start", start, is_started, release },
		{ "wait", wait_minutes, NULL, "1" },
		{ "install", install, NULL, release },
	};

	s->patient = false;
	s->must_be_signed = true;
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++)
		if (is_possible(s, &last[i]))
			tell_step(s, &last[i]);
	if (s->notes->enrolled == (1u << STORY_PHONES) - 1)
		check_counted(s, release);
}
