/* SPDX-License-Identifier: Apache-2.0 */
/* Builds, plans, directives, and what vouches for them. */
#include "tests/attack/repo.h"

#include <assert.h>
#include <string.h>

#define DAY 86400u

static const char *const ring_name[] = { "core", "honour", "dev", "stable" };

struct repo_build *repo_add_build(struct repo *r, const char *id, uint64_t release_counter)
{
	struct repo_build *b = &r->builds[r->n_builds++];
	struct bytes file;

	assert(r->n_builds <= REPO_BUILDS);
	*b = (struct repo_build){ .id = id,
		.path = repo_text(&r->kept, "%s.zip", id),
		.release_counter = release_counter,
		.version = 1,
		.expires_s = r->now_s + 180 * DAY,
		.length = 3000 };
	b->file = repo_take(&r->kept, b->length);
	for (size_t i = 0; i < b->length; i++)
		b->file[i] = (uint8_t)((i * 31 >> 3) + release_counter);
	file = bytes_of(b->file, b->length);
	repo_must(crypto_sha256(&file, 1, b->sha256));
	return b;
}

struct repo_offer *repo_add_offer(struct repo *r, struct repo_build *build, uint32_t ring)
{
	assert(r->n_offers < REPO_OFFERS);
	memmove(&r->offers[1], &r->offers[0], r->n_offers++ * sizeof(r->offers[0]));
	r->offers[0] = (struct repo_offer){ .build = build,
		.action = 1,
		.ring = ring,
		.upper = 1000000,
		.approved_upper = 1000000,
		.plan_version = 1,
		.expires_s = r->now_s + 180 * DAY };
	repo_must(crypto_random(r->offers[0].rollout_id, ID_LEN));
	repo_must(crypto_random(r->offers[0].seed, SEED_LEN));
	return &r->offers[0];
}

void repo_withdraw(struct repo *r)
{
	r->n_offers = 0;
}

static Pb__MetaFile *pin(struct repo *r, const char *what, uint64_t version, struct bytes envelope)
{
	Pb__MetaFile *m = repo_take(&r->kept, sizeof(*m));
	uint8_t *sha256 = repo_take(&r->kept, SHA256_LEN);

	repo_must(crypto_sha256(&envelope, 1, sha256));
	*m = (Pb__MetaFile)PB__META_FILE__INIT;
	m->name = what;
	m->version = version;
	m->length = (uint32_t)envelope.n;
	m->sha256 = wire_data(sha256, SHA256_LEN);
	return m;
}

static void sign_targets(struct repo *r, struct repo_build *b)
{
	Pb__Targets t = PB__TARGETS__INIT;
	Pb__Target file = PB__TARGET__INIT;
	Pb__Target *files[] = { &file };
	const char *from[] = { b->rollback_from };

	t.spec_version = 1;
	t.version = b->version;
	t.expires = b->expires_s;
	t.repository = REPO_NAME;
	t.product = REPO_PRODUCT;
	t.build_id = b->id;
	t.release_counter = b->release_counter;
	t.rollback_index = b->rollback_index;
	t.targets = files;
	t.n_targets = 1;
	t.rollback_from = from;
	t.n_rollback_from = b->rollback_from != NULL;
	file.path = b->path;
	file.length = b->length;
	file.sha256 = wire_data(b->sha256, SHA256_LEN);
	b->targets = repo_sign(r, ENVELOPE_TARGETS, &t, &r->kept);
}

static const char **from_list(struct repo *r, const struct repo_offer *o)
{
	const char **list = repo_take(&r->kept, sizeof(*list));

	*list = o->from_build_id;
	return list;
}

static void sign_plan(struct repo *r, struct repo_offer *o, const Pb__Offer *offer)
{
	Pb__RolloutPlan p = PB__ROLLOUT_PLAN__INIT;
	Pb__Step step = PB__STEP__INIT;
	Pb__Step *steps[] = { &step };

	p.spec_version = 1;
	p.version = o->plan_version;
	p.expires = o->expires_s;
	p.repository = REPO_NAME;
	p.product = REPO_PRODUCT;
	p.rollout_id = offer->rollout_id;
	p.targets = offer->targets;
	p.seed = wire_data(o->seed, SEED_LEN);
	p.spec_sha256 = offer->targets->sha256;
	p.steps = steps;
	p.n_steps = 1;
	p.from_build_ids = from_list(r, o);
	p.n_from_build_ids = o->from_build_id != NULL;
	step.ring = o->ring;
	step.upper = o->approved_upper;
	step.not_before = o->not_before_s;
	o->plan = repo_sign(r, ENVELOPE_PLAN, &p, &r->kept);
}

static Pb__Offer *make_offer(struct repo *r, struct repo_offer *o)
{
	Pb__Offer *out = repo_take(&r->kept, sizeof(*out));
	Pb__Selector *selector = repo_take(&r->kept, sizeof(*selector));
	char hex[2 * ID_LEN + 1];

	sign_targets(r, o->build);
	*out = (Pb__Offer)PB__OFFER__INIT;
	*selector = (Pb__Selector)PB__SELECTOR__INIT;
	selector->seed = wire_data(o->seed, SEED_LEN);
	selector->lower = o->lower;
	selector->upper = o->upper;
	selector->from_build_ids = from_list(r, o);
	selector->n_from_build_ids = o->from_build_id != NULL;
	out->action = o->action;
	out->selector = selector;
	out->step = o->step;
	out->rollout_id = wire_data(o->rollout_id, ID_LEN);
	out->release_counter = o->build->release_counter;
	out->targets = pin(r, repo_text(&r->kept, "targets/" REPO_PRODUCT "/%s", o->build->id),
		o->build->version, o->build->targets);
	sign_plan(r, o, out);
	out->plan = pin(r,
		repo_text(
			&r->kept, "plan/%s/" REPO_PRODUCT, hex_encode(hex, o->rollout_id, ID_LEN)),
		o->plan_version, o->plan);
	return out;
}

static void sign_director(struct repo *r, uint32_t ring, Pb__Offer **offers)
{
	Pb__Director d = PB__DIRECTOR__INIT;
	Pb__Offer *list[REPO_OFFERS];
	struct repo_served *s = &r->served;

	d.spec_version = 1;
	d.version = r->version[ENVELOPE_DIRECTOR];
	d.expires = r->now_s + r->lives_s[ENVELOPE_DIRECTOR];
	d.repository = REPO_NAME;
	d.product = REPO_PRODUCT;
	d.ring = ring;
	d.offers = list;
	for (unsigned i = 0; i < r->n_offers; i++)
		if (r->offers[i].ring >= ring)
			list[d.n_offers++] = offers[i];
	d.halted_build_ids = r->halted;
	d.n_halted_build_ids = r->n_halted;
	s->director[ring] = repo_sign(r, ENVELOPE_DIRECTOR, &d, &r->kept);
	s->time_ms[ring] = r->now_s * 1000;
	s->entry[ring] = repo_log(r, s->director[ring], s->time_ms[ring]);
}

static void sign_snapshot(struct repo *r)
{
	Pb__Snapshot n = PB__SNAPSHOT__INIT;
	Pb__MetaFile *directors[REPO_RINGS];

	for (unsigned i = 0; i < REPO_RINGS; i++)
		directors[i] =
			pin(r, repo_text(&r->kept, "director/" REPO_PRODUCT "/%s", ring_name[i]),
				r->version[ENVELOPE_DIRECTOR], r->served.director[i]);
	n.spec_version = 1;
	n.version = r->version[ENVELOPE_SNAPSHOT];
	n.expires = r->now_s + r->lives_s[ENVELOPE_SNAPSHOT];
	n.repository = REPO_NAME;
	n.product = REPO_PRODUCT;
	n.directors = directors;
	n.n_directors = REPO_RINGS;
	r->served.snapshot = repo_sign(r, ENVELOPE_SNAPSHOT, &n, &r->kept);
	r->served.snapshot_version = n.version;
}

static void bump(struct repo *r, enum envelope_type type)
{
	if (++r->version[type] > r->highest[type])
		r->highest[type] = r->version[type];
}

void repo_tick(struct repo *r)
{
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.spec_version = 1;
	bump(r, ENVELOPE_TIMESTAMP);
	t.version = r->version[ENVELOPE_TIMESTAMP];
	t.expires = r->now_s + r->lives_s[ENVELOPE_TIMESTAMP];
	t.issued_at = r->now_s;
	t.offers_until = r->now_s + r->offers_for_s;
	t.repository = REPO_NAME;
	t.product = REPO_PRODUCT;
	t.snapshot =
		pin(r, "snapshot/" REPO_PRODUCT, r->version[ENVELOPE_SNAPSHOT], r->served.snapshot);
	r->served.timestamp = repo_sign(r, ENVELOPE_TIMESTAMP, &t, &r->kept);
}

void repo_publish(struct repo *r)
{
	Pb__Offer *offers[REPO_OFFERS];

	bump(r, ENVELOPE_DIRECTOR);
	bump(r, ENVELOPE_SNAPSHOT);
	r->served.n_offers = r->n_offers;
	for (unsigned i = 0; i < r->n_offers; i++) {
		offers[i] = make_offer(r, &r->offers[i]);
		r->served.plan[i] = r->offers[i].plan;
		r->served.targets[i] = r->offers[i].build->targets;
	}
	for (uint32_t ring = 0; ring < REPO_RINGS; ring++)
		sign_director(r, ring, offers);
	r->served.log_size = r->n_leaves;
	r->served.checkpoint = repo_checkpoint(r, r->n_leaves);
	sign_snapshot(r);
	repo_tick(r);
}
