/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Root in force: the one the device was made with, or the newest that followed from it step by
 * step (TUF 1.0.34, 5.3).  It stands in the state, so that what the device once saw replaced
 * never counts again.
 */
#include "client-sdk/src/private.h"

#define ROOTS_EACH 8u /* of one reply */
#define STEPS_MAX  32u

/* Believed: it was checked before it was saved, or is the one we were made with. */
static const Pb__Root *parse(const struct state *s, struct arena *a, int *err)
{
	const Pb__Envelope *e = envelope_read(bytes_of(s->root, s->root_len), a, err);

	if (e == NULL)
		return NULL;
	return wire_read(&pb__root__descriptor, wire_bytes(e->payload), &wire_signed, a, err);
}

int root_now(const huidu_t *h, struct arena *a, const Pb__Root **out)
{
	int err;

	*out = parse(&h->state, a, &err);
	return err;
}

static bool same_log(const Pb__Root *a, const Pb__Root *b)
{
	if (a->log == NULL || b->log == NULL)
		return a->log == b->log;
	return strcmp(a->log->origin, b->log->origin) == 0 &&
		bytes_eq(wire_bytes(a->log->log_keyid), wire_bytes(b->log->log_keyid));
}

static void forget_versions(struct state *next)
{
	next->timestamp_version = next->timestamp_expires_s = next->offers_until_s = 0;
	memset(&next->snapshot, 0, sizeof(next->snapshot));
	memset(next->director_version, 0, sizeof(next->director_version));
	next->chain_expires_s = 0;
}

/*
 * Fast-forward recovery (5.3.11): who stole a key and signed the highest version with it is
 * overcome by replacing the key.
 */
static void forget_stolen(struct state *next, const Pb__Root *old, const Pb__Root *new)
{
	bool timestamp = root_same_keys(old->timestamp, new->timestamp);
	bool director = root_same_keys(old->director, new->director);

	if (!timestamp || !director || !root_same_keys(old->snapshot, new->snapshot))
		forget_versions(next);
	if (!timestamp)
		next->floor_s = next->agreed_s = 0;
	if (!director)
		next->grant_expires_s = next->grant_ring = 0;
	if (!same_log(old, new))
		memset(&next->log, 0, sizeof(next->log));
}

/* `old` NULL: there was none. */
static void adopt(
	struct state *next, const Pb__Root *old, const Pb__Root *new, struct bytes envelope)
{
	if (old != NULL)
		forget_stolen(next, old, new);
	/* What was taken under the old one is to be shown again under the new. */
	next->held = 0;
	next->root_version = new->version;
	next->root_len = (uint32_t)envelope.n;
	memset(next->root, 0, sizeof(next->root));
	memcpy(next->root, envelope.p, envelope.n);
}

/* The Root of the build that runs wins unless we know of a newer one. */
int root_start(huidu_t *h)
{
	struct bytes in = bytes_of(h->config.root, h->config.root_len);
	struct arena a = sdk_arena(h);
	struct state *s = &h->state;
	const Pb__Root *old = NULL, *factory;
	int err, unused;

	factory = root_open(&h->crypto, in, &a, &err);
	if (factory == NULL)
		return err;
	if (strcmp(factory->repository, h->repository) != 0)
		return ERR_WRONG_REPOSITORY;
	if (bytes_eq(in, bytes_of(s->root, s->root_len)))
		return 0;
	if (s->root_len > 0)
		old = root_open(&h->crypto, bytes_of(s->root, s->root_len), &a, &unused);
	if (old == NULL || factory->version >= old->version)
		adopt(s, old, factory, in);
	return 0;
}

static int step(const huidu_t *h, struct state *next, struct bytes envelope, struct arena *a)
{
	const Pb__Root *old, *new;
	int err;

	old = parse(next, a, &err);
	if (old == NULL)
		return err;
	new = root_next(&h->crypto, old, envelope, a, &err);
	if (new != NULL)
		adopt(next, old, new, envelope);
	return err;
}

int root_take(struct chain *c, unsigned *taken)
{
	huidu_t *h = c->h;
	struct state *next = state_begin(h);
	size_t used = c->a->used;
	bool timed = next->floor_s > 0;
	int err = 0, saved;

	*taken = 0;
	while (err == 0 && *taken < c->reply->n_roots && *taken < ROOTS_EACH) {
		err = step(h, next, wire_bytes(c->reply->roots[*taken]), c->a);
		c->a->used = used;
		*taken += err == 0;
	}
	timed = timed && next->floor_s == 0;
	/* Those before a bad one are good. */
	saved = state_commit(h);
	if (saved == 0 && timed)
		time_start(h);
	return err != 0 ? err : saved;
}

bool root_again(huidu_t *h, unsigned taken)
{
	h->root_steps = taken == 0 ? 0 : h->root_steps + taken;
	if (h->root_steps < STEPS_MAX)
		return taken > 0;
	h->root_steps = 0;
	return false;
}
