/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/private.h"

_Static_assert((int)HUIDU_OFFERED == (int)PB__ANSWER__ANSWER_OFFER &&
		(int)HUIDU_HALTED == (int)PB__ANSWER__ANSWER_HALTED &&
		(int)HUIDU_STABLE == (int)PB__RING__RING_STABLE &&
		(int)HUIDU_RING_ANONYMOUS == (int)PB__RING_WHY__RING_WHY_ANONYMOUS,
	"the public numbers are those on the wire");

int poll_body(huidu_t *h, struct arena *a, struct bytes *out)
{
	const struct state *s = &h->state;
	Pb__PollRequest r = PB__POLL_REQUEST__INIT;

	r.product = h->product;
	r.build_id = h->build_id;
	r.release_counter = h->config.release_counter;
	r.rollback_index = s->rollback_index;
	r.root_version = s->root_version;
	r.snapshot_version = poll_is_held(h) ? s->snapshot.version : 0;
	r.has_log_size = s->log.size > 0;
	r.log_size = s->log.size;
	r.seq = s->last_seq;
	r.has_wish = 1;
	r.wish = (Pb__Ring)h->config.wish;
	r.has_urgent = r.urgent = h->asked || sdk_phase(h) == HUIDU_CONFIRMING;
	if (s->enrolled && s->n_events > 0 && !h->one_by_one) {
		int err = events_pack(h, a, &r.report);
		if (err != 0)
			return err;
	}
	return wire_pack(&r, a, out);
}

static void take_chain(struct state *next, const struct chain *c, uint64_t clock_ms)
{
	if (c->newer) {
		next->timestamp_version = c->version;
		next->timestamp_expires_s = c->expires_s;
		next->offers_until_s = c->offers_until_s;
		next->last_fresh_ms = clock_ms;
		if (next->floor_s < c->issued_s)
			next->floor_s = c->issued_s;
		time_agrees(c->h, next, c->issued_s);
	}
	next->snapshot = c->snapshot;
	next->chain_expires_s = c->files_expire_s;
	memcpy(next->director_version, c->director_version, sizeof(next->director_version));
}

/* Metadata too old to act on may still stop what is under way. */
static int expired(const struct chain *c)
{
	struct state *next = state_begin(c->h);
	int err = 0;

	if (c->director != NULL && choose_halted(c->h, next, c->director))
		err = state_commit(c->h);
	return err != 0 ? err : ERR_EXPIRED;
}

/* So may a directive that is signed but not public: stopping harms nobody. */
static int unlogged(const struct chain *c)
{
	struct state *next = state_begin(c->h);
	int err;

	(void)choose_halted(c->h, next, c->director); /* saved below in any case */
	err = choose_refuse(c, next, wire_bytes(c->reply->director), c->h->build_id, c->unlogged);
	if (err == 0)
		err = state_commit(c->h);
	return err != 0 ? err : c->unlogged;
}

/*
 * What the reply says of this device alone.  A new ring has another director: unless it
 * came along, we ask for everything.
 */
static void take_device(struct state *next, const struct chain *c)
{
	const Pb__PollReply *r = c->reply;

	if (c->director == NULL && next->ring != r->ring)
		next->held = 0;
	next->ring = (uint8_t)r->ring;
	next->ring_why = (uint8_t)r->ring_why;
	next->answer = (uint8_t)r->answer;
}

static int take(const struct chain *c)
{
	huidu_t *h = c->h;
	struct state *next = state_begin(h);
	int err = 0;

	take_chain(next, c, sdk_clock_ms(h));
	if (c->director != NULL) {
		next->log = c->log;
		next->held = 1;
		next->held_ring = (uint8_t)c->ring;
		(void)choose_halted(h, next, c->director); /* saved below in any case */
		/* Of a ring that was not granted: the next poll, or the grant, shows more. */
		if (c->ring < grant_ring(h))
			next->held = 0;
		else
			err = choose_offer(c, next);
	}
	if (err != 0)
		return err;
	take_device(next, c);
	hold_see(h, next);
	err = state_commit(h);
	if (err == 0)
		time_risen(h);
	return err;
}

static void schedule(const struct chain *c)
{
	huidu_t *h = c->h;

	h->interval_ms = pace_interval_ms(h, c->reply->next_poll_s);
	pace_set(h, &h->poll, h->interval_ms);
	if (c->director == NULL && !h->state.held)
		pace_now(&h->poll);
	hold_tell(h);
	h->confirmed = poll_allows(h);
	h->confirmed_ms = sdk_clock_ms(h);
}

/* The rest of the reply is judged by a Root that may still be to come: asked for again. */
static int schedule_roots(const struct chain *c, unsigned taken)
{
	huidu_t *h = c->h;

	if (root_again(h, taken))
		pace_now(&h->poll);
	else
		pace_set(h, &h->poll, pace_interval_ms(h, c->reply->next_poll_s));
	return 0;
}

int poll_done(huidu_t *h, int status, struct bytes body)
{
	struct arena a = sdk_arena(h);
	struct chain c = { .h = h, .a = &a, .now_s = sdk_now_s(h) };
	unsigned roots = 0;
	int err = exchange_error(h, status);

	/* Without them it may be answered. */
	if (status == HTTP_BAD_REQUEST && h->sent_seq != 0)
		h->one_by_one = true;
	h->asked = false; /* who still waits asks again */
	if (err == 0 && h->sent_seq != 0)
		err = events_taken(h);
	if (err != 0)
		return err;
	c.reply = wire_read(&pb__poll_reply__descriptor, body, &wire_admin, &a, &err);
	if (err == 0)
		err = root_take(&c, &roots);
	if (err == 0 && roots > 0)
		return schedule_roots(&c, roots);
	(void)root_again(h, 0); /* that was the last of them */
	if (err == 0)
		err = metadata_verify(&c);
	if (err == 0)
		err = c.expired ? expired(&c) : c.unlogged != 0 ? unlogged(&c) : take(&c);
	if (err == 0)
		schedule(&c);
	return err;
}

bool poll_is_held(const huidu_t *h)
{
	return h->state.held && h->state.held_ring >= grant_ring(h);
}

bool poll_offers(const huidu_t *h)
{
	const struct state *s = &h->state;
	uint64_t now_s = sdk_now_s(h);

	return poll_is_held(h) && s->candidate.build_id[0] != '\0' && s->answer == HUIDU_OFFERED &&
		now_s < s->offers_until_s && now_s < s->timestamp_expires_s &&
		now_s < s->chain_expires_s && now_s < s->candidate.expires_s;
}

bool poll_allows(const huidu_t *h)
{
	return poll_offers(h) && time_is_known(h);
}
