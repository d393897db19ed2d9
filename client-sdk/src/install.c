/* SPDX-License-Identifier: Apache-2.0 */
/* From a verified file to a running build, and what became of it. */
#include "client-sdk/src/private.h"

/* How old the poll may be that found the build still on offer. */
#define CONFIRM_MS 300000u

static struct huidu_offer offer_of(const huidu_t *h)
{
	const struct candidate *c = &h->state.candidate;

	return (struct huidu_offer){ .build_id = c->build_id,
		.release_counter = c->release_counter,
		.rollback_index = c->rollback_index,
		.length = c->length,
		.sha256 = c->sha256,
		.payload_offset = c->payload_offset,
		.payload_size = c->payload_size,
		.metadata_size = c->metadata_size,
		.payload_hash = c->payload_hash,
		.metadata_hash = c->metadata_hash };
}

void install_failed(
	huidu_t *h, struct state *next, const char *build_id, Pb__EventKind kind, int err)
{
	(void)events_add(h, next, kind, build_id, (uint32_t)-err); /* room is made */
	state_add_failed(next, build_id);
	/* What else is on offer shows at the next poll. */
	next->held = 0;
	memset(&next->candidate, 0, sizeof(next->candidate));
}

int apply_step(huidu_t *h)
{
	struct huidu_offer offer = offer_of(h);
	int err;

	h->applying = true;
	memcpy(h->applying_sha256, h->state.candidate.sha256, SHA256_LEN);
	err = h->platform.apply(h->platform.ctx, &offer);
	if (err != 0)
		huidu_applied(h, err);
	return 0;
}

static int take_applied(huidu_t *h, int err)
{
	struct state *next = state_begin(h);

	if (err == 0)
		next->candidate.stage = STAGE_APPLIED;
	else
		install_failed(h, next, h->state.candidate.build_id,
			PB__EVENT_KIND__EVENT_INSTALL_FAILED, err);
	return state_commit(h);
}

void huidu_applied(huidu_t *h, int err)
{
	int saved;

	if (!h->applying)
		return;
	h->applying = false;
	h->confirmed = false;
	/* Dropped in the meantime: nobody waits for it. */
	if (h->state.candidate.stage != STAGE_FETCHED ||
		memcmp(h->applying_sha256, h->state.candidate.sha256, SHA256_LEN) != 0)
		return;
	if (err != 0)
		(void)sdk_note(h, err, "apply");
	saved = take_applied(h, err);
	if (saved != 0) {
		/* As if it had not been applied: it will be again. */
		(void)sdk_note(h, saved, "save");
		pace_fail(h, &h->work, 0);
	}
}

/*
 * The server knows of the switch before it happens: a phone that never comes back is
 * missed.
 */
static int announce(huidu_t *h)
{
	struct state *next = state_begin(h);
	const struct event *e =
		events_add(h, next, PB__EVENT_KIND__EVENT_INSTALLING, next->candidate.build_id, 0);

	next->candidate.stage = STAGE_ANNOUNCED;
	next->candidate.installing_seq = e != NULL ? e->seq : 0;
	return state_commit(h);
}

static int activate(huidu_t *h)
{
	struct huidu_offer offer = offer_of(h);
	struct state *next = state_begin(h);
	int err;

	next->trial.stage = TRIAL_ACTIVATED;
	state_set_text(next->trial.build_id, next->candidate.build_id);
	state_set_text(next->trial.from, h->build_id);
	err = state_commit(h);
	if (err != 0)
		return err;
	err = h->platform.activate(h->platform.ctx, &offer);
	if (err == 0)
		return 0;
	(void)sdk_note(h, err, "activate");
	next = state_begin(h);
	memset(&next->trial, 0, sizeof(next->trial));
	install_failed(
		h, next, h->state.candidate.build_id, PB__EVENT_KIND__EVENT_INSTALL_FAILED, err);
	return state_commit(h);
}

static bool is_confirmed(const huidu_t *h)
{
	uint64_t now = sdk_clock_ms(h);

	return h->confirmed && h->confirmed_ms <= now && now - h->confirmed_ms < CONFIRM_MS;
}

uint64_t confirm_due_ms(const huidu_t *h)
{
	if (is_confirmed(h))
		return h->work.at_ms;
	return h->poll.failures == 0 ? 0 : h->poll.at_ms;
}

int confirm_step(huidu_t *h)
{
	const struct candidate *c = &h->state.candidate;

	if (!is_confirmed(h))
		exchange_start(h, EXCHANGE_POLL);
	else if (c->stage == STAGE_APPLIED)
		return announce(h);
	else if (events_waiting(&h->state, c->installing_seq))
		exchange_start(h, EXCHANGE_REPORT);
	else
		return activate(h);
	return 0;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The build that was switched to did not last. */
static void came_back(huidu_t *h, struct state *next)
{
	Pb__EventKind kind = next->trial.stage == TRIAL_ACTIVATED
		? PB__EVENT_KIND__EVENT_BOOT_FAILED
		: PB__EVENT_KIND__EVENT_ROLLED_BACK;
	char build_id[TEXT_LEN];

	memcpy(build_id, next->trial.build_id, TEXT_LEN);
	memset(&next->trial, 0, sizeof(next->trial));
	install_failed(h, next, build_id, kind, 0);
}

static void settle_trial(huidu_t *h, struct state *next)
{
	struct trial *t = &next->trial;

	if (t->stage == TRIAL_NONE)
		return;
	if (same(h->build_id, t->from)) {
		came_back(h, next);
	} else if (!same(h->build_id, t->build_id)) {
		/* Somebody put a third build here. */
		memset(t, 0, sizeof(*t));
	} else if (t->stage == TRIAL_ACTIVATED) {
		t->stage = TRIAL_INSTALLED;
		(void)events_add(h, next, PB__EVENT_KIND__EVENT_INSTALLED, h->build_id,
			0); /* room is made */
	}
}

/* Consent withdrawn: nothing is kept by which the server knew this device. */
static void forget(struct state *next)
{
	next->enrolled = 0;
	next->enrolled_at_ms = next->grant_expires_s = 0;
	next->key_len = next->n_events = 0;
	memset(next->key, 0, sizeof(next->key));
	memset(next->device_id, 0, sizeof(next->device_id));
	memset(next->report_key, 0, sizeof(next->report_key));
	next->held = 0; /* nor is it in the bucket it was in */
}

int install_settle(huidu_t *h)
{
	struct state *next = state_begin(h);
	int err = 0;

	if (h->config.reports)
		err = own_crypto_key(h, next);
	else if (next->enrolled || next->n_events > 0)
		forget(next);
	if (err != 0)
		return err;
	settle_trial(h, next);
	if (!same(h->build_id, next->own_build)) {
		/*
		 * Another build is another question: what is offered to it shows at the
		 * poll.
		 */
		state_set_text(next->own_build, h->build_id);
		memset(&next->candidate, 0, sizeof(next->candidate));
		next->held = 0;
	}
	/* One on trial counts when it has proved itself. */
	if (next->trial.stage != TRIAL_INSTALLED && next->rollback_index < h->config.rollback_index)
		next->rollback_index = h->config.rollback_index;
	return state_commit(h);
}
