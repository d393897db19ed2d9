/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and what is signed with them; repo_http.c answers. */
#include "tests/attack/repo.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/merkle.h"

#define ARENA_BYTES (16u << 20)
#define DAY         86400u

static const enum envelope_type rooted[] = { ENVELOPE_ROOT, ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
	ENVELOPE_TARGETS, ENVELOPE_PLAN, ENVELOPE_DIRECTOR };
#define ROOTED (sizeof(rooted) / sizeof(rooted[0]))
static const char *const ring_name[] = { "core", "honour", "dev", "stable" };

static void must(int err)
{
	if (err != 0)
		(void)fprintf(stderr, "repo: %s\n", err_str(err));
	assert(err == 0);
}

void *repo_take(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	assert(p != NULL);
	memset(p, 0, n);
	return p;
}

__attribute__((format(printf, 2, 3))) static const char *name(
	struct arena *a, const char *format, ...)
{
	char *p = repo_take(a, 200);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p, 200, format, args);
	va_end(args);
	return p;
}

/* ---- keys and signatures ---- */

const struct repo_key *repo_key(struct repo *r, unsigned number)
{
	struct repo_key *k = &r->keys[number];

	assert(number < REPO_KEYS);
	if (k->key != NULL)
		return k;
	must(crypto_key_generate(number >= REPO_P256 ? KEY_P256 : KEY_ED25519, &k->key));
	k->pb = (Pb__Key)PB__KEY__INIT;
	k->pb.scheme = (uint32_t)crypto_key_scheme(k->key);
	k->pb.public_key = wire_data(k->public_key, crypto_key_public(k->key, k->public_key));
	k->pb.name = k->name;
	must(envelope_keyid(crypto_openssl(), &k->pb, k->id));
	return k;
}

void repo_set_role(
	struct repo *r, enum envelope_type type, unsigned first, unsigned n, unsigned threshold)
{
	struct repo_role *role = &r->role[type];

	*role = (struct repo_role){ .n = n, .threshold = threshold, .n_signers = threshold };
	for (unsigned i = 0; i < n; i++)
		role->key[i] = role->signer[i] = first + i;
}

void repo_rotate(struct repo *r, enum envelope_type type)
{
	unsigned first = 0;

	for (unsigned i = 0; i < REPO_P256; i++)
		if (r->keys[i].key != NULL)
			first = i + 1;
	repo_set_role(r, type, first, r->role[type].n, r->role[type].threshold);
	for (unsigned i = 0; i < r->role[type].n; i++)
		(void)repo_key(r, first + i);
}

/* DSSE's pre-authentication encoding, written here once more on purpose. */
static struct bytes pae(struct arena *a, const char *type, struct bytes body)
{
	const char *head = name(a, "DSSEv1 %zu %s %zu ", strlen(type), type, body.n);
	uint8_t *p = repo_take(a, strlen(head) + body.n);

	memcpy(p, head, strlen(head));
	memcpy(p + strlen(head), body.p, body.n);
	return bytes_of(p, strlen(head) + body.n);
}

static Pb__Signature *sign_with(struct arena *a, const struct repo_key *key, struct bytes text)
{
	Pb__Signature *s = repo_take(a, sizeof(*s));
	uint8_t *sig = repo_take(a, SIG_LEN);

	must(crypto_key_sign(key->key, text, sig));
	*s = (Pb__Signature)PB__SIGNATURE__INIT;
	s->sig = wire_data(sig, SIG_LEN);
	s->keyid = wire_data(key->id, SHA256_LEN);
	return s;
}

/* A RingGrant is the director's word, a TimeStatement the timestamp key's. */
static enum envelope_type signs(enum envelope_type type)
{
	if (type == ENVELOPE_GRANT)
		return ENVELOPE_DIRECTOR;
	return type == ENVELOPE_TIME ? ENVELOPE_TIMESTAMP : type;
}

struct bytes repo_sign(struct repo *r, enum envelope_type type, void *message, struct arena *a)
{
	const struct repo_role *by = &r->role[signs(type)];
	Pb__Envelope e = PB__ENVELOPE__INIT;
	struct bytes payload, out;

	r->signing = type;
	if (r->edit[type] != NULL)
		r->edit[type](r, message);
	must(wire_pack(message, a, &payload));
	e.payload = wire_data(payload.p, payload.n);
	e.payload_type = envelope_type_str(r->typed_as[type]);
	e.signatures = repo_take(a, 2 * REPO_ROLE * sizeof(*e.signatures)); /* room to forge */
	for (unsigned i = 0; i < by->n_signers; i++)
		e.signatures[e.n_signatures++] =
			sign_with(a, repo_key(r, by->signer[i]), pae(a, e.payload_type, payload));
	if (r->forge[type] != NULL)
		r->forge[type](r, &e);
	must(wire_pack(&e, a, &out));
	return out;
}

#define COMMON(m)                                                                                  \
	(struct repo_common)                                                                       \
	{                                                                                          \
		&(m)->spec_version, &(m)->version, &(m)->expires, &(m)->repository, &(m)->product  \
	}

struct repo_common repo_common(const struct repo *r, void *message)
{
	if (r->signing == ENVELOPE_TIMESTAMP)
		return COMMON((Pb__Timestamp *)message);
	if (r->signing == ENVELOPE_SNAPSHOT)
		return COMMON((Pb__Snapshot *)message);
	if (r->signing == ENVELOPE_DIRECTOR)
		return COMMON((Pb__Director *)message);
	if (r->signing == ENVELOPE_PLAN)
		return COMMON((Pb__RolloutPlan *)message);
	assert(r->signing == ENVELOPE_TARGETS);
	return COMMON((Pb__Targets *)message);
}

/* ---- root ---- */

/* Each key once, though several roles may name it. */
static void add_key(struct repo *r, Pb__Root *root, unsigned number)
{
	const struct repo_key *key = repo_key(r, number);
	Pb__Key *copy;

	for (size_t i = 0; i < root->n_keys; i++)
		if (root->keys[i]->public_key.data == key->public_key)
			return;
	copy = repo_take(&r->kept, sizeof(*copy));
	*copy = key->pb;
	root->keys[root->n_keys++] = copy;
}

static Pb__Role *make_role(struct repo *r, Pb__Root *root, enum envelope_type type)
{
	const struct repo_role *from = &r->role[type];
	Pb__Role *role = repo_take(&r->kept, sizeof(*role));

	*role = (Pb__Role)PB__ROLE__INIT;
	role->threshold = from->threshold;
	role->keyids = repo_take(&r->kept, REPO_ROLE * sizeof(*role->keyids));
	for (unsigned i = 0; i < from->n; i++) {
		add_key(r, root, from->key[i]);
		role->keyids[role->n_keyids++] =
			wire_data(repo_key(r, from->key[i])->id, SHA256_LEN);
	}
	return role;
}

void repo_publish_root(struct repo *r)
{
	Pb__Root root = PB__ROOT__INIT;
	Pb__LogPolicy log = PB__LOG_POLICY__INIT;

	root.spec_version = 1;
	root.version = ++r->version[ENVELOPE_ROOT];
	root.expires = r->now_s + r->lives_s[ENVELOPE_ROOT];
	root.repository = REPO_NAME;
	root.profile = "team";
	root.keys = repo_take(&r->kept, REPO_KEYS * sizeof(*root.keys));
	root.root = make_role(r, &root, ENVELOPE_ROOT);
	root.timestamp = make_role(r, &root, ENVELOPE_TIMESTAMP);
	root.snapshot = make_role(r, &root, ENVELOPE_SNAPSHOT);
	root.targets = make_role(r, &root, ENVELOPE_TARGETS);
	root.approver = make_role(r, &root, ENVELOPE_PLAN);
	root.director = make_role(r, &root, ENVELOPE_DIRECTOR);
	add_key(r, &root, r->log_key);
	log.origin = REPO_LOG;
	log.log_keyid = wire_data(repo_key(r, r->log_key)->id, SHA256_LEN);
	root.log = &log;
	assert(r->n_roots < REPO_ROOTS);
	memcpy(r->roles_of[r->n_roots], r->role, sizeof(r->role));
	r->roots[r->n_roots++] = repo_sign(r, ENVELOPE_ROOT, &root, &r->kept);
	(void)repo_log(r, r->roots[r->n_roots - 1], r->now_s * 1000);
}

/* ---- builds, plans, directives ---- */

struct repo_build *repo_add_build(struct repo *r, const char *id, uint64_t release_counter)
{
	struct repo_build *b = &r->builds[r->n_builds++];
	struct bytes file;

	assert(r->n_builds <= REPO_BUILDS);
	*b = (struct repo_build){ .id = id,
		.path = name(&r->kept, "%s.zip", id),
		.release_counter = release_counter,
		.version = 1,
		.expires_s = r->now_s + 180 * DAY,
		.length = 3000 };
	b->file = repo_take(&r->kept, b->length);
	for (size_t i = 0; i < b->length; i++)
		b->file[i] = (uint8_t)((i * 31 >> 3) + release_counter);
	file = bytes_of(b->file, b->length);
	must(crypto_sha256(&file, 1, b->sha256));
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
	must(crypto_random(r->offers[0].rollout_id, ID_LEN));
	must(crypto_random(r->offers[0].seed, SEED_LEN));
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

	must(crypto_sha256(&envelope, 1, sha256));
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
	out->targets = pin(r, name(&r->kept, "targets/" REPO_PRODUCT "/%s", o->build->id),
		o->build->version, o->build->targets);
	sign_plan(r, o, out);
	out->plan = pin(r,
		name(&r->kept, "plan/%s/" REPO_PRODUCT, hex_encode(hex, o->rollout_id, ID_LEN)),
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
		directors[i] = pin(r, name(&r->kept, "director/" REPO_PRODUCT "/%s", ring_name[i]),
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

/* ---- the log: RFC 6962, the naive way ---- */

uint64_t repo_log(struct repo *r, struct bytes envelope, uint64_t time_ms)
{
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	struct bytes packed;

	assert(r->n_leaves < REPO_LEAVES);
	entry.time_ms = time_ms;
	entry.envelope = wire_data(envelope.p, envelope.n);
	must(wire_pack(&entry, &r->kept, &packed));
	struct bytes part[] = { bytes_of("", 1), packed }; /* 0x00, the entry */
	must(crypto_sha256(part, 2, r->leaves[r->n_leaves]));
	return r->n_leaves++;
}

void repo_subtree(const struct repo *r, uint64_t from, uint64_t to, uint8_t out[SHA256_LEN])
{
	uint8_t half[2][SHA256_LEN];
	uint64_t k = 1;

	if (to - from == 1) {
		memcpy(out, r->leaves[from], SHA256_LEN);
		return;
	}
	while (2 * k < to - from)
		k *= 2;
	repo_subtree(r, from, from + k, half[0]);
	repo_subtree(r, from + k, to, half[1]);
	struct bytes part[] = { bytes_of("\1", 1), bytes_of(half, sizeof(half)) };
	must(crypto_sha256(part, 2, out));
}

struct bytes repo_checkpoint(struct repo *r, uint64_t size)
{
	struct checkpoint c = { .size = size };
	struct bytes note;

	repo_subtree(r, 0, size, c.root);
	must(checkpoint_sign(REPO_LOG, &c, repo_key(r, r->log_key)->key, &r->kept, &note));
	return note;
}

/* ---- beginning, and beginning again ---- */

static void clear_dishonesty(struct repo *r)
{
	memset(r->edit, 0, sizeof(r->edit));
	memset(r->forge, 0, sizeof(r->forge));
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		r->typed_as[t] = (enum envelope_type)t;
	r->edit_reply = NULL;
	r->edit_proof = NULL;
	r->edit_time = NULL;
	r->edit_grant = NULL;
	r->grant = bytes_of(NULL, 0);
	r->spoil_file = 0;
	r->always_full = r->never_full = r->no_log = false;
	r->lives_s[ENVELOPE_ROOT] = 365 * DAY;
	r->lives_s[ENVELOPE_TIMESTAMP] = DAY;
	r->lives_s[ENVELOPE_SNAPSHOT] = r->lives_s[ENVELOPE_DIRECTOR] = 7 * DAY;
	r->offers_for_s = DAY / 4;
}

void repo_be_honest(struct repo *r, uint64_t trusted)
{
	clear_dishonesty(r);
	assert(trusted >= 1 && trusted <= r->n_roots);
	memcpy(r->version, r->highest, sizeof(r->version));
	r->n_roots = (unsigned)trusted;
	r->version[ENVELOPE_ROOT] = trusted;
	memcpy(r->role, r->roles_of[trusted - 1], sizeof(r->role));
	for (size_t i = 0; i < ROOTED; i++) {
		struct repo_role *role = &r->role[rooted[i]];
		role->n_signers = role->threshold;
		memcpy(role->signer, role->key, sizeof(role->key));
	}
	r->ring = r->director_ring = PB__RING__RING_STABLE;
	r->n_halted = 0;
}

static struct arena arena_new(void)
{
	struct arena a = { malloc(ARENA_BYTES), ARENA_BYTES, 0 };

	assert(a.base != NULL);
	return a;
}

struct repo *repo_new(uint64_t now_s)
{
	struct repo *r = calloc(1, sizeof(*r));

	assert(r != NULL);
	r->now_s = now_s;
	r->kept = arena_new();
	r->reply = arena_new();
	clear_dishonesty(r);
	r->ring = r->director_ring = PB__RING__RING_STABLE;
	r->answer = PB__ANSWER__ANSWER_OFFER;
	r->next_poll_s = 3600;
	repo_set_role(r, ENVELOPE_ROOT, 0, 3, 2);
	repo_set_role(r, ENVELOPE_TARGETS, 3, 3, 2);
	repo_set_role(r, ENVELOPE_PLAN, 6, 3, 2);
	repo_set_role(r, ENVELOPE_DIRECTOR, 9, 1, 1);
	repo_set_role(r, ENVELOPE_SNAPSHOT, 10, 1, 1);
	repo_set_role(r, ENVELOPE_TIMESTAMP, 11, 1, 1);
	r->log_key = 12;
	(void)repo_key(r, 12); /* so that keys made later are made behind it */
	repo_publish_root(r);
	repo_publish(r);
	return r;
}

void repo_free(struct repo *r)
{
	for (unsigned i = 0; i < REPO_KEYS; i++)
		crypto_key_free(r->keys[i].key);
	free(r->kept.base);
	free(r->reply.base);
	free(r);
}
