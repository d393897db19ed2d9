/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/poll.h"

#include <assert.h>

#include "server/metrics/metrics.h"
#include "server/service/seat.h"

static_assert((int)ANSWER_HALTED == (int)PB__ANSWER__ANSWER_HALTED &&
		(int)ANSWER_UP_TO_DATE == (int)PB__ANSWER__ANSWER_UP_TO_DATE,
	"core and wire number answers alike");
static_assert(METRIC_POLL_HALTED - METRIC_POLL_UP_TO_DATE == ANSWER_HALTED - ANSWER_UP_TO_DATE,
	"metrics list answers in their order");

int poll_ask_of(const struct request *r, struct poll_ask *out)
{
	size_t build_n = strlen(r->poll->build_id);

	*out = (struct poll_ask){
		.anonymous = r->anonymous,
		.urgent = r->poll->has_urgent && r->poll->urgent,
		.word = r->word,
		.release_counter = r->poll->release_counter,
		.snapshot_version = r->poll->snapshot_version,
		.root_version = r->poll->root_version,
		.log_size = r->poll->has_log_size ? r->poll->log_size : 0,
		.seq = r->poll->seq,
		.wish = r->poll->has_wish ? (enum ring)r->poll->wish : RING_STABLE,
	};
	if (r->product == NULL)
		return ERR_NOT_FOUND;
	if (out->release_counter < r->product->floor)
		metric_add(METRIC_POLLS_BELOW_FLOOR, 1);
	out->product = r->product->number;
	memcpy(out->id, r->id, ID_LEN);
	if (build_n >= sizeof(out->build_id))
		return ERR_BAD_RANGE;
	memcpy(out->build_id, r->poll->build_id, build_n);
	return 0;
}

unsigned poll_stretch(const struct desk *d)
{
	return d->image == NULL ? 0 : shed_stretch(&d->shed, d->image->settings.interval_ms);
}

/* The interval with its jitter: phones that came together do not come together again. */
uint32_t poll_next_s(struct desk *d)
{
	const struct image_settings *c = &d->image->settings;
	uint64_t interval_ms = c->interval_ms << poll_stretch(d);
	uint64_t span = interval_ms * c->jitter_ppm / 1000000;
	uint64_t ms = interval_ms - span;

	ms += desk_random(d) % (2 * span + 1);
	return ms < 1000 ? 1 : (uint32_t)(ms / 1000);
}

static uint8_t *put_varint(uint8_t *p, uint32_t value)
{
	for (; value > 127; value >>= 7)
		*p++ = (uint8_t)(value | 128);
	*p++ = (uint8_t)value;
	return p;
}

static uint8_t *put_field(uint8_t *p, uint32_t id, uint32_t value)
{
	return put_varint(put_varint(p, id << 3), value);
}

static Pb__RingWhy why_ring(const struct poll_ask *ask, const struct fleet_device *f)
{
	if (ask->anonymous)
		return PB__RING_WHY__RING_WHY_ANONYMOUS;
	if (f->wish < f->ring && !f->left)
		return PB__RING_WHY__RING_WHY_WAITING;
	return f->ring == RING_STABLE ? PB__RING_WHY__RING_WHY_OPEN : PB__RING_WHY__RING_WHY_SEATED;
}

/*
 * The log from what the phone keeps of it to the checkpoint.  Nothing when it keeps as much, or more
 * than there is: that it finds out by itself.
 */
static uint8_t *put_extension(uint8_t *p, const struct image_log *log, uint64_t from)
{
	uint8_t hash[LOGTREE_EXTENSION_MAX][SHA256_LEN];
	size_t n;

	if (from >= log->size)
		return p;
	n = logtree_extension(log->tree, from, log->size, hash) * SHA256_LEN;
	p = put_varint(p, 12 << 3 | 2);
	p = put_varint(p, (uint32_t)n);
	memcpy(p, hash, n);
	return p + n;
}

static void write_tail(struct desk *d, const struct poll_ask *ask, const struct fleet_device *f,
	bool full, struct poll_answer *out)
{
	uint8_t *p = out->tail;

	/* The fields of PollReply that are required, in their order. */
	p = put_field(p, 8, (uint32_t)f->ring);
	p = put_field(p, 9, (uint32_t)why_ring(ask, f));
	p = put_field(p, 10, (uint32_t)out->answer);
	p = put_field(p, 11, poll_next_s(d));
	if (full)
		p = put_extension(p, &d->image->log, ask->log_size);
	assert(p <= out->tail + POLL_TAIL_MAX);
	out->part[1] = bytes_of(out->tail, (size_t)(p - out->tail));
}

/* Enters the device into its arm; false when it needs a token and there is none. */
static bool enter(struct desk *d, const struct poll_ask *ask, const struct image_ring *r,
	const struct offer_decision *decision, uint64_t now_ms)
{
	struct arm_entry entry = {
		.stage = r->stage,
		.arm = decision->enters,
		.group = decision->group,
		.product = ask->product,
		.seq = ask->seq,
		.live = r->live,
		.word = ask->word,
		.slot = r->slot,
	};

	/* The control enters only while the canary can: both at the same time of day. */
	if (decision->enters == ARM_CONTROL &&
		atomic_load(&r->live->granted) >= atomic_load(&r->live->allowed))
		return true;
	if (!fleet_enter(ask->word, r->slot))
		return true; /* another poll of this device was first */
	if (decision->needs_token && !stage_take_token(r->live)) {
		fleet_leave(ask->word, r->slot);
		return false;
	}
	memcpy(entry.id, ask->id, ID_LEN);
	arm_enter(d->server, &entry, now_ms);
	return true;
}

struct offer_decision poll_decide(struct desk *d, const struct poll_ask *ask,
	const struct image_product *product, const struct fleet_device *f, uint64_t now_ms)
{
	const struct image_ring *r = &product->ring[f->ring];
	struct offer_device device = {
		.id = ask->anonymous ? NULL : ask->id,
		.product = product->name,
		.build_id = ask->build_id,
		.release_counter = ask->release_counter,
		.enrolled_day = f->enrolled_day,
		.failed_tag = f->failed_tag,
		.entered = f->entered >> r->slot & 1,
		.admit_ppm = r->live != NULL ? atomic_load(&r->live->admit_ppm) : 0,
	};
	struct offer_decision decision = offer_decide(&r->rules, &device);

	/* Who reports nothing is no canary: it waits until the stage has passed. */
	if (f->left && decision.needs_token)
		decision.answer = ANSWER_ADMISSION;
	else if (decision.enters != ARM_NONE && !f->left && !enter(d, ask, r, &decision, now_ms))
		decision.answer = ANSWER_ADMISSION;
	if (decision.answer == ANSWER_ADMISSION)
		atomic_fetch_add(&r->live->held, 1);
	return decision;
}

void poll_answer(
	struct desk *d, const struct poll_ask *ask, uint64_t now_ms, struct poll_answer *out)
{
	const struct image_product *product = image_number(d->image, ask->product);
	struct fleet_device f = { .ring = RING_STABLE, .wish = RING_STABLE }, judged;
	const struct image_ring *r;
	bool full;

	assert(product != NULL); /* products do not change while the server runs */
	if (!ask->anonymous)
		f = fleet_unpack(atomic_load(ask->word));
	judged = f;
	if (!ask->anonymous && !f.left && ask->wish > f.ring) {
		/* The seat is gone already; until that is written it enters no arm. */
		f.ring = judged.ring = RING_STABLE;
		f.wish = ask->wish;
		judged.left = true;
		seat_wish(d->server, ask->id, ask->wish, now_ms);
	} else if (!ask->anonymous && !f.left && f.wish != ask->wish) {
		seat_wish(d->server, ask->id, ask->wish, now_ms);
	}
	out->answer = poll_decide(d, ask, product, &judged, now_ms).answer;
	r = &product->ring[f.ring];
	full = ask->snapshot_version != product->snapshot_version;
	out->part[0] = buf_bytes(full ? &r->full : &r->fresh);
	write_tail(d, ask, &f, full, out);
	out->part[2] = image_roots_after(d->image, ask->root_version);
	metric_add(METRIC_POLL_UP_TO_DATE + (enum metric)(out->answer - 1), 1);
}
