/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/grant.h"

#include <assert.h>

#include "server/service/control_private.h"

int grant_open(
	struct desk *d, struct bytes body, uint64_t now_ms, uint64_t mono_ms, struct grant_ask *out)
{
	struct request r;
	struct fleet_device f;
	int err = request_open(d, REQUEST_GRANT, body, now_ms, &r);

	if (err != 0)
		return err;
	if (r.product == NULL)
		return ERR_NOT_FOUND;
	f = fleet_unpack(atomic_load(r.word));
	memcpy(out->id, r.id, ID_LEN);
	out->product = r.product->name;
	/* Its next poll gives the seat up. */
	out->ring = f.wish > f.ring ? RING_STABLE : f.ring;
	if (out->ring != RING_STABLE &&
		!flood_take_from(d->server->grants, bytes_of(r.id, ID_LEN), mono_ms))
		return ERR_TOO_MANY;
	return 0;
}

int grant_none(struct desk *d, struct bytes *reply)
{
	Pb__GrantReply m = PB__GRANT_REPLY__INIT;

	m.ring = PB__RING__RING_STABLE;
	return wire_pack(&m, &d->arena, reply);
}

static int write_grant(
	struct control *c, const struct grant_ask *ask, uint64_t now_ms, struct bytes *payload)
{
	Pb__RingGrant m = PB__RING_GRANT__INIT;

	m.spec_version = 1;
	m.repository = c->state.root->repository;
	m.product = ask->product;
	m.device_id = wire_data(ask->id, ID_LEN);
	m.ring = (uint32_t)ask->ring;
	m.issued_at = now_ms / 1000;
	m.expires = (now_ms + GRANT_LIFE_MS) / 1000;
	return wire_pack(&m, &c->arena, payload);
}

static int write_reply(
	struct control *c, enum ring ring, const struct buf *envelope, struct buf *out)
{
	Pb__GrantReply m = PB__GRANT_REPLY__INIT;
	struct bytes bytes;
	int err;

	m.ring = (Pb__Ring)ring;
	m.has_grant = 1;
	m.grant = wire_data(envelope->data, envelope->len);
	err = wire_pack(&m, &c->arena, &bytes);
	if (err == 0)
		buf_add(out, bytes.p, bytes.n);
	return err;
}

int grant_sign(struct server *s, const struct grant_ask *const *asks, size_t n, uint64_t now_ms,
	struct buf *out)
{
	struct signer_item item[GRANTS_MAX];
	struct buf envelope[GRANTS_MAX] = { 0 };
	struct control *c = s->control;
	int err = 0;

	assert(n <= GRANTS_MAX);
	c->arena.used = 0;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct buf){ 0 };
	for (size_t i = 0; err == 0 && i < n; i++) {
		item[i].type = ENVELOPE_GRANT;
		err = write_grant(c, asks[i], now_ms, &item[i].payload);
	}
	if (err == 0)
		err = signer_sign(c->signer, item, n, envelope);
	for (size_t i = 0; err == 0 && i < n; i++)
		err = write_reply(c, asks[i]->ring, &envelope[i], &out[i]);
	for (size_t i = 0; i < n; i++) {
		buf_release(&envelope[i]);
		if (err != 0)
			buf_release(&out[i]);
	}
	return err;
}
