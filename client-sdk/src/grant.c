/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ring's directives this device acts on.  What a reply says of the ring is not signed: it
 * counts inwards only as far as a RingGrant goes, and as the user wished.
 */
#include "client-sdk/src/private.h"

#define RENEW_S (30u * 86400)

static unsigned seat(const huidu_t *h)
{
	const struct state *s = &h->state;

	return s->grant_expires_s > sdk_now_s(h) ? s->grant_ring : HUIDU_STABLE;
}

unsigned grant_ring(const huidu_t *h)
{
	unsigned wish = (unsigned)h->config.wish, granted = seat(h);

	return granted > wish ? granted : wish;
}

uint64_t grant_due_ms(const huidu_t *h)
{
	const struct state *s = &h->state;

	if (!s->enrolled || s->ring == HUIDU_STABLE || s->ring < (unsigned)h->config.wish)
		return UINT64_MAX;
	/* A seat that is new to us. */
	if (s->ring < grant_ring(h))
		return h->grant.failures == 0 ? 0 : h->grant.at_ms;
	if (s->grant_expires_s > sdk_now_s(h) + RENEW_S || s->ring != s->grant_ring)
		return UINT64_MAX;
	return h->grant.at_ms;
}

int grant_body(huidu_t *h, struct arena *a, struct bytes *out)
{
	Pb__GrantRequest r = PB__GRANT_REQUEST__INIT;

	r.product = h->product;
	return wire_pack(&r, a, out);
}

static int check(struct chain *c, const Pb__GrantReply *r, const Pb__RingGrant **out)
{
	const huidu_t *h = c->h;
	const Pb__RingGrant *g;
	void *message;
	int err = root_now(h, c->a, &c->root);

	if (err == 0 && !r->has_grant)
		err = ERR_MISSING_FIELD;
	if (err == 0)
		err = metadata_open(c, ENVELOPE_GRANT, wire_bytes(r->grant), &message);
	if (err != 0)
		return err;
	*out = g = message;
	err = metadata_is_ours(h, g->spec_version, g->repository, g->product);
	if (err != 0)
		return err;
	if (!bytes_eq(wire_bytes(g->device_id), bytes_of(h->state.device_id, ID_LEN)))
		return ERR_MISMATCH;
	if (g->ring != (uint32_t)r->ring)
		return ERR_WRONG_RING;
	return g->expires > c->now_s ? 0 : ERR_EXPIRED;
}

static int take(huidu_t *h, const Pb__GrantReply *r, const Pb__RingGrant *grant)
{
	struct state *next = state_begin(h);
	unsigned before = grant_ring(h);
	int err;

	next->ring = (uint8_t)r->ring;
	if (grant != NULL) {
		next->grant_ring = (uint8_t)grant->ring;
		next->grant_expires_s = grant->expires;
	}
	err = state_commit(h);
	if (err != 0)
		return err;
	/* The directive of that ring. */
	if (grant_ring(h) != before)
		pace_now(&h->poll);
	pace_set(h, &h->grant, (uint64_t)h->config.poll_max_s * 1000);
	return 0;
}

int grant_done(huidu_t *h, int status, struct bytes body)
{
	struct arena a = sdk_arena(h);
	struct chain c = { .h = h, .a = &a, .now_s = sdk_now_s(h) };
	const Pb__RingGrant *grant = NULL;
	const Pb__GrantReply *r;
	int err = exchange_error(h, status);

	if (err != 0)
		return err;
	r = wire_read(&pb__grant_reply__descriptor, body, &wire_device, &a, &err);
	/* Withdrawn in the meantime: nothing is granted in stable. */
	if (err == 0 && r->ring != PB__RING__RING_STABLE)
		err = check(&c, r, &grant);
	return err != 0 ? err : take(h, r, grant);
}
