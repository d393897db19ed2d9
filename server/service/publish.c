/* SPDX-License-Identifier: Apache-2.0 */
/* Directors, snapshots and timestamps: signed when they change, stored, shown. */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/service/publish_private.h"
#include "server/store/entry.h"

#define WELL_MS (5 * 60000ull)

/* ---- what is in force ---- */

static void load_file(
	struct control *c, struct store_txn *t, const char *name, struct signed_file *f)
{
	struct bytes envelope;

	c->arena.used = 0;
	if (signer_floor(c->signer, name, &f->floor) != 0 || !envelope_get(t, name, &envelope) ||
		batch_take(f, envelope, &c->arena) != 0)
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

/* ---- signing ---- */

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
	int err = payload_director(c, p->product->name, ring, f->version, f->expires_s, &payload);

	if (err != 0 ||
		(is_good(f, payload, now_ms) &&
			state_logged(&c->state, p->product->name, ring, f->sha256) != NULL))
		return err;
	err = payload_director(c, p->product->name, ring, next.version, next.expires_s, &payload);
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
	int err = payload_snapshot(c, p, f->version, f->expires_s, &payload);

	if (err != 0 || is_good(f, payload, now_ms))
		return err;
	err = payload_snapshot(c, p, next.version, next.expires_s, &payload);
	(void)metadata_snapshot(next.name, p->product->name);
	batch_add(b, ENVELOPE_SNAPSHOT, &next, payload);
	return err;
}

static int add_timestamp(
	struct control *c, struct batch_to_sign *b, struct product_files *p, uint64_t now_ms)
{
	struct next_file next = next_of(&p->timestamp, now_ms, TIMESTAMP_LIFE_MS);
	struct bytes payload;
	int err = payload_timestamp(c, p, &next, now_ms, &payload);

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

/* The signer would refuse them, and all that is asked for with them. */
static void refuse_expired(struct control *c, uint64_t now_ms)
{
	uint64_t soon_s = (now_ms + TIMESTAMP_EVERY_MS) / 1000;

	for (size_t i = 0; i < c->state.n_rollouts; i++) {
		struct rollout *r = c->state.rollouts[i];
		for (size_t k = 0; rollout_is_live(r) && k < r->n_builds; k++)
			r->builds[k].refused |=
				r->expires_s <= soon_s || r->builds[k].build->expires <= soon_s;
	}
}

static void admit_again(struct control *c)
{
	c->admit_again = false;
	for (size_t i = 0; i < c->state.n_rollouts; i++)
		control_admit(c, c->state.rollouts[i]);
}

/* What cannot be brought into the log leaves the directors as they were, and all else goes on. */
static int sign_directors(struct control *c, uint64_t now_ms)
{
	struct batch_to_sign b = { 0 };
	int err = append_follow(c);

	if (err == 0 && !append_is_signed(c))
		err = ERR_SIGNER;
	if (err == 0 && c->admit_again)
		admit_again(c);
	refuse_expired(c, now_ms);
	for (size_t i = 0; err == 0 && i < c->n_files; i++)
		for (unsigned g = 0; err == 0 && g < RING__COUNT; g++)
			err = add_director(c, &b, &c->files[i], (enum ring)g, now_ms);
	if (err == 0)
		err = batch_log(c, &b, now_ms);
	if (err != 0)
		log_error("publish: directors: %s", err_str(err));
	batch_release(&b);
	return err;
}

/* Phones go by the directors they have: whether these still are right the answer to a poll must tell. */
static void compare_directors(struct control *c)
{
	for (size_t i = 0; i < c->n_files; i++)
		for (unsigned g = 0; g < RING__COUNT; g++) {
			struct signed_file *f = &c->files[i].director[g];
			struct bytes payload;
			f->behind = payload_director(c, c->files[i].product->name, (enum ring)g,
					    f->version, f->expires_s, &payload) != 0 ||
				!bytes_eq(f->payload, payload);
		}
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

	compare_directors(c);
	if (has_directors(c))
		err = 0;
	for (size_t i = 0; err == 0 && i < c->n_files; i++)
		err = add_snapshot(c, &snapshots, &c->files[i], now_ms);
	if (err == 0)
		err = batch_store(c, &snapshots, now_ms);
	freshen |= snapshots.n > 0;
	if (freshen && is_well(c, now_ms))
		c->offers_until_s = (now_ms + OFFERS_LIFE_MS) / 1000;
	for (size_t i = 0; err == 0 && freshen && i < c->n_files; i++)
		err = add_timestamp(c, &timestamps, &c->files[i], now_ms);
	if (err == 0)
		err = batch_store(c, &timestamps, now_ms);
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
	 * they have, and where that names what was halted since, the answer to their poll holds all
	 * of it back.
	 */
	old = atomic_exchange(&s->image, image_make(c));
	if (s->adopt != NULL)
		s->adopt(s->adopt_ctx);
	image_free(old);
	return err;
}
