/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_row.h"

#include "proto/crypto.h"
#include "proto/wire.h"
#include "server/service/foreign.h"

#define HALF      8u /* of an id: no two devices have the same */
#define POINT_LEN 33u
#define DAY_MAX   UINT16_MAX

const char *row_end_str(enum row_end end)
{
	static const char *const text[ROW__COUNT] = {
		[ROW_ADDED] = "added",
		[ROW_KNOWN] = "is there",
		[ROW_UNREADABLE] = "the row cannot be read",
		[ROW_NOT_LISTED] = "the command does not name its product",
		[ROW_NO_PRODUCT] = "the configuration knows no such product",
		[ROW_OTHER_PRODUCT] = "the device is there, and is of another product",
		[ROW_OTHER_KEY] = "the device is there, and has another key",
		[ROW_KEY_TAKEN] = "its key is that of another device",
		[ROW_TOKEN_TAKEN] = "its token is that of another device",
		[ROW_ID_TAKEN] = "another device's id begins with the same 16 digits",
		[ROW_NOT_SPOKEN] = "huidud.yaml has no `compat:` for its protocol and product",
	};

	return text[end];
}

int row_taker_init(struct row_taker *t, const struct server *server)
{
	*t = (struct row_taker){ .server = server, .mac = crypto_mac_new() };
	return t->mac == NULL ? ERR_CRYPTO : 0;
}

void row_taker_release(struct row_taker *t)
{
	crypto_mac_free(t->mac);
	crypto_wipe(t->secret, sizeof(t->secret));
	*t = (struct row_taker){ .mac = NULL };
}

/* ---- ids ---- */

/* One that was drawn in a transaction which came to nothing is drawn again: it gave no id. */
static bool load_secret(struct row_taker *t, struct store_txn *txn)
{
	struct bytes name = bytes_str("serial-secret"), v;

	if (store_get(txn, STORE_META, name, &v) && v.n == sizeof(t->secret)) {
		memcpy(t->secret, v.p, v.n);
		return true;
	}
	if (txn->err != 0 || crypto_random(t->secret, sizeof(t->secret)) != 0)
		return false;
	store_put(txn, STORE_META, name, bytes_of(t->secret, sizeof(t->secret)));
	return txn->err == 0;
}

/* Nobody can choose it, who does not have the secret of this store. */
static bool derive_id(
	struct row_taker *t, struct store_txn *txn, ProtobufCBinaryData serial, uint8_t id[ID_LEN])
{
	static const char domain[] = "huidu/serial/v1"; /* its NUL is part of it */
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), wire_bytes(serial) };
	uint8_t mac[SHA256_LEN];

	if (!load_secret(t, txn) ||
		crypto_mac_sign(t->mac, bytes_of(t->secret, sizeof(t->secret)), part, 2, mac) != 0)
		return false;
	memcpy(id, mac, ID_LEN);
	return true;
}

/* In the store, which has those of the transaction under way too. */
static bool is_half_taken(struct store_txn *txn, const uint8_t id[ID_LEN])
{
	struct store_cursor c;
	bool taken;

	store_seek(&c, txn, STORE_DEVICE, bytes_of(id, HALF));
	taken = store_next(&c);
	store_cursor_close(&c);
	return taken || txn->err != 0;
}

static bool draw_id(struct store_txn *txn, uint8_t id[ID_LEN])
{
	for (unsigned tries = 0; tries < 8; tries++)
		if (crypto_random(id, ID_LEN) == 0 && !is_half_taken(txn, id))
			return true;
	return false;
}

/* ---- rows ---- */

static bool is_foreign_sound(const Pb__FleetRow *m)
{
	return m->protocol > 0 && m->protocol < FOREIGN__END && m->name != NULL &&
		foreign_name_ok(bytes_str(m->name)) && !m->has_id && !m->has_serial_sha256 &&
		!m->has_public_key && (!m->has_token || m->token.len == TOKEN_LEN) &&
		(unsigned)m->ring < RING__COUNT && (unsigned)m->wish < RING__COUNT &&
		m->enrolled_day <= DAY_MAX;
}

static bool is_sound(const Pb__FleetRow *m)
{
	bool has_way_in = m->has_public_key || m->has_token;

	if (m->has_protocol)
		return is_foreign_sound(m);

	return (!m->has_id || m->id.len == ID_LEN) &&
		(!m->has_serial_sha256 || m->serial_sha256.len == SHA256_LEN) &&
		(!m->has_token || m->token.len == TOKEN_LEN) &&
		(!m->has_public_key ||
			(m->public_key.len == POINT_LEN && (m->public_key.data[0] | 1) == 3)) &&
		!(m->has_id && m->has_serial_sha256) && (m->has_id || has_way_in) &&
		(unsigned)m->ring < RING__COUNT && (unsigned)m->wish < RING__COUNT &&
		m->enrolled_day <= DAY_MAX;
}

/* Its token is its own for ever, and not one that another key is bound to. */
static void describe_foreign(const Pb__FleetRow *m, struct row_device *out)
{
	struct stored_foreign *f = &out->foreign;

	out->is_foreign = true;
	out->has_token = false;
	f->state = (struct foreign){
		.protocol = (enum foreign_protocol)m->protocol, .runs = m->build, .wants = true
	};
	f->has_token = m->has_token;
	memcpy(f->token, out->token, TOKEN_LEN);
	memcpy(f->name, m->name, strlen(m->name) + 1); /* foreign_name_ok() */
}

static void describe(const Pb__FleetRow *m, const struct product *p, struct row_device *out)
{
	struct device *d = &out->device;

	*out = (struct row_device){ .line = p->line, .has_token = m->has_token };
	d->product = p->number;
	d->ring = m->has_ring ? (enum ring)m->ring : RING_STABLE;
	d->wish = m->has_wish && (enum ring)m->wish < d->ring ? (enum ring)m->wish : d->ring;
	d->left = m->left;
	/* What is not told is not known to be old. */
	d->enrolled_day = m->has_enrolled_day ? m->enrolled_day : DAY_MAX;
	d->last_seq = m->last_seq;
	d->build = m->build;
	if (m->has_public_key)
		memcpy(d->public_key, m->public_key.data, POINT_LEN);
	if (m->has_token)
		memcpy(out->token, m->token.data, TOKEN_LEN);
	if (m->has_protocol)
		describe_foreign(m, out);
}

/* Whose the row's key and token are already. */
struct owners {
	bool key, token;
	uint8_t of_key[ID_LEN], of_token[ID_LEN];
};

static bool find_id(struct row_taker *t, struct writer *w, const Pb__FleetRow *m,
	const struct owners *o, uint8_t id[ID_LEN])
{
	if (m->has_protocol)
		return foreign_derive(t->mac, t->server, (enum foreign_protocol)m->protocol,
			       m->product, bytes_str(m->name), id) == 0;
	if (m->has_id)
		memcpy(id, m->id.data, ID_LEN);
	else if (m->has_serial_sha256)
		return derive_id(t, &w->txn, m->serial_sha256, id);
	else if (o->key)
		memcpy(id, o->of_key, ID_LEN);
	else if (o->token)
		memcpy(id, o->of_token, ID_LEN);
	else
		return draw_id(&w->txn, id);
	return true;
}

static enum row_end compare(
	const Pb__FleetRow *m, const struct device *want, const struct device *have)
{
	if (have->product != want->product)
		return ROW_OTHER_PRODUCT;
	if (m->has_public_key && memcmp(have->public_key, want->public_key, POINT_LEN) != 0)
		return ROW_OTHER_KEY;
	return ROW_KNOWN;
}

enum row_end row_look(
	struct row_taker *t, struct writer *w, const Pb__FleetRow *m, struct row_device *out)
{
	const struct product *p = registry_product(w->registry, m->product);
	struct owners o = { false };
	struct device have;

	if (!is_sound(m))
		return ROW_UNREADABLE;
	if (p == NULL)
		return ROW_NO_PRODUCT;
	if (m->has_protocol &&
		(!t->server->speaks_foreign || !config_is_foreign(t->server->config, m->product)))
		return ROW_NOT_SPOKEN;
	describe(m, p, out);
	if (m->has_public_key && device_key_hash(out->device.public_key, out->key_hash) != 0)
		return ROW_UNREADABLE;
	o.key = m->has_public_key && device_of_key(&w->txn, out->key_hash, o.of_key);
	o.token = out->has_token && device_of_token(&w->txn, out->token, o.of_token);
	if (!find_id(t, w, m, &o, out->device.id))
		return ROW_UNREADABLE;
	if (o.key && memcmp(o.of_key, out->device.id, ID_LEN) != 0)
		return ROW_KEY_TAKEN;
	if (o.token && memcmp(o.of_token, out->device.id, ID_LEN) != 0)
		return ROW_TOKEN_TAKEN;
	if (device_get(&w->txn, out->device.id, &have))
		return compare(m, &out->device, &have);
	return is_half_taken(&w->txn, out->device.id) ? ROW_ID_TAKEN : ROW_ADDED;
}

bool row_waits(const struct row_device *d)
{
	return d->device.wish < d->device.ring && !d->device.left;
}

void row_put_device(struct writer *w, uint16_t line_number, const struct row_device *d)
{
	device_put(&w->txn, &d->device);
	if (device_has_key(&d->device))
		device_key_put(&w->txn, d->key_hash, d->device.id);
	if (d->has_token)
		device_token_put(&w->txn, d->token, d->device.id);
	if (d->is_foreign)
		foreign_put(&w->txn, d->device.id, &d->foreign);
	if (row_waits(d))
		waiting_put(&w->txn, line_number, d->device.id, d->device.wish);
}

void row_show(struct server *s, const struct row_device *d)
{
	struct fleet_device word = {
		.product = d->device.product,
		.ring = d->device.ring,
		.wish = d->device.wish,
		.left = d->device.left,
		.enrolled_day = d->device.enrolled_day,
	};

	struct registry *r = &s->registry;

	if (!fleet_add(s->fleet, d->device.id, &word))
		return; /* its half was found free in the store */
	if (d->is_foreign)
		foreign_show(s, d->device.id, &d->foreign.state,
			d->foreign.has_token ? d->foreign.token : NULL);
	r->lines[d->line].devices[d->device.ring]++;
	if (row_waits(d))
		r->lines[d->line].waiting++;
}
