/* SPDX-License-Identifier: Apache-2.0 */
/* The image as the state, the metadata and the stages have it. */
#include "proto/bucket.h"
#include "proto/device.pb-c.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/service/control_private.h"
#include "server/store/device.h"

static const char *const *copy_strings(const char *const *list, size_t n)
{
	char **copy = mem_alloc(n * sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = mem_strdup(list[i]);
	return (const char *const *)copy;
}

/* The ring's rollout is complete: those too young for its arms may have it. */
static bool ring_is_done(const struct rollout *r, enum ring ring)
{
	for (size_t i = r->step; r->state != ROLLOUT_COMPLETE && i < r->n_steps; i++)
		if (r->steps[i].ring == (uint32_t)ring)
			return false;
	return true;
}

/* The last day on which an id could be made that is old enough for this plan. */
static uint32_t last_day(const struct control *c, const struct rollout *r)
{
	uint64_t age_ms = c->server->config->min_id_age_ms;

	if (age_ms == 0)
		return 0;
	if (r->proposed_ms < age_ms + 2 * DAY_MS)
		return 1;
	return (uint32_t)((r->proposed_ms - age_ms) / DAY_MS - 1);
}

static void make_rule(
	const struct control *c, const struct chosen *o, enum ring ring, struct offer_rule *rule)
{
	const struct rollout *r = o->rollout;

	*rule = (struct offer_rule){
		.upper = o->fix ? PPM : r->steps[o->step].upper,
		.release_counter = o->build->build->release_counter,
		.tag = o->build->build->tag,
		.paused = r->state == ROLLOUT_PAUSED,
		.for_young = ring_is_done(r, ring),
		.last_day = last_day(c, r),
	};
	memcpy(rule->seed, o->build->seed, SEED_LEN);
	if (!o->fix)
		return;
	rule->from_builds = copy_strings((const char *const *)r->spec->fixes, r->spec->n_fixes);
	rule->n_from_builds = r->spec->n_fixes;
}

static uint64_t expires_s(const struct chosen *o)
{
	uint64_t build = o->build->build->expires, plan = o->rollout->expires_s;

	return build < plan ? build : plan;
}

static void make_stage(struct control *c, const struct chosen *o, size_t offer, enum ring ring,
	struct image_ring *out)
{
	const struct rollout *r = o->rollout;
	const struct plan_step *step = &r->steps[o->step];
	struct stage_key key = { r->no, (uint8_t)o->step };
	const struct follow *f = follow_find(c, key);

	/* An inner ring sees the offer too, but its devices are in no arm of an outer stage. */
	if (o->fix || (enum ring)step->ring != ring || (f != NULL && f->until_ms != UINT64_MAX))
		return;
	/* The stage could not be opened, and what its devices report would count nowhere: they wait. */
	if (f == NULL && (r->state != ROLLOUT_RUNNING || o->step != r->step))
		return;
	out->rules.has_stage = true;
	out->rules.stage = (struct offer_stage){
		.offer = offer,
		.lower = step->lower,
		.control_from = plan_control_from(step),
	};
	for (size_t i = o->step + 1; i < r->n_steps; i++)
		if (r->steps[i].ring == step->ring && out->rules.stage.n_groups < EVIDENCE_GROUPS)
			out->rules.stage.group_upper[out->rules.stage.n_groups++] =
				r->steps[i].upper;
	out->live = f != NULL ? f->live : &c->nobody;
	out->stage = key;
	out->slot = f != NULL ? f->slot : FLEET_SLOTS;
}

/* A rollout with fixes has two offers, and one plan. */
static bool comes_again(const struct chosen *offers, size_t i)
{
	return i > 0 && offers[i].rollout == offers[i - 1].rollout;
}

static void put_buf(struct buf *b, uint32_t id, const struct buf *value)
{
	image_put_field(b, id, buf_bytes(value));
}

/* Nothing when it stands in no entry that the checkpoint covers. */
static int put_proof(struct control *c, const struct product_files *files, enum ring ring,
	struct image_ring *out)
{
	const struct signed_file *f = &files->director[ring];
	const struct logged *at = state_logged(&c->state, files->product->name, ring, f->sha256);
	uint8_t hash[LOGTREE_PATH_MAX][SHA256_LEN];
	ProtobufCBinaryData list[LOGTREE_PATH_MAX];
	Pb__LogProof m = PB__LOG_PROOF__INIT;
	size_t used = c->arena.used, n;
	struct bytes bytes;
	int err;

	if (at == NULL || at->index >= c->ledger_size || c->checkpoint.len == 0)
		return 0;
	err = logtree_inclusion(c->state.tree, at->index, c->ledger_size, hash, &n);
	if (err != 0)
		return err;
	for (size_t i = 0; i < n; i++)
		list[i] = wire_data(hash[i], SHA256_LEN);
	m.checkpoint = wire_data(c->checkpoint.data, c->checkpoint.len);
	m.index = at->index;
	m.time_ms = at->time_ms;
	m.hashes = list;
	m.n_hashes = n;
	err = wire_pack(&m, &c->arena, &bytes);
	if (err == 0)
		image_put_field(&out->full, 7, bytes);
	c->arena.used = used;
	return err;
}

/* The fields 1 to 7 of PollReply. */
static void make_bytes(struct control *c, const struct product_files *files, enum ring ring,
	const struct chosen *offers, size_t n, struct image_ring *out)
{
	put_buf(&out->fresh, 1, &files->timestamp.envelope);
	put_buf(&out->full, 1, &files->timestamp.envelope);
	put_buf(&out->full, 2, &files->snapshot.envelope);
	put_buf(&out->full, 3, &files->director[ring].envelope);
	for (size_t i = 0; i < n; i++)
		if (!comes_again(offers, i))
			put_buf(&out->full, 4, &offers[i].build->plan);
	for (size_t i = 0; i < n; i++)
		if (!comes_again(offers, i))
			put_buf(&out->full, 5, &offers[i].build->build->targets);
	if (put_proof(c, files, ring, out) != 0)
		log_error("image: %s %s: no proof that its directive is logged",
			files->product->name, ring_str(ring));
}

static void make_ring(struct control *c, const struct product_files *files, enum ring ring,
	struct image_ring *out)
{
	struct chosen offers[OFFERS_MAX];
	size_t n = offers_choose(&c->state, files->product->name, ring, offers);

	out->rules.n = n;
	out->rules.halted_counter = offers_halted_counter(&c->state, files->product->name);
	for (size_t i = 0; i < n; i++) {
		make_rule(c, &offers[i], ring, &out->rules.offers[i]);
		out->expires_s[i] = expires_s(&offers[i]);
		/* A phone takes the first its directive has, which may be another by now. */
		out->rules.offers[i].paused |= files->director[ring].behind;
		if (!out->rules.has_stage)
			make_stage(c, &offers[i], i, ring, out);
	}
	make_bytes(c, files, ring, offers, n, out);
}

/* The newest rollout that says something of it. */
static bool is_stopped(const struct state *s, const struct build *b)
{
	for (size_t i = s->n_rollouts; i > 0; i--) {
		const struct rollout *r = s->rollouts[i - 1];
		if (!offers_has_build(r, b))
			continue;
		if (rollout_is_live(r))
			return false;
		if (r->state == ROLLOUT_HALTED)
			return true;
	}
	return state_is_below_floor(s, b->product, b->release_counter);
}

static struct image_build *add_build(struct image_product *out, const char *name, uint64_t counter)
{
	struct image_build *b;

	out->builds = mem_resize(out->builds, out->n_builds + 1, sizeof(*out->builds));
	b = &out->builds[out->n_builds++];
	*b = (struct image_build){
		.hash = device_build_hash(name), .name = name, .counter = counter
	};
	return b;
}

static void make_builds(const struct state *s, struct image_product *out)
{
	for (size_t i = 0; i < s->n_builds; i++) {
		const struct build *b = s->builds[i];
		struct image_build *made;
		if (strcmp(b->product, out->name) != 0)
			continue;
		made = add_build(out, b->build_id, b->release_counter);
		made->tag = b->tag;
		made->stopped = is_stopped(s, b);
		made->has_file = true;
		made->length = b->length;
		made->published_ms = b->published_ms;
		memcpy(made->sha256, b->sha256, SHA256_LEN);
	}
}

/* One that was published, too, is known by that. */
static void make_factory(const struct config *c, struct image_product *out)
{
	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t i = 0; i < c->lines[l].n_factory; i++) {
			const struct config_factory *f = &c->lines[l].factory[i];
			if (strcmp(f->product, out->name) == 0)
				(void)add_build(out, f->build, f->counter);
		}
}

static void make_log(const struct control *c, struct image *image)
{
	image->log.tree = c->state.tree;
	image->log.size = c->checkpoint.len > 0 ? c->ledger_size : 0;
	buf_add(&image->log.checkpoint, c->checkpoint.data, c->checkpoint.len);
	for (size_t i = 0; i < c->state.n_chain; i++)
		image_add_root(
			image, c->state.chain[i]->root->version, c->state.chain[i]->envelope);
}

struct image *image_make(struct control *c)
{
	struct image *image = image_new(c->n_files);

	image->generation = ++c->generation;
	image->settings = (struct image_settings){
		.interval_ms = c->server->config->poll.interval_ms,
		.jitter_ppm = c->server->config->poll.jitter_ppm,
		.door = c->server->door,
		.doorman = c->server->doorman,
		.cdn = c->server->config->cdn,
		.compat = &c->server->config->compat,
		.tenants = c->server->tenants,
	};
	make_log(c, image);
	for (size_t i = 0; i < c->n_files; i++) {
		const struct product_files *files = &c->files[i];
		struct image_product *p = &image->product[i];
		const char *unused;
		p->name = files->product->name;
		p->number = files->product->number;
		p->line = files->product->line;
		p->snapshot_version = files->snapshot.version;
		p->floor = c->state.floor(c->state.ctx, p->name, &unused);
		make_builds(&c->state, p);
		make_factory(c->server->config, p);
		for (unsigned r = 0; r < RING__COUNT; r++)
			make_ring(c, files, (enum ring)r, &p->ring[r]);
	}
	return image;
}
