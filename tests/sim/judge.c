/* SPDX-License-Identifier: Apache-2.0 */
/* What must always be so, with the names of docs/trust.md: I1 to I8, and what they do not say. */
#include <stdio.h>

#include "proto/bucket.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/service/retention.h"
#include "server/service/seat.h"
#include "server/store/device.h"
#include "server/store/entry.h"
#include "server/store/stage.h"
#include "tests/sim/sim.h"

#define KINDS 16u

static struct sim_host *const host = &world_sim.host;

static const struct state *state(void)
{
	return control_state(&host->d.server);
}

/* ---- I1: no served version ever decreases ---- */

static void rises(unsigned *slot, uint64_t version, const char *what)
{
	uint64_t *floor = &host->floor[(*slot)++];

	if (version < *floor)
		sim_fail("I1: %s %llu is served after %llu", what, (unsigned long long)version,
			(unsigned long long)*floor);
	*floor = version;
}

static void judge_image(void)
{
	const struct control *c = host->d.server.control;
	unsigned slot = 0;

	rises(&slot, state()->root->version, "root");
	rises(&slot, host->image->log.size, "checkpoint");
	for (size_t i = 0; i < c->n_files; i++) {
		const struct product_files *f = &c->files[i];
		rises(&slot, f->timestamp.version, "timestamp");
		rises(&slot, f->snapshot.version, "snapshot");
		for (unsigned g = 0; g < RING__COUNT; g++)
			rises(&slot, f->director[g].version, "director");
	}
}

/* ---- I3, I7: what was said to be in the log is, and nothing before it has changed ---- */

static void judge_log(const char *when)
{
	uint8_t root[SHA256_LEN];

	if (state()->log.size < host->acked_size)
		sim_fail("I3: %s the log has %llu entries, %llu were acknowledged", when,
			(unsigned long long)state()->log.size,
			(unsigned long long)host->acked_size);
	for (unsigned i = 0; i < host->n_acked; i++) {
		const struct signed_log *l = &host->acked[i];
		if (l->size > state()->log.size ||
			logtree_root(state()->tree, l->size, root) != 0 ||
			memcmp(root, l->root, SHA256_LEN) != 0)
			sim_fail("I7: %s the log's first %llu entries are others", when,
				(unsigned long long)l->size);
	}
}

void judge_acked(void)
{
	struct signed_log *l = &host->acked[host->n_acked % 8];

	if (host->n_acked < 8)
		host->n_acked++;
	else
		l = &host->acked[chance_below(&world_sim.host_chance, 8)];
	l->size = host->acked_size = state()->log.size;
	memcpy(l->root, state_root(state()), SHA256_LEN);
}

/* ---- I2, I5: halts stay, nothing opens without approvals ---- */

static void judge_halt(struct release *r, const struct rollout *o)
{
	if (o->state == ROLLOUT_HALTED) {
		if (r->halted_ms != 0)
			return;
		r->halted_ms = world_sim.now_ms;
		r->was_halted = true;
		r->approvals = 0;
		if (host->halting)
			return; /* somebody did */
		trace(o->why, r->kind, r->counter);
		world_sim.good_halted += r->kind == KIND_GOOD || r->kind == KIND_SLOW;
		world_sim.bad_caught += r->kind != KIND_GOOD && r->kind != KIND_SLOW;
	} else if (r->halted_ms != 0) {
		if (o->state != ROLLOUT_SUPERSEDED &&
			r->approvals < state()->root->approver->threshold)
			sim_fail("I2: %s was halted, and is %s with %u approvals since", r->name,
				rollout_str(o->state), r->approvals);
		r->halted_ms = 0;
	}
}

static void judge_opened(struct release *r, const struct rollout *o)
{
	for (size_t i = 0; i < o->n_steps; i++) {
		if (o->opened_ms[i] == 0)
			continue;
		if (!r->started)
			sim_fail("I5: step %zu of %s is open, and nobody started it", i + 1,
				r->name);
		for (unsigned g = 0; g <= o->steps[i].ring; g++)
			if (o->steps[i].upper > r->upper[g])
				r->upper[g] = o->steps[i].upper;
	}
	if (o->opened_ms[0] != 0 && o->plan_version == 0)
		sim_fail("I5: %s is open without a plan", r->name);
	r->completed |= o->state == ROLLOUT_COMPLETE;
	/* The people did not lift it: the gate let a build through that bricks who takes it. */
	if ((r->kind == KIND_BRICKS || r->kind == KIND_SILENT) && !r->was_halted &&
		(r->completed || r->upper[RING_STABLE] > 500000))
		sim_fail("the gate opened %s, which bricks phones, to %u ppm of stable", r->name,
			r->upper[RING_STABLE]);
}

/* A ring has one stage that takes devices in. */
static void judge_rings(void)
{
	const struct rollout *open[RING__COUNT] = { NULL };

	for (size_t i = 0; i < state()->n_rollouts; i++) {
		const struct rollout *o = state()->rollouts[i];
		enum ring ring = o->n_steps > 0 ? rollout_ring(o) : RING_STABLE;
		if (o->state != ROLLOUT_RUNNING)
			continue;
		if (open[ring] != NULL)
			sim_fail("%s and %s both have an open stage in %s", open[ring]->release,
				o->release, ring_str(ring));
		open[ring] = o;
	}
}

static void judge_metrics(void)
{
	for (unsigned i = 1; i < KINDS; i++) {
		uint64_t have = metric_get(METRIC_EVENT_OFFERED + (enum metric)(i - 1));
		if (have != world_sim.model_events[i])
			sim_fail("I6: %llu events of kind %u were acknowledged, %llu counted",
				(unsigned long long)world_sim.model_events[i], i,
				(unsigned long long)have);
	}
}

void judge_server(void)
{
	world_sim.checks++;
	if (!host->up)
		return;
	for (size_t i = 0; i < state()->n_rollouts; i++) {
		const struct rollout *o = state()->rollouts[i];
		struct release *r = release_find(o->release);
		if (r == NULL)
			sim_fail("a rollout of %s, which nobody made", o->release);
		if (o == state_rollout(state(), o->release))
			judge_halt(r, o);
		judge_opened(r, o);
		r->aged |= retention_due_ms(o, host->d.config.retention_ms) <= host->d.now_ms;
	}
	judge_rings();
	judge_metrics();
	if (host->d.desk.image == host->image)
		return;
	host->image = host->d.desk.image;
	judge_image();
}

/* ---- reports: each once ---- */

void judge_taken(struct sim_phone *p, uint32_t first, size_t n, const struct report *r)
{
	world_sim.reports++;
	for (size_t i = 0; i < n; i++) {
		if (first + i <= p->taken)
			continue;
		p->taken = (uint32_t)(first + i);
		world_sim.model_events[r->events[i].kind & (KINDS - 1)]++;
	}
}

/* What the store says after a death in the middle of a report may be either. */
static void judge_device(struct store_txn *t, struct sim_phone *p)
{
	struct device d;

	if (!p->has_id)
		return;
	if (!device_get(t, p->id, &d))
		sim_fail("phone %u enrolled, and the store has not heard of it", p->no);
	if (d.last_seq < p->taken)
		sim_fail("events of phone %u up to %u were acknowledged, the store has %u", p->no,
			p->taken, d.last_seq);
	if (d.last_seq > p->taken && d.last_seq > p->maybe)
		sim_fail("the store has events of phone %u up to %u, it made %u", p->no, d.last_seq,
			p->maybe);
	p->taken = d.last_seq;
}

/* ---- I6: evidence is a recount of the devices, seats of the fleet ---- */

struct count {
	struct stage_key key;
	uint32_t entered[ARM__COUNT], seen[ARM__COUNT][STREAM__COUNT];
};

static void count_arm(struct count *c, const struct evidence_device *d)
{
	c->entered[d->arm]++;
	for (unsigned i = 0; i < STREAM__COUNT; i++)
		c->seen[d->arm][i] += d->seen >> i & 1;
}

static void judge_stage(struct store_txn *t, const struct stage_key key)
{
	struct count all = { .key = key };
	uint32_t entered[ARM__COUNT] = { 0 }, total[ARM__COUNT][STREAM__COUNT] = { 0 };
	struct store_cursor c;
	uint8_t prefix[5];

	put_be32(prefix, key.rollout);
	prefix[4] = key.step;
	store_foreach(&c, t, STORE_ARM, bytes_of(prefix, 5)) {
		struct evidence_device d;
		struct stage_key of;
		uint8_t id[ID_LEN];
		if (!arm_read(&c, &of, id, &d))
			sim_fail("I6: a device's evidence cannot be read");
		count_arm(&all, &d);
	}
	for (uint16_t product = 0; product < 8; product++) {
		struct evidence e;
		if (!stage_get(t, key, product, &e))
			continue;
		for (unsigned a = 0; a < ARM__COUNT; a++) {
			entered[a] += e.entered[a];
			for (unsigned s = 0; s < STREAM__COUNT; s++)
				total[a][s] += e.total[a][s];
		}
	}
	for (unsigned a = 0; a < ARM__COUNT; a++) {
		if (entered[a] != all.entered[a])
			sim_fail(
				"I6: %u devices entered arm %u of step %u of entry %u, %u are there",
				entered[a], a, key.step, key.rollout, all.entered[a]);
		for (unsigned s = 0; s <= STREAM_BOOT_OK; s++)
			if (total[a][s] != all.seen[a][s])
				sim_fail(
					"I6: arm %u, stream %u of step %u of entry %u: counted %u, "
					"recounted %u",
					a, s, key.step, key.rollout, total[a][s], all.seen[a][s]);
	}
}

static void judge_seats(struct store_txn *t)
{
	uint64_t seats[RING__COUNT] = { 0 };
	const struct line *line = &host->d.server.registry.lines[0];
	struct store_cursor c;

	store_foreach(&c, t, STORE_DEVICE, bytes_of(NULL, 0)) {
		struct device d;
		if (!device_read(&c, &d))
			sim_fail("I6: a device's record cannot be read");
		seats[d.ring]++;
	}
	for (unsigned g = 0; g < RING__COUNT; g++) {
		if (seats[g] != atomic_load(&line->devices[g]))
			sim_fail("%s has %llu devices, %llu are counted", ring_str((enum ring)g),
				(unsigned long long)seats[g],
				(unsigned long long)atomic_load(&line->devices[g]));
		if (g < RING_STABLE && seats[g] > line->config->rings.seats[g])
			sim_fail("%s has %llu seats, %llu are taken", ring_str((enum ring)g),
				(unsigned long long)line->config->rings.seats[g],
				(unsigned long long)seats[g]);
	}
}

void judge_store(void)
{
	struct store_txn t;

	if (!host->up)
		return;
	store_begin(host->d.server.store, &t, false);
	for (unsigned i = 0; i < world_sim.n_phones; i++)
		judge_device(&t, &world_sim.phones[i]);
	judge_seats(&t);
	for (size_t i = 0; i < state()->n_rollouts; i++) {
		const struct rollout *o = state()->rollouts[i];
		/* What devices did in it goes then, and nothing is left to count. */
		if (release_find(o->release)->aged)
			continue;
		for (size_t s = 0; s < o->n_steps; s++)
			if (o->opened_ms[s] != 0)
				judge_stage(&t, (struct stage_key){ o->no, (uint8_t)s });
	}
	if (t.err != 0)
		sim_fail("the store cannot be read: %s", err_name(t.err));
	store_abort(&t);
	judge_log("now");
}

/* Who waits has no seat because there is none. */
void judge_waiting(void)
{
	struct line *line = &host->d.server.registry.lines[0];

	for (unsigned g = RING_CORE; g < RING_STABLE; g++)
		for (unsigned i = 0; i < world_sim.n_phones; i++) {
			struct sim_phone *p = &world_sim.phones[i];
			fleet_word *w = p->has_id ? fleet_find(host->d.server.fleet, p->id) : NULL;
			struct fleet_device d;
			if (w == NULL)
				continue;
			d = fleet_unpack(atomic_load(w));
			if (d.wish == (enum ring)g && d.ring > d.wish &&
				seat_free(&host->d.server, 0, (enum ring)g) > 0)
				sim_fail(
					"phone %u waits for a seat in %s, of which %llu are free; %llu wait",
					p->no, ring_str((enum ring)g),
					(unsigned long long)seat_free(
						&host->d.server, 0, (enum ring)g),
					(unsigned long long)atomic_load(&line->waiting));
		}
}

void judge_start(bool restored)
{
	host->image = NULL;
	judge_log("after a start");
	judge_server();
	/* Nobody says that a backup has what came after it, if the log has not moved on. */
	if (!restored)
		judge_store();
}

/* ---- phones ---- */

static bool is_open_to(const struct release *r, const struct rollout *o, const struct sim_phone *p)
{
	uint32_t bucket = BUCKET_ANONYMOUS;
	const struct rollout_build *b = NULL;
	struct inside in;

	for (size_t i = 0; i < o->n_builds; i++)
		if (strcmp(o->builds[i].build->product, p->product) == 0)
			b = &o->builds[i];
	if (b == NULL)
		return false;
	inside_read(p->h, &in);
	if (in.enrolled)
		bucket = inside_bucket(b->seed, in.device_id, p->product);
	return bucket < r->upper[p->inner];
}

void judge_install(struct sim_phone *p, const struct huidu_offer *offer)
{
	struct release *r = release_find(offer->build_id);
	const char *content;
	size_t n;

	if (r == NULL || !r->published)
		sim_fail("phone %u installs %s, which was not published", p->no, offer->build_id);
	if (p->runs != NULL && r->counter <= p->runs->counter)
		sim_fail("phone %u goes from %s back to %s", p->no, p->runs->name, r->name);
	content = r->content[strcmp(p->product, "phone-b") == 0];
	n = strlen(content);
	if (offer->length != n || memcmp(p->file, content, n) != 0)
		sim_fail("phone %u installs other bytes than those of %s", p->no, r->name);
	if (r->halted_ms != 0 && r->halted_ms < p->polled_ms)
		sim_fail("phone %u installs %s, halted %llu s before it last asked", p->no, r->name,
			(unsigned long long)(p->polled_ms - r->halted_ms) / 1000);
	if (world_sim.now_ms - p->answered_ms > 10 * MINUTE_MS && p->set_ms < p->answered_ms)
		sim_fail("phone %u installs %s, and last asked %llu min ago", p->no, r->name,
			(unsigned long long)((world_sim.now_ms - p->answered_ms) / MINUTE_MS));
	if (host->up) {
		const struct rollout *o = state_rollout(state(), r->name);
		if (o == NULL || !is_open_to(r, o, p))
			sim_fail("phone %u installs %s, which is not open to it", p->no, r->name);
	}
	r->installs++;
	world_sim.installs++;
	p->installs++;
	trace("install", p->no, r->counter);
}

static void rose(const struct sim_phone *p, uint64_t *seen, uint64_t now, const char *what)
{
	if (now < *seen)
		sim_fail("I8: phone %u: %s %llu after %llu", p->no, what, (unsigned long long)now,
			(unsigned long long)*seen);
	*seen = now;
}

void judge_phone(struct sim_phone *p)
{
	static const uint8_t fence = 0xa5;
	uint64_t seq = p->seen_seq;
	struct inside in;

	inside_read(p->h, &in);
	for (size_t i = 0; i < sizeof(p->fence); i++)
		if (p->fence[i] != fence)
			sim_fail("phone %u: the SDK writes behind its memory", p->no);
	rose(p, &p->seen_root, in.root_version, "root");
	rose(p, &p->seen_timestamp, in.timestamp_version, "timestamp");
	rose(p, &p->seen_log, in.log_size, "log");
	rose(p, &p->seen_floor, in.floor_s, "time");
	for (unsigned g = 0; g < RING__COUNT; g++)
		rose(p, &p->seen_director[g], in.director_version[g], "director");
	if (p->reports)
		rose(p, &seq, in.last_seq, "event");
	p->seen_seq = (uint32_t)seq;
}
