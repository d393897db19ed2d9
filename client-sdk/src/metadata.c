/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TUF client workflow after the root: timestamp, snapshot, director.  Every envelope goes
 * through metadata_open(); what is checked for one role is checked for each.
 */
#include "client-sdk/src/private.h"

#include "proto/ladder.h"

#define SPEC_VERSION 1u

static const struct role {
	const ProtobufCMessageDescriptor *type;
	size_t max_bytes;
} roles[ENVELOPE__COUNT] = {
	[ENVELOPE_TIMESTAMP] = { &pb__timestamp__descriptor, 2 * 1024 },
	[ENVELOPE_SNAPSHOT] = { &pb__snapshot__descriptor, 4 * 1024 },
	[ENVELOPE_DIRECTOR] = { &pb__director__descriptor, 16 * 1024 },
	[ENVELOPE_PLAN] = { &pb__rollout_plan__descriptor, 16 * 1024 },
	[ENVELOPE_TARGETS] = { &pb__targets__descriptor, 16 * 1024 },
	[ENVELOPE_GRANT] = { &pb__ring_grant__descriptor, 2 * 1024 },
	[ENVELOPE_TIME] = { &pb__time_statement__descriptor, 2 * 1024 },
};

int metadata_open(const struct chain *c, enum envelope_type type, struct bytes in, void **out)
{
	struct bytes payload;
	int err;

	*out = NULL;
	if (in.n > roles[type].max_bytes)
		return ERR_TOO_BIG;
	err = envelope_open(&c->h->crypto, in, type, c->root, c->a, &payload);
	if (err == 0)
		*out = wire_read(roles[type].type, payload, &wire_signed, c->a, &err);
	return err;
}

int metadata_is_ours(
	const huidu_t *h, uint32_t spec_version, const char *repository, const char *product)
{
	if (spec_version != SPEC_VERSION)
		return ERR_BAD_RANGE;
	if (strcmp(repository, h->repository) != 0)
		return ERR_WRONG_REPOSITORY;
	return strcmp(product, h->product) == 0 ? 0 : ERR_WRONG_PRODUCT;
}

static int matches(const struct chain *c, struct bytes in, const struct pin *pin)
{
	uint8_t sha256[SHA256_LEN];
	int err;

	if (in.n != pin->length)
		return ERR_MISMATCH;
	err = c->h->crypto.sha256(c->h->crypto.ctx, in.p, in.n, sha256);
	if (err != 0)
		return err;
	return memcmp(sha256, pin->sha256, SHA256_LEN) == 0 ? 0 : ERR_MISMATCH;
}

/* The MetaFile must have the one name it can have. */
static int pin_of(const Pb__MetaFile *file, const char *name, struct pin *out)
{
	if (strcmp(file->name, name) != 0 || file->sha256.len != SHA256_LEN)
		return ERR_MISMATCH;
	*out = (struct pin){ .version = file->version, .length = file->length };
	memcpy(out->sha256, file->sha256.data, SHA256_LEN);
	return 0;
}

int metadata_find(const struct chain *c, const ProtobufCBinaryData *list, size_t n,
	const Pb__MetaFile *file, struct bytes *out)
{
	struct pin pin;
	int err = pin_of(file, file->name, &pin);

	if (err != 0)
		return err;
	for (size_t i = 0; i < n; i++) {
		*out = wire_bytes(list[i]);
		err = matches(c, *out, &pin);
		if (err != ERR_MISMATCH)
			return err;
	}
	return ERR_MISMATCH;
}

static void see_expiry(struct chain *c, uint64_t expires_s)
{
	c->expired |= expires_s <= c->now_s;
}

/*
 * The Timestamp of the same version that was accepted before stays the one that counts.
 */
static void keep_timestamp(struct chain *c)
{
	const struct state *s = &c->h->state;

	c->version = s->timestamp_version;
	c->expires_s = s->timestamp_expires_s;
	c->offers_until_s = s->offers_until_s;
	c->snapshot = s->snapshot;
}

static int take_timestamp(struct chain *c, const Pb__Timestamp *t)
{
	const struct pin *held = &c->h->state.snapshot;
	char name[METADATA_NAME_MAX];
	int err = pin_of(t->snapshot, metadata_snapshot(name, c->h->product), &c->snapshot);

	if (err != 0)
		return err;
	if (c->snapshot.version < held->version)
		return ERR_ROLLBACK;
	if (c->snapshot.version == held->version &&
		memcmp(c->snapshot.sha256, held->sha256, SHA256_LEN) != 0)
		return ERR_MISMATCH;
	c->newer = true;
	c->version = t->version;
	c->expires_s = t->expires;
	c->offers_until_s = t->offers_until;
	c->issued_s = t->issued_at;
	if (c->now_s < t->issued_at)
		c->now_s = t->issued_at;
	return 0;
}

static int check_timestamp(struct chain *c)
{
	const Pb__Timestamp *t;
	void *message;
	int err;

	if (!c->reply->has_timestamp)
		return ERR_MISSING_FIELD;
	err = metadata_open(c, ENVELOPE_TIMESTAMP, wire_bytes(c->reply->timestamp), &message);
	if (err != 0)
		return err;
	t = message;
	err = metadata_is_ours(c->h, t->spec_version, t->repository, t->product);
	if (err != 0)
		return err;
	if (t->version < c->h->state.timestamp_version)
		return ERR_ROLLBACK;
	if (t->version == c->h->state.timestamp_version)
		keep_timestamp(c);
	else
		err = take_timestamp(c, t);
	see_expiry(c, c->expires_s);
	return err;
}

/* What the snapshot says of the product's four directors; none may go back. */
static int check_directors(struct chain *c, const Pb__Snapshot *s, struct pin pins[RINGS])
{
	char name[METADATA_NAME_MAX];
	int err;

	if (s->n_directors != RINGS)
		return ERR_MISMATCH;
	for (unsigned i = 0; i < RINGS; i++) {
		err = pin_of(s->directors[i], metadata_director(name, c->h->product, i), &pins[i]);
		if (err != 0)
			return err;
		if (pins[i].version < c->h->state.director_version[i])
			return ERR_ROLLBACK;
		c->director_version[i] = pins[i].version;
	}
	return 0;
}

static int check_snapshot(struct chain *c, struct pin pins[RINGS])
{
	struct bytes in = wire_bytes(c->reply->snapshot);
	const Pb__Snapshot *s;
	void *message;
	int err = matches(c, in, &c->snapshot);

	if (err == 0)
		err = metadata_open(c, ENVELOPE_SNAPSHOT, in, &message);
	if (err != 0)
		return err;
	s = message;
	err = metadata_is_ours(c->h, s->spec_version, s->repository, s->product);
	if (err != 0)
		return err;
	if (s->version != c->snapshot.version)
		return ERR_MISMATCH;
	see_expiry(c, s->expires);
	c->files_expire_s = s->expires;
	return check_directors(c, s, pins);
}

/* Which ring's it is shows in the hash. */
static int check_director(struct chain *c, const struct pin pins[RINGS])
{
	struct bytes in = wire_bytes(c->reply->director);
	const Pb__Director *d;
	void *message;
	unsigned ring = 0;
	int err = ERR_MISMATCH;

	for (; ring < RINGS; ring++) {
		err = matches(c, in, &pins[ring]);
		if (err != ERR_MISMATCH)
			break;
	}
	if (err == 0)
		err = metadata_open(c, ENVELOPE_DIRECTOR, in, &message);
	if (err != 0)
		return err;
	d = message;
	err = metadata_is_ours(c->h, d->spec_version, d->repository, d->product);
	if (err != 0)
		return err;
	if (d->version != pins[ring].version || d->ring != ring)
		return ERR_MISMATCH;
	if (d->n_offers > LADDER_OFFERS_MAX)
		return ERR_REPEATED_FIELD;
	see_expiry(c, d->expires);
	if (d->expires < c->files_expire_s)
		c->files_expire_s = d->expires;
	c->director = d;
	c->ring = ring;
	return 0;
}

/* A Timestamp alone says that nothing has changed since what we hold. */
static int check_held(struct chain *c)
{
	const struct state *s = &c->h->state;

	if (!poll_is_held(c->h) || c->snapshot.version != s->snapshot.version)
		return ERR_MISMATCH;
	c->files_expire_s = s->chain_expires_s;
	memcpy(c->director_version, s->director_version, sizeof(c->director_version));
	see_expiry(c, c->files_expire_s);
	return 0;
}

/* What fails here is no verdict on the log. */
static bool is_our_fault(int err)
{
	return err == ERR_CRYPTO || err == ERR_NO_ROOM;
}

int metadata_verify(struct chain *c)
{
	struct pin pins[RINGS];
	int err = root_now(c->h, c->a, &c->root);

	if (err != 0)
		return err;
	see_expiry(c, c->root->expires);
	err = check_timestamp(c);
	if (err != 0)
		return err;
	if (!c->reply->has_snapshot)
		return check_held(c);
	err = check_snapshot(c, pins);
	if (err == 0)
		err = check_director(c, pins);
	if (err != 0)
		return err;
	c->unlogged = logproof_check(c);
	return is_our_fault(c->unlogged) ? c->unlogged : 0;
}
