/* SPDX-License-Identifier: Apache-2.0 */
/* Who devices of other protocols are, and what each is at when the server starts. */
#include "server/service/digest.h"
#include "server/service/foreign.h"

/* ---- who it is ---- */

int foreign_token(struct bytes token, uint8_t out[TOKEN_LEN])
{
	uint8_t hash[SHA256_LEN];
	int err = crypto_sha256(&token, 1, hash);

	memcpy(out, hash, TOKEN_LEN);
	return err;
}

int foreign_derive(struct crypto_mac *mac, const struct server *s, enum foreign_protocol protocol,
	const char *product, struct bytes name, uint8_t id[ID_LEN])
{
	static const char domain[] = "huidu/foreign/v1"; /* its NUL is part of it */
	uint8_t number = (uint8_t)protocol, out[SHA256_LEN];
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(&number, 1),
		bytes_of(product, strlen(product) + 1), name };
	int err = crypto_mac_sign(
		mac, bytes_of(s->foreign_secret, sizeof(s->foreign_secret)), part, 4, out);

	memcpy(id, out, ID_LEN);
	return err;
}

int foreign_id(struct desk *d, enum foreign_protocol protocol, const char *product,
	struct bytes name, uint8_t id[ID_LEN])
{
	return foreign_derive(d->foreign_mac, d->server, protocol, product, name, id);
}

int foreign_expect(struct desk *d, enum foreign_protocol protocol, const char *product,
	struct bytes name, uint8_t id[ID_LEN])
{
	int err = foreign_id(d, protocol, product, name, id);

	fleet_prefetch(d->server->fleet, id);
	return err;
}

void foreign_near(struct desk *d, const uint8_t id[ID_LEN])
{
	fleet_prefetch_word(d->server->fleet, id);
}

bool foreign_is_known(const struct server *s, const uint8_t id[ID_LEN])
{
	const fleet_word *word = fleet_find(s->fleet, id);
	struct fleet_foreign m;

	return word != NULL && fleet_foreign_get(s->fleet, word, &m);
}

/* ---- start ---- */

static void draw_secret(struct server *s, struct store_txn *t)
{
	struct bytes name = bytes_str("foreign-secret"), v;

	if (store_get(t, STORE_META, name, &v)) {
		if (v.n == sizeof(s->foreign_secret))
			memcpy(s->foreign_secret, v.p, v.n);
		else
			t->err = ERR_CORRUPT;
		return;
	}
	if (t->err == 0)
		t->err = crypto_random(s->foreign_secret, sizeof(s->foreign_secret));
	store_put(t, STORE_META, name, bytes_of(s->foreign_secret, sizeof(s->foreign_secret)));
}

static int load_secret(struct server *s)
{
	struct store_txn t;

	store_begin(s->store, &t, true);
	draw_secret(s, &t);
	return store_commit(&t);
}

static int load_devices(struct server *s)
{
	struct stored_foreign f;
	uint8_t id[ID_LEN];
	struct store_cursor c;
	struct store_txn t;

	store_begin(s->store, &t, false);
	store_foreach(&c, &t, STORE_FOREIGN, bytes_of(NULL, 0)) {
		if (foreign_read(&c, id, &f))
			foreign_show(s, id, &f.state, f.has_token ? f.token : NULL);
		else
			t.err = ERR_CORRUPT;
	}
	store_abort(&t);
	return t.err;
}

int foreign_open(struct server *s)
{
	int err = 0;

	if (!config_has_foreign(s->config))
		return 0;
	err = load_secret(s);
	if (err == 0)
		err = load_devices(s);
	if (err != 0)
		return err;
	s->speaks_foreign = true;
	s->digests = digests_new(s->artifacts, s->store, &s->writer);
	return s->digests != NULL ? 0 : ERR_BUSY;
}
