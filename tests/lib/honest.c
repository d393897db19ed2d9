/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is signed; honest_root.c has the keys, honest_log.c the log, and honest_http.c answers.
 */
#include "tests/lib/honest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES (4u << 20)
#define DAY         86400u

static const char *const ring_name[] = { "core", "honour", "dev", "stable" };

static struct arena arena_new(void)
{
	struct arena a = { malloc(ARENA_BYTES), ARENA_BYTES, 0 };

	assert(a.base != NULL);
	return a;
}

static const char *text(struct arena *a, const char *format, const char *x, const char *y)
{
	char *p = honest_take(a, 160);

	/* The formats are below, each with two %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int n = snprintf(p, 160, format, x, y);
#pragma GCC diagnostic pop
	assert(n > 0 && n < 160);
	return p;
}

struct honest *honest_new(uint64_t now_s)
{
	struct honest *s = calloc(1, sizeof(*s));

	assert(s != NULL);
	s->now_s = now_s;
	s->kept = arena_new();
	s->now = arena_new();
	s->reply = arena_new();
	s->root_for_s = 365 * DAY;
	s->grant_for_s = 90 * DAY;
	s->offers_for_s = DAY / 4;
	s->timestamp_for_s = DAY;
	s->snapshot_for_s = s->director_for_s = 7 * DAY;
	s->ring = s->director_ring = PB__RING__RING_STABLE;
	s->ring_why = PB__RING_WHY__RING_WHY_OPEN;
	s->answer = PB__ANSWER__ANSWER_UP_TO_DATE;
	s->next_poll_s = 3600;
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		s->signed_as[t] = s->typed_as[t] = (enum envelope_type)t;
	honest_make_root(s);
	honest_publish(s);
	return s;
}

void honest_free(struct honest *s)
{
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		honest_drop_keys(&s->roles[t]);
	honest_drop_keys(&s->log.key);
	free(s->log.leaf);
	for (unsigned i = 0; i < s->n_builds; i++)
		free(s->builds[i].file);
	free(s->kept.base);
	free(s->now.base);
	free(s->reply.base);
	free(s);
}

struct honest_build *honest_add_build(
	struct honest *s, const char *build_id, uint64_t release_counter, size_t length)
{
	struct honest_build *b = &s->builds[s->n_builds++];
	struct bytes part;

	assert(s->n_builds <= HONEST_MAX);
	*b = (struct honest_build){ .build_id = build_id,
		.release_counter = release_counter,
		.length = length,
		.file = malloc(length),
		.version = 1,
		.expires_s = s->now_s + 180 * DAY };
	assert(b->file != NULL);
	for (size_t i = 0; i < length; i++)
		b->file[i] = (uint8_t)((i * 31 >> 3) + (size_t)release_counter);
	part = bytes_of(b->file, length);
	honest_must(crypto_sha256(&part, 1, b->sha256));
	return b;
}

struct honest_offer *honest_add_offer(
	struct honest *s, struct honest_build *build, uint32_t ring, uint32_t upper)
{
	assert(s->n_offers < HONEST_MAX);
	memmove(&s->offers[1], &s->offers[0], s->n_offers * sizeof(s->offers[0]));
	s->n_offers++;
	s->offers[0] = (struct honest_offer){ .build = build,
		.action = 1,
		.ring = ring,
		.upper = upper,
		.approved_upper = upper,
		.plan_version = 1,
		.plan_expires_s = s->now_s + 180 * DAY };
	honest_must(crypto_random(s->offers[0].rollout_id, ID_LEN));
	return &s->offers[0];
}

void honest_withdraw(struct honest *s)
{
	s->n_offers = 0;
}

static Pb__MetaFile *pin(
	struct honest *s, const char *name, uint64_t version, struct bytes envelope)
{
	Pb__MetaFile *m = honest_take(&s->now, sizeof(*m));
	uint8_t *sha256 = honest_take(&s->now, SHA256_LEN);

	honest_must(crypto_sha256(&envelope, 1, sha256));
	*m = (Pb__MetaFile)PB__META_FILE__INIT;
	m->name = name;
	m->version = version;
	m->length = (uint32_t)envelope.n;
	m->sha256 = wire_data(sha256, SHA256_LEN);
	return m;
}

static void sign_targets(struct honest *s, struct honest_build *b)
{
	Pb__Targets t = PB__TARGETS__INIT;
	Pb__Target file = PB__TARGET__INIT;
	Pb__Payload payload = PB__PAYLOAD__INIT;
	Pb__Target *files[] = { &file };
	const char *from[] = { b->rollback_from };

	t.spec_version = 1;
	t.version = b->version;
	t.expires = b->expires_s;
	t.repository = HONEST_REPOSITORY;
	t.product = HONEST_PRODUCT;
	t.build_id = b->build_id;
	t.release_counter = b->release_counter;
	t.rollback_index = b->rollback_index;
	t.targets = files;
	t.n_targets = 1;
	t.rollback_from = from;
	t.n_rollback_from = b->rollback_from != NULL;
	file.path = text(&s->now, "%s%s.zip", b->build_id, "");
	file.length = b->length;
	file.sha256 = wire_data(b->sha256, SHA256_LEN);
	payload.offset = 7;
	payload.file_size = b->length - 7;
	payload.metadata_size = 99;
	payload.file_hash = payload.metadata_hash = wire_data(b->sha256, SHA256_LEN);
	file.payload = &payload;
	b->targets = honest_sign(s, ENVELOPE_TARGETS, &t, &s->now);
}

static const char **from_list(struct honest *s, const struct honest_offer *o)
{
	const char **list = honest_take(&s->now, sizeof(*list));

	*list = o->from_build_id;
	return list;
}

static void sign_plan(struct honest *s, struct honest_offer *o, Pb__Offer *out)
{
	Pb__RolloutPlan p = PB__ROLLOUT_PLAN__INIT;
	Pb__Step step = PB__STEP__INIT;
	Pb__Step *steps[] = { &step };

	p.spec_version = 1;
	p.version = o->plan_version;
	p.expires = o->plan_expires_s;
	p.repository = HONEST_REPOSITORY;
	p.product = HONEST_PRODUCT;
	p.rollout_id = out->rollout_id;
	p.targets = out->targets;
	p.seed = out->selector->seed;
	p.spec_sha256 = out->targets->sha256;
	p.steps = steps;
	p.n_steps = 1;
	p.from_build_ids = from_list(s, o);
	p.n_from_build_ids = o->from_build_id != NULL;
	step.ring = o->ring;
	step.upper = o->approved_upper;
	step.not_before = o->not_before_s;
	o->plan = honest_sign(s, ENVELOPE_PLAN, &p, &s->now);
}

static Pb__Offer *make_offer(struct honest *s, struct honest_offer *o)
{
	Pb__Offer *out = honest_take(&s->now, sizeof(*out));
	Pb__Selector *selector = honest_take(&s->now, sizeof(*selector));
	char hex[2 * ID_LEN + 1];

	*out = (Pb__Offer)PB__OFFER__INIT;
	*selector = (Pb__Selector)PB__SELECTOR__INIT;
	selector->seed = wire_data(s->roles[ENVELOPE_ROOT].keyid[0], SEED_LEN);
	selector->lower = o->lower;
	selector->upper = o->upper;
	selector->from_build_ids = from_list(s, o);
	selector->n_from_build_ids = o->from_build_id != NULL;
	out->action = o->action;
	out->selector = selector;
	out->rollout_id = wire_data(o->rollout_id, ID_LEN);
	out->release_counter = o->build->release_counter;
	out->targets = pin(s, text(&s->now, "targets/%s/%s", HONEST_PRODUCT, o->build->build_id),
		o->build->version, o->build->targets);
	sign_plan(s, o, out);
	hex_encode(hex, o->rollout_id, ID_LEN);
	out->plan =
		pin(s, text(&s->now, "plan/%s/%s", hex, HONEST_PRODUCT), o->plan_version, o->plan);
	return out;
}

static void sign_director(struct honest *s, uint32_t ring, Pb__Offer **offers)
{
	Pb__Director d = PB__DIRECTOR__INIT;
	Pb__Offer *list[HONEST_MAX];

	d.spec_version = 1;
	d.version = ++s->director_version[ring];
	d.expires = s->now_s + s->director_for_s;
	d.repository = HONEST_REPOSITORY;
	d.product = HONEST_PRODUCT;
	d.ring = ring;
	d.offers = list;
	for (unsigned i = 0; i < s->n_offers; i++)
		if (s->offers[i].ring >= ring)
			list[d.n_offers++] = offers[i];
	d.halted_build_ids = s->halted;
	d.n_halted_build_ids = s->n_halted;
	s->director[ring] = honest_sign(s, ENVELOPE_DIRECTOR, &d, &s->now);
	s->logged[ring] = honest_log(s, s->director[ring]);
}

static void sign_snapshot(struct honest *s)
{
	Pb__Snapshot n = PB__SNAPSHOT__INIT;
	Pb__MetaFile *directors[HONEST_RINGS];

	for (unsigned i = 0; i < HONEST_RINGS; i++)
		directors[i] = pin(s, text(&s->now, "director/%s/%s", HONEST_PRODUCT, ring_name[i]),
			s->director_version[i], s->director[i]);
	n.spec_version = 1;
	n.version = ++s->snapshot_version;
	n.expires = s->now_s + s->snapshot_for_s;
	n.repository = HONEST_REPOSITORY;
	n.product = HONEST_PRODUCT;
	n.directors = directors;
	n.n_directors = HONEST_RINGS;
	s->snapshot = honest_sign(s, ENVELOPE_SNAPSHOT, &n, &s->now);
}

void honest_tick(struct honest *s)
{
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.spec_version = 1;
	t.version = ++s->timestamp_version;
	t.expires = s->now_s + s->timestamp_for_s;
	t.issued_at = s->now_s;
	t.offers_until = s->now_s + s->offers_for_s;
	t.repository = HONEST_REPOSITORY;
	t.product = HONEST_PRODUCT;
	t.snapshot = pin(s, text(&s->now, "snapshot/%s%s", HONEST_PRODUCT, ""), s->snapshot_version,
		s->snapshot);
	s->timestamp = honest_sign(s, ENVELOPE_TIMESTAMP, &t, &s->now);
}

void honest_publish(struct honest *s)
{
	Pb__Offer *offers[HONEST_MAX];

	s->now.used = 0;
	for (unsigned i = 0; i < s->n_builds; i++)
		sign_targets(s, &s->builds[i]);
	for (unsigned i = 0; i < s->n_offers; i++)
		offers[i] = make_offer(s, &s->offers[i]);
	for (uint32_t ring = 0; ring < HONEST_RINGS; ring++)
		sign_director(s, ring, offers);
	sign_snapshot(s);
	honest_tick(s);
}
