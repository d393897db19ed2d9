/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/request.h"

int request_report_key(struct desk *d, const struct epoch *epoch, const uint8_t id[ID_LEN],
	uint8_t out[SHA256_LEN])
{
	static const char domain[] = "huidu/report-key/v1"; /* its NUL is part of it */
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(id, ID_LEN) };

	return crypto_mac_sign(
		d->mac, bytes_of(epoch->secret, sizeof(epoch->secret)), part, 2, out);
}

static int check_mac(
	struct desk *d, const struct epoch *epoch, enum request_kind kind, const Pb__Sealed *m)
{
	static const char *const path[] = {
		[REQUEST_POLL] = "/v1/poll",
		[REQUEST_REPORT] = "/v1/report",
		[REQUEST_GRANT] = "/v1/grant",
	};
	struct bytes part[] = { bytes_of(path[kind], strlen(path[kind]) + 1), wire_bytes(m->body) };
	uint8_t key[SHA256_LEN], mac[SHA256_LEN];
	int err = request_report_key(d, epoch, m->device_id.data, key);

	fleet_prefetch_word(d->server->fleet, m->device_id.data);
	if (err == 0)
		err = crypto_mac_sign(d->device_mac, bytes_of(key, sizeof(key)), part, 2, mac);
	if (err != 0)
		return err;
	return m->has_mac && m->mac.len == MAC_LEN && crypto_equal(mac, m->mac.data, MAC_LEN)
		? 0
		: ERR_BAD_MAC;
}

/* Who it is: an id without a MAC, or a MAC without an id, is nobody. */
static int identify(
	struct desk *d, enum request_kind kind, const Pb__Sealed *m, struct request *out)
{
	const struct epoch *epoch;
	int err;

	out->anonymous = !m->has_device_id && !m->has_mac && kind == REQUEST_POLL;
	if (out->anonymous)
		return 0;
	if (!m->has_device_id || m->device_id.len != ID_LEN)
		return ERR_BAD_MAC;
	memcpy(out->id, m->device_id.data, ID_LEN);
	/* Memory is slow: what is needed last is asked for first. */
	fleet_prefetch(d->server->fleet, out->id);
	epoch = m->has_epoch ? epochs_find(&d->server->epochs, m->epoch) : NULL;
	err = check_mac(d, epoch != NULL ? epoch : epochs_newest(&d->server->epochs), kind, m);
	out->word = fleet_find(d->server->fleet, out->id);
	if (err == 0 && (out->word == NULL || epoch == NULL))
		err = ERR_BAD_MAC;
	return err;
}

/* A device is of the product it enrolled as. */
static int check_product(const struct request *r)
{
	uint16_t enrolled = fleet_unpack(atomic_load(r->word)).product;

	return enrolled == r->product->number ? 0 : ERR_WRONG_PRODUCT;
}

static int open_poll(struct desk *d, const Pb__Sealed *m, struct request *out)
{
	int err;

	out->poll = wire_read(
		&pb__poll_request__descriptor, wire_bytes(m->body), &wire_device, &d->arena, &err);
	if (out->poll == NULL)
		return err;
	out->report = out->poll->report;
	out->product = image_find(d->image, out->poll->product);
	if (out->anonymous && out->report != NULL)
		return ERR_BAD_MAC;
	if (out->product == NULL || out->anonymous)
		return 0;
	return check_product(out);
}

static int open_grant(struct desk *d, const Pb__Sealed *m, struct request *out)
{
	int err;
	const Pb__GrantRequest *grant = wire_read(
		&pb__grant_request__descriptor, wire_bytes(m->body), &wire_device, &d->arena, &err);

	if (grant == NULL)
		return err;
	out->product = image_find(d->image, grant->product);
	return out->product == NULL ? 0 : check_product(out);
}

static int open_report(struct desk *d, const Pb__Sealed *m, struct request *out)
{
	int err;

	out->report = wire_read(&pb__report_request__descriptor, wire_bytes(m->body), &wire_device,
		&d->arena, &err);
	if (out->report != NULL)
		out->product = image_number(d->image, fleet_unpack(atomic_load(out->word)).product);
	return err;
}

int request_open(struct desk *d, enum request_kind kind, struct bytes body, uint64_t now_ms,
	struct request *out)
{
	static int (*const open_kind[])(struct desk *, const Pb__Sealed *, struct request *) = {
		[REQUEST_POLL] = open_poll,
		[REQUEST_REPORT] = open_report,
		[REQUEST_GRANT] = open_grant,
	};
	int err;
	const Pb__Sealed *m;

	*out = (struct request){ 0 };
	d->arena.used = 0;
	m = wire_read(&pb__sealed__descriptor, body, &wire_device, &d->arena, &err);
	if (m == NULL)
		return err;
	err = identify(d, kind, m, out);
	if (err != 0)
		return err;
	if (out->word != NULL)
		fleet_hear(out->word, now_ms);
	return open_kind[kind](d, m, out);
}
