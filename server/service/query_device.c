/* SPDX-License-Identifier: Apache-2.0 */
/* One device and why it has what it has; rings; builds. */
#include <stdlib.h>

#include "proto/bucket.h"
#include "server/service/query.h"
#include "server/store/device.h"

/* ---- device why ---- */

static const struct rollout_build *build_for(const struct rollout *r, const char *product)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (strcmp(r->builds[i].build->product, product) == 0)
			return &r->builds[i];
	return NULL;
}

/* The last arm it was in. */
static const char *arm_str(struct store_txn *t, const struct rollout *r, const uint8_t id[ID_LEN],
	struct evidence_device *out)
{
	for (size_t step = r->step + 1; step > 0; step--) {
		struct stage_key key = { r->no, (uint8_t)(step - 1) };
		if (arm_get(t, key, id, out))
			return out->arm == ARM_CANARY ? "canary" : "control";
	}
	return "none";
}

/* How far the rollout is open for this ring. */
static uint32_t open_for(const struct rollout *r, enum ring ring)
{
	uint32_t upper = 0;

	for (size_t i = 0; i < r->n_steps; i++)
		if (r->opened_ms[i] != 0 && r->steps[i].ring >= (uint32_t)ring &&
			r->steps[i].upper > upper)
			upper = r->steps[i].upper;
	return upper;
}

static const char *offer_why(struct query *q, const struct rollout *r,
	const struct rollout_build *b, const struct device *d, const Pb__DeviceOffer *v)
{
	if (!rollout_is_live(r))
		return query_printf(q, "the rollout is %s", rollout_str(r->state));
	if (d->build == device_build_hash(b->build->build_id))
		return "it runs this build";
	if (d->failed_tag == b->build->tag)
		return "this build failed on it before";
	if (v->bucket >= v->upper)
		return query_printf(q, "%s is open up to %g %%, its place is %g %%",
			ring_str(d->ring), v->upper / 1e4, v->bucket / 1e4);
	if (r->state == ROLLOUT_PAUSED)
		return "it may have it, but the rollout is paused";
	return "it may have it";
}

static Pb__DeviceOffer *view_offer(struct query *q, struct store_txn *t, const struct rollout *r,
	const struct device *d, const char *product)
{
	const struct rollout_build *b = build_for(r, product);
	Pb__DeviceOffer *v = query_alloc(q, sizeof(*v));
	struct evidence_device e;

	*v = (Pb__DeviceOffer)PB__DEVICE_OFFER__INIT;
	v->release = r->release;
	v->bucket = bucket_of(b->seed, d->id, product);
	v->upper = open_for(r, d->ring);
	v->arm = arm_str(t, r, d->id, &e);
	v->why = offer_why(q, r, b, d, v);
	return v;
}

static const char *factory_name(const struct config *c, uint64_t build)
{
	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t i = 0; i < c->lines[l].n_factory; i++)
			if (device_build_hash(c->lines[l].factory[i].build) == build)
				return c->lines[l].factory[i].build;
	return NULL;
}

const char *query_build_name(struct query *q, uint64_t hash)
{
	const struct state *s = control_state(q->server);

	for (size_t i = 0; i < s->n_builds; i++)
		if (device_build_hash(s->builds[i]->build_id) == hash)
			return s->builds[i]->build_id;
	return factory_name(q->server->config, hash);
}

static void view_device(struct query *q, struct store_txn *t, const struct device *d,
	const char *product, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	Pb__DeviceView *v = query_alloc(q, sizeof(*v));
	uint8_t *id = query_alloc(q, ID_LEN);

	memcpy(id, d->id, ID_LEN);
	*v = (Pb__DeviceView)PB__DEVICE_VIEW__INIT;
	v->device_id = wire_data(id, ID_LEN);
	v->product = product;
	v->ring = (uint32_t)d->ring;
	v->wish = (uint32_t)d->wish;
	v->enrolled_day = d->enrolled_day;
	v->last_seq = d->last_seq;
	v->last_build = query_build_name(q, d->build);
	v->foreign = query_foreign(q, t, d->id);
	v->offers = query_alloc(q, (s->n_rollouts + 1) * sizeof(*v->offers));
	for (size_t i = s->n_rollouts; i > 0; i--)
		if (s->rollouts[i - 1]->opened_ms[0] != 0 &&
			build_for(s->rollouts[i - 1], product) != NULL)
			v->offers[v->n_offers++] = view_offer(q, t, s->rollouts[i - 1], d, product);
	reply->device = v;
}

int query_device(struct query *q, Pb__AdminReply *reply)
{
	const char *name = q->ask->name != NULL ? q->ask->name : "";
	const struct product *p;
	uint8_t id[ID_LEN];
	struct device d;
	struct store_txn t;
	bool found;

	if (!hex_decode(id, ID_LEN, name) && !query_foreign_id(q, name, id)) {
		q->text = query_printf(q, "device %s: not enrolled here", name);
		return ERR_NOT_FOUND;
	}
	store_begin(q->server->store, &t, false);
	found = device_get(&t, id, &d);
	if (found) {
		p = registry_number(&q->server->registry, d.product);
		view_device(q, &t, &d, p != NULL ? p->name : "?", reply);
	}
	store_abort(&t);
	if (!found)
		q->text = query_printf(q, "device %s: not enrolled here", name);
	return found ? 0 : ERR_NOT_FOUND;
}

/* ---- rings ---- */

int query_rings(struct query *q, Pb__AdminReply *reply)
{
	const struct registry *r = &q->server->registry;

	reply->rings = query_alloc(q, r->n_lines * RING__COUNT * sizeof(*reply->rings));
	for (size_t l = 0; l < r->n_lines; l++)
		for (unsigned ring = 0; ring < RING__COUNT; ring++) {
			Pb__RingView *v = query_alloc(q, sizeof(*v));
			*v = (Pb__RingView)PB__RING_VIEW__INIT;
			v->line = r->lines[l].config->name;
			v->ring = ring;
			if (ring < RING_STABLE)
				v->seats = r->lines[l].config->rings.seats[ring];
			v->taken = atomic_load(&r->lines[l].devices[ring]);
			v->waiting = ring == RING_STABLE ? atomic_load(&r->lines[l].waiting) : 0;
			reply->rings[reply->n_rings++] = v;
		}
	return 0;
}

/* ---- builds ---- */

static const char *build_state(const struct state *s, const struct build *b)
{
	const struct rollout *r = state_rollout_of(s, b);

	return r != NULL ? rollout_str(r->state) : "published";
}

static Pb__BuildView *view_build(struct query *q, const struct build *b)
{
	Pb__BuildView *v = query_alloc(q, sizeof(*v));

	*v = (Pb__BuildView)PB__BUILD_VIEW__INIT;
	v->product = b->product;
	v->build_id = b->build_id;
	v->release = b->release;
	v->release_counter = b->release_counter;
	v->rollback_index = b->rollback_index;
	v->length = b->length;
	v->sha256 = wire_data(b->sha256, SHA256_LEN);
	v->published_ms = b->published_ms;
	v->state = build_state(control_state(q->server), b);
	return v;
}

static Pb__BuildView *view_factory(struct query *q, const struct config_factory *f)
{
	Pb__BuildView *v = query_alloc(q, sizeof(*v));

	*v = (Pb__BuildView)PB__BUILD_VIEW__INIT;
	v->product = f->product;
	v->build_id = f->build;
	v->release_counter = f->counter;
	v->state = f->floor ? "floor" : "factory";
	return v;
}

/* They are no builds that anything could be done with: only who asks for all is told of them. */
static void add_factory(struct query *q, Pb__AdminReply *reply)
{
	const struct config *c = q->server->config;

	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t i = 0; i < c->lines[l].n_factory; i++)
			if (state_build(control_state(q->server), c->lines[l].factory[i].product,
				    c->lines[l].factory[i].build) == NULL)
				reply->builds[reply->n_builds++] =
					view_factory(q, &c->lines[l].factory[i]);
}

static size_t count_factory(const struct config *c)
{
	size_t n = 0;

	for (size_t l = 0; l < c->n_lines; l++)
		n += c->lines[l].n_factory;
	return n;
}

static bool is_named(const struct build *b, const char *name)
{
	return strcmp(b->build_id, name) == 0 ||
		(b->release != NULL && strcmp(b->release, name) == 0);
}

int query_builds(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	const char *name = q->ask->name != NULL && q->ask->name[0] != '\0' ? q->ask->name : NULL;

	reply->builds = query_alloc(
		q, (s->n_builds + count_factory(q->server->config) + 1) * sizeof(*reply->builds));
	for (size_t i = 0; i < s->n_builds; i++) {
		const struct build *b = s->builds[i];
		Pb__BuildView *v;
		if (name != NULL && !is_named(b, name))
			continue;
		v = view_build(q, b);
		v->has_targets = name != NULL;
		if (name != NULL)
			v->targets = wire_data(b->targets.data, b->targets.len);
		reply->builds[reply->n_builds++] = v;
	}
	if (name == NULL)
		add_factory(q, reply);
	return 0;
}
