/* SPDX-License-Identifier: Apache-2.0 */
/* Directors, snapshots and timestamps: signed when they change, stored, shown. */
#include <assert.h>

#include "proto/bucket.h"
#include "proto/names.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/service/control_private.h"
#include "server/store/entry.h"

#define HALTED_MAX 16u
#define WELL_MS    (5 * 60000ull)

/* ---- what is in force ---- */

static int take(struct signed_file *f, struct bytes envelope, struct arena *a)
{
	int err = crypto_sha256(&envelope, 1, f->sha256);
	const Pb__Envelope *e;

	f->envelope.len = 0;
	buf_add(&f->envelope, envelope.p, envelope.n);
	if (err != 0)
		return err;
	e = envelope_read(buf_bytes(&f->envelope), a, &err);
	if (e == NULL)
		return err;
	/* The arena goes, the envelope's own bytes stay. */
	size_t at = (size_t)((const uint8_t *)memmem(f->envelope.data, f->envelope.len,
				     e->payload.data, e->payload.len) -
		f->envelope.data);
	f->payload = bytes_of(f->envelope.data + at, e->payload.len);
	return 0;
}

static void load_file(
	struct control *c, struct store_txn *t, const char *name, struct signed_file *f)
{
	struct bytes envelope;

	c->arena.used = 0;
	if (signer_floor(c->signer, name, &f->floor) != 0 || !envelope_get(t, name, &envelope) ||
		take(f, envelope, &c->arena) != 0)
		f->payload = bytes_of(NULL, 0);
	f->version = f->floor;
}

/* Version and expiry of what was loaded, as far as it is to be used again. */
static void read_director(
	struct control *c, struct signed_file *f, const char *product, uint32_t ring)
{
	int err = 0;
	const Pb__Director *d = f->payload.n == 0
		? NULL
		: wire_read(&pb__director__descriptor, f->payload, &wire_signed, &c->arena, &err);
	/* Only the log's last is shown again: that no later one was forgotten, the ledger has shown. */
	if (d == NULL || state_logged(&c->state, product, ring, f->sha256) == NULL) {
		f->envelope.len = 0;
		f->payload = bytes_of(NULL, 0);
		return;
	}
	f->version = d->version;
	f->expires_s = d->expires;
}

static void read_snapshot(struct control *c, struct signed_file *f)
{
	int err = 0;
	const Pb__Snapshot *s = f->payload.n == 0
		? NULL
		: wire_read(&pb__snapshot__descriptor, f->payload, &wire_signed, &c->arena, &err);
	/* Only what the signer remembers as its last. */
	if (s != NULL && s->version == f->floor)
		f->expires_s = s->expires;
}

/* What phones were promised last holds until control has shown that it is well. */
static void read_timestamp(struct control *c, const struct signed_file *f)
{
	int err = 0;
	const Pb__Timestamp *t = f->payload.n == 0
		? NULL
		: wire_read(&pb__timestamp__descriptor, f->payload, &wire_signed, &c->arena, &err);
	if (t != NULL && t->offers_until > c->offers_until_s)
		c->offers_until_s = t->offers_until;
}

int publish_open(struct control *c)
{
	const struct registry *r = &c->server->registry;
	char name[METADATA_NAME_MAX];
	struct store_txn t;
	int err;

	c->files = mem_zalloc(r->n_products * sizeof(*c->files));
	c->n_files = r->n_products;
	store_begin(c->server->store, &t, false);
	for (size_t i = 0; i < c->n_files; i++) {
		struct product_files *f = &c->files[i];
		f->product = &r->products[i];
		for (unsigned g = 0; g < RING__COUNT; g++) {
			load_file(c, &t, metadata_director(name, f->product->name, g),
				&f->director[g]);
			read_director(c, &f->director[g], f->product->name, g);
		}
		load_file(c, &t, metadata_snapshot(name, f->product->name), &f->snapshot);
		read_snapshot(c, &f->snapshot);
		load_file(c, &t, metadata_timestamp(name, f->product->name), &f->timestamp);
		read_timestamp(c, &f->timestamp);
	}
	err = t.err;
	store_abort(&t);
	return err;
}

static void file_release(struct signed_file *f)
{
	buf_release(&f->envelope);
}

void publish_close(struct control *c)
{
	for (size_t i = 0; i < c->n_files; i++) {
		for (unsigned g = 0; g < RING__COUNT; g++)
			file_release(&c->files[i].director[g]);
		file_release(&c->files[i].snapshot);
		file_release(&c->files[i].timestamp);
	}
	free(c->files);
}

/* ---- payloads ---- */

/* A file's next version, on its way through the signer. */
struct next_file {
	struct signed_file *file;
	uint64_t version, expires_s;
	char name[METADATA_NAME_MAX];
};

static void meta_file(Pb__MetaFile *m, char *name, uint64_t version, const struct buf *envelope,
	const uint8_t sha256[SHA256_LEN])
{
	*m = (Pb__MetaFile)PB__META_FILE__INIT;
	m->name = name;
	m->version = version;
	m->length = (uint32_t)envelope->len;
	m->sha256 = wire_data(sha256, SHA256_LEN);
}

/* An offer with all it points to. */
struct offer_parts {
	Pb__Offer offer;
	Pb__Selector selector;
	Pb__MetaFile targets, plan;
	char targets_name[METADATA_NAME_MAX], plan_name[METADATA_NAME_MAX];
};

static void write_offer(const struct chosen *c, struct offer_parts *p)
{
	const struct rollout *r = c->rollout;
	const struct build *b = c->build->build;

	p->offer = (Pb__Offer)PB__OFFER__INIT;
	p->selector = (Pb__Selector)PB__SELECTOR__INIT;
	meta_file(&p->targets, metadata_targets(p->targets_name, b->product, b->build_id),
		b->targets_version, &b->targets, b->targets_sha256);
	meta_file(&p->plan, metadata_plan(p->plan_name, r->id, b->product), r->plan_version,
		&c->build->plan, c->build->plan_sha256);
	p->selector.seed = wire_data(c->build->seed, SEED_LEN);
	p->selector.upper = c->fix ? PPM : r->steps[c->step].upper;
	if (c->fix) {
		p->selector.from_build_ids = r->spec->fixes;
		p->selector.n_from_build_ids = r->spec->n_fixes;
	}
	p->offer.action = 1;
	p->offer.selector = &p->selector;
	p->offer.targets = &p->targets;
	p->offer.plan = &p->plan;
	p->offer.step = (uint32_t)c->step;
	p->offer.rollout_id = wire_data(r->id, ID_LEN);
	p->offer.release_counter = b->release_counter;
}

static int director_payload(struct control *c, const char *product, enum ring ring,
	uint64_t version, uint64_t expires_s, struct bytes *out)
{
	struct chosen chosen[OFFERS_MAX];
	struct offer_parts parts[OFFERS_MAX];
	Pb__Offer *list[OFFERS_MAX];
	const char *halted[HALTED_MAX];
	Pb__Director d = PB__DIRECTOR__INIT;
	size_t n = offers_choose(&c->state, product, ring, chosen);

	for (size_t i = 0; i < n; i++) {
		write_offer(&chosen[i], &parts[i]);
		list[i] = &parts[i].offer;
	}
	d.spec_version = 1;
	d.version = version;
	d.expires = expires_s;
	d.repository = c->state.root->repository;
	d.product = product;
	d.ring = (uint32_t)ring;
	d.offers = list;
	d.n_offers = n;
	d.halted_build_ids = halted;
	d.n_halted_build_ids = offers_halted(&c->state, product, halted, HALTED_MAX);
	return wire_pack(&d, &c->arena, out);
}

static int snapshot_payload(struct control *c, const struct product_files *f, uint64_t version,
	uint64_t expires_s, struct bytes *out)
{
	Pb__Snapshot s = PB__SNAPSHOT__INIT;
	Pb__MetaFile file[RING__COUNT], *list[RING__COUNT];
	char name[RING__COUNT][METADATA_NAME_MAX];

	for (unsigned g = 0; g < RING__COUNT; g++) {
		meta_file(&file[g], metadata_director(name[g], f->product->name, g),
			f->director[g].version, &f->director[g].envelope, f->director[g].sha256);
		list[g] = &file[g];
	}
	s.spec_version = 1;
	s.version = version;
	s.expires = expires_s;
	s.repository = c->state.root->repository;
	s.product = f->product->name;
	s.directors = list;
	s.n_directors = RING__COUNT;
	return wire_pack(&s, &c->arena, out);
}

static int timestamp_payload(struct control *c, const struct product_files *f,
	const struct next_file *next, uint64_t now_ms, struct bytes *out)
{
	Pb__Timestamp t = PB__TIMESTAMP__INIT;
	Pb__MetaFile snapshot;
	char name[METADATA_NAME_MAX];

	meta_file(&snapshot, metadata_snapshot(name, f->product->name), f->snapshot.version,
		&f->snapshot.envelope, f->snapshot.sha256);
	t.spec_version = 1;
	t.version = next->version;
	t.expires = next->expires_s;
	t.issued_at = now_ms / 1000;
	t.snapshot = &snapshot;
	t.repository = c->state.root->repository;
	t.product = f->product->name;
	t.offers_until = c->offers_until_s;
	return wire_pack(&t, &c->arena, out);
}

/* ---- signing ---- */

/* Files to sign in one go; all three kinds go through it, one kind after the other. */
struct batch_to_sign {
	struct signer_item *items;
	struct next_file *files;
	size_t n;
};

static void batch_add(struct batch_to_sign *b, enum envelope_type type,
	const struct next_file *file, struct bytes payload)
{
	b->items = mem_resize(b->items, b->n + 1, sizeof(*b->items));
	b->files = mem_resize(b->files, b->n + 1, sizeof(*b->files));
	b->items[b->n] = (struct signer_item){ type, payload };
	b->files[b->n] = *file;
	b->n++;
}

static void batch_release(struct batch_to_sign *b)
{
	free(b->items);
	free(b->files);
}

/* Signed, not in force yet: `out` has the envelopes, of b->n. */
static int sign_batch(struct control *c, const struct batch_to_sign *b, struct buf *out)
{
	int err = signer_sign(c->signer, b->items, b->n, out);

	for (size_t i = 0; err == 0 && i < b->n; i++)
		b->files[i].file->floor = b->files[i].version;
	return err;
}

static int come_into_force(struct control *c, const struct batch_to_sign *b, const struct buf *out)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < b->n; i++) {
		struct signed_file *f = b->files[i].file;
		f->version = b->files[i].version;
		f->expires_s = b->files[i].expires_s;
		err = take(f, buf_bytes(&out[i]), &c->arena);
	}
	return err;
}

static void release_all(struct buf *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_release(&list[i]);
	free(list);
}

struct store_job {
	struct job job;
	const struct batch_to_sign *batch;
	const struct buf *envelopes;
	const struct bytes *entries; /* of the log, one an envelope; NULL: none */
	uint64_t index;              /* of the first */
};

static void store_run(struct job *job, struct writer *w)
{
	const struct store_job *j = (struct store_job *)job;

	for (size_t i = 0; i < j->batch->n; i++) {
		if (j->entries != NULL)
			entry_append(&w->txn, j->index + i, j->entries[i]);
		envelope_put(&w->txn, j->batch->files[i].name, buf_bytes(&j->envelopes[i]));
	}
}

static int sign_and_store(struct control *c, const struct batch_to_sign *b, uint64_t now_ms)
{
	struct store_job j = { .job = { .run = store_run }, .batch = b };
	struct buf *out;
	int err;

	if (b->n == 0)
		return 0;
	out = mem_zalloc(b->n * sizeof(*out));
	j.envelopes = out;
	err = sign_batch(c, b, out);
	if (err == 0)
		err = come_into_force(c, b, out);
	/* A restart signs anew what is not in the store: its disk being full stops no phone. */
	if (err == 0 && writer_call(&c->server->writer, &j.job) != 0)
		log_warn("publish: metadata is signed and served, but not stored");
	else if (err == 0)
		c->stored_ms = now_ms;
	release_all(out, b->n);
	return err;
}

/*
 * Directors come into force when they stand in the log and the checkpoint says so; until then the
 * ones before stay, and the next publish tries again.
 */
static int sign_and_log(struct control *c, const struct batch_to_sign *b, uint64_t now_ms)
{
	struct store_job j = { .job = { .run = store_run }, .batch = b };
	struct bytes *entries;
	struct buf *out;
	int err;

	if (b->n == 0)
		return 0;
	out = mem_zalloc(b->n * sizeof(*out));
	entries = mem_alloc(b->n * sizeof(*entries));
	err = sign_batch(c, b, out);
	for (size_t i = 0; err == 0 && i < b->n; i++)
		err = append_pack(c, buf_bytes(&out[i]), now_ms, &entries[i]);
	j.envelopes = out;
	j.entries = entries;
	j.index = c->state.log.size;
	if (err == 0)
		err = writer_call(&c->server->writer, &j.job);
	if (err == 0) {
		c->stored_ms = now_ms;
		err = append_follow(c);
	}
	if (err == 0)
		err = append_is_signed(c) ? come_into_force(c, b, out) : ERR_SIGNER;
	free(entries);
	release_all(out, b->n);
	return err;
}

/* The file as its next version, which lives `life_ms`. */
static struct next_file next_of(struct signed_file *f, uint64_t now_ms, uint64_t life_ms)
{
	return (struct next_file){
		.file = f, .version = f->floor + 1, .expires_s = (now_ms + life_ms) / 1000
	};
}

/* Half its life is left, and it says what it would say now. */
static bool is_good(const struct signed_file *f, struct bytes payload, uint64_t now_ms)
{
	return f->expires_s * 1000 > now_ms + DIRECTOR_LIFE_MS / 2 && bytes_eq(f->payload, payload);
}

static int add_director(struct control *c, struct batch_to_sign *b, struct product_files *p,
	enum ring ring, uint64_t now_ms)
{
	struct signed_file *f = &p->director[ring];
	struct next_file next = next_of(f, now_ms, DIRECTOR_LIFE_MS);
	struct bytes payload;
	int err = director_payload(c, p->product->name, ring, f->version, f->expires_s, &payload);

	if (err != 0 || is_good(f, payload, now_ms))
		return err;
	err = director_payload(c, p->product->name, ring, next.version, next.expires_s, &payload);
	(void)metadata_director(next.name, p->product->name, ring);
	batch_add(b, ENVELOPE_DIRECTOR, &next, payload);
	return err;
}

static int add_snapshot(
	struct control *c, struct batch_to_sign *b, struct product_files *p, uint64_t now_ms)
{
	struct signed_file *f = &p->snapshot;
	struct next_file next = next_of(f, now_ms, DIRECTOR_LIFE_MS);
	struct bytes payload;
	int err = snapshot_payload(c, p, f->version, f->expires_s, &payload);

	if (err != 0 || is_good(f, payload, now_ms))
		return err;
	err = snapshot_payload(c, p, next.version, next.expires_s, &payload);
	(void)metadata_snapshot(next.name, p->product->name);
	batch_add(b, ENVELOPE_SNAPSHOT, &next, payload);
	return err;
}

static int add_timestamp(
	struct control *c, struct batch_to_sign *b, struct product_files *p, uint64_t now_ms)
{
	struct next_file next = next_of(&p->timestamp, now_ms, TIMESTAMP_LIFE_MS);
	struct bytes payload;
	int err = timestamp_payload(c, p, &next, now_ms, &payload);

	(void)metadata_timestamp(next.name, p->product->name);
	batch_add(b, ENVELOPE_TIMESTAMP, &next, payload);
	return err;
}

/*
 * A server that cannot write a halt down, or does not look at its gates, must not keep phones
 * installing: what it promised last runs out.
 */
static bool is_well(const struct control *c, uint64_t now_ms)
{
	return now_ms <= c->stored_ms + WELL_MS && now_ms <= c->gates_ms + WELL_MS;
}

/* What cannot be brought into the log leaves the directors as they were, and all else goes on. */
static int sign_directors(struct control *c, uint64_t now_ms)
{
	struct batch_to_sign b = { 0 };
	int err = append_follow(c);

	if (err == 0 && !append_is_signed(c))
		err = ERR_SIGNER;
	for (size_t i = 0; err == 0 && i < c->n_files; i++)
		for (unsigned g = 0; err == 0 && g < RING__COUNT; g++)
			err = add_director(c, &b, &c->files[i], (enum ring)g, now_ms);
	if (err == 0)
		err = sign_and_log(c, &b, now_ms);
	if (err != 0)
		log_error("publish: directors: %s", err_str(err));
	batch_release(&b);
	return err;
}

/* A new product has none until the first is logged. */
static bool has_directors(const struct control *c)
{
	for (size_t i = 0; i < c->n_files; i++)
		for (unsigned g = 0; g < RING__COUNT; g++)
			if (c->files[i].director[g].envelope.len == 0)
				return false;
	return true;
}

static int sign_all(struct control *c, uint64_t now_ms, bool freshen)
{
	struct batch_to_sign snapshots = { 0 }, timestamps = { 0 };
	int err = sign_directors(c, now_ms);

	if (has_directors(c))
		err = 0;
	for (size_t i = 0; err == 0 && i < c->n_files; i++)
		err = add_snapshot(c, &snapshots, &c->files[i], now_ms);
	if (err == 0)
		err = sign_and_store(c, &snapshots, now_ms);
	freshen |= snapshots.n > 0;
	if (freshen && is_well(c, now_ms))
		c->offers_until_s = (now_ms + OFFERS_LIFE_MS) / 1000;
	for (size_t i = 0; err == 0 && freshen && i < c->n_files; i++)
		err = add_timestamp(c, &timestamps, &c->files[i], now_ms);
	if (err == 0)
		err = sign_and_store(c, &timestamps, now_ms);
	if (err == 0 && freshen)
		c->next_timestamp_ms = now_ms + TIMESTAMP_EVERY_MS;
	batch_release(&snapshots);
	batch_release(&timestamps);
	return err;
}

int publish(struct control *c, uint64_t now_ms, bool freshen)
{
	struct server *s = c->server;
	struct image *old;
	int err;

	c->arena.used = 0;
	err = sign_all(c, now_ms, freshen);
	if (err != 0)
		log_error("publish: %s", err_str(err));
	/*
	 * Even when nothing could be signed the image follows the state: phones keep the metadata
	 * they have, and what was halted or paused is held back by the answer to their poll.
	 */
	old = atomic_exchange(&s->image, image_make(c));
	if (s->adopt != NULL)
		s->adopt(s->adopt_ctx);
	image_free(old);
	return err;
}
