/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/device.h"

#include "proto/bucket.h"
#include "proto/crypto.h"

#define RECORD   60u
#define KEY_HALF 16u

uint64_t device_build_hash(const char *build_id)
{
	return hash64(build_id, strlen(build_id));
}

static void pack(const struct device *d, uint8_t r[RECORD])
{
	memset(r, 0, RECORD);
	memcpy(r, d->public_key, 33);
	r[33] = (uint8_t)d->ring;
	r[34] = (uint8_t)d->wish;
	r[35] = d->left;
	r[36] = d->failed_tag;
	put_be16(r + 38, d->product);
	put_be32(r + 40, d->enrolled_day);
	put_be32(r + 44, d->last_seq);
	put_be64(r + 48, d->build);
}

static bool unpack(struct bytes r, struct device *d)
{
	if (r.n != RECORD || r.p[33] >= RING__COUNT || r.p[34] >= RING__COUNT)
		return false;
	memcpy(d->public_key, r.p, 33);
	d->ring = (enum ring)r.p[33];
	d->wish = (enum ring)r.p[34];
	d->left = r.p[35] != 0;
	d->failed_tag = r.p[36];
	d->product = get_be16(r.p + 38);
	d->enrolled_day = get_be32(r.p + 40);
	d->last_seq = get_be32(r.p + 44);
	d->build = get_be64(r.p + 48);
	return true;
}

bool device_get(struct store_txn *t, const uint8_t id[ID_LEN], struct device *out)
{
	struct bytes v;

	if (!store_get(t, STORE_DEVICE, bytes_of(id, ID_LEN), &v))
		return false;
	memcpy(out->id, id, ID_LEN);
	if (!unpack(v, out))
		t->err = ERR_CORRUPT;
	return t->err == 0;
}

void device_put(struct store_txn *t, const struct device *d)
{
	uint8_t r[RECORD];

	pack(d, r);
	store_put(t, STORE_DEVICE, bytes_of(d->id, ID_LEN), bytes_of(r, RECORD));
}

void device_delete(struct store_txn *t, const uint8_t id[ID_LEN])
{
	store_delete(t, STORE_DEVICE, bytes_of(id, ID_LEN));
}

bool device_read(const struct store_cursor *c, struct device *out)
{
	if (c->key.n != ID_LEN || !unpack(c->value, out))
		return false;
	memcpy(out->id, c->key.p, ID_LEN);
	return true;
}

bool device_of_key(struct store_txn *t, const uint8_t key_hash[SHA256_LEN], uint8_t id[ID_LEN])
{
	struct bytes v;

	if (!store_get(t, STORE_KEY, bytes_of(key_hash, KEY_HALF), &v) || v.n != ID_LEN)
		return false;
	memcpy(id, v.p, ID_LEN);
	return true;
}

void device_key_put(
	struct store_txn *t, const uint8_t key_hash[SHA256_LEN], const uint8_t id[ID_LEN])
{
	store_put(t, STORE_KEY, bytes_of(key_hash, KEY_HALF), bytes_of(id, ID_LEN));
}

void device_key_delete(struct store_txn *t, const uint8_t key_hash[SHA256_LEN])
{
	store_delete(t, STORE_KEY, bytes_of(key_hash, KEY_HALF));
}

int device_key_hash(const uint8_t public_key[33], uint8_t out[SHA256_LEN])
{
	struct bytes key = bytes_of(public_key, 33);

	return crypto_sha256(&key, 1, out);
}

/* Every key begins with 2 or 3. */
bool device_has_key(const struct device *d)
{
	return d->public_key[0] != 0;
}

/* ---- tokens ---- */

bool device_of_token(struct store_txn *t, const uint8_t token[TOKEN_LEN], uint8_t id[ID_LEN])
{
	struct bytes v;

	if (!store_get(t, STORE_TOKEN, bytes_of(token, TOKEN_LEN), &v))
		return false;
	if (v.n == ID_LEN)
		memcpy(id, v.p, ID_LEN);
	else
		t->err = ERR_CORRUPT;
	return t->err == 0;
}

void device_token_put(struct store_txn *t, const uint8_t token[TOKEN_LEN], const uint8_t id[ID_LEN])
{
	store_put(t, STORE_TOKEN, bytes_of(token, TOKEN_LEN), bytes_of(id, ID_LEN));
}

void device_token_delete(struct store_txn *t, const uint8_t token[TOKEN_LEN])
{
	store_delete(t, STORE_TOKEN, bytes_of(token, TOKEN_LEN));
}

bool device_token_read(const struct store_cursor *c, uint8_t token[TOKEN_LEN], uint8_t id[ID_LEN])
{
	if (c->key.n != TOKEN_LEN || c->value.n != ID_LEN) {
		c->txn->err = ERR_CORRUPT;
		return false;
	}
	memcpy(token, c->key.p, TOKEN_LEN);
	memcpy(id, c->value.p, ID_LEN);
	return true;
}

/* ---- waiting ---- */

static struct bytes waiting_key(uint16_t line, const uint8_t id[ID_LEN], uint8_t key[2 + ID_LEN])
{
	put_be16(key, line);
	memcpy(key + 2, id, ID_LEN);
	return bytes_of(key, 2 + ID_LEN);
}

void waiting_put(struct store_txn *t, uint16_t line, const uint8_t id[ID_LEN], enum ring wish)
{
	uint8_t key[2 + ID_LEN], v = (uint8_t)wish;

	store_put(t, STORE_WAITING, waiting_key(line, id, key), bytes_of(&v, 1));
}

void waiting_delete(struct store_txn *t, uint16_t line, const uint8_t id[ID_LEN])
{
	uint8_t key[2 + ID_LEN];

	store_delete(t, STORE_WAITING, waiting_key(line, id, key));
}

struct bytes waiting_prefix(uint16_t line, uint8_t key[2])
{
	put_be16(key, line);
	return bytes_of(key, 2);
}

enum ring waiting_read(const struct store_cursor *c, uint8_t id[ID_LEN])
{
	if (c->key.n != 2 + ID_LEN || c->value.n != 1 || c->value.p[0] >= RING__COUNT) {
		c->txn->err = ERR_CORRUPT;
		return RING_STABLE;
	}
	memcpy(id, c->key.p + 2, ID_LEN);
	return (enum ring)c->value.p[0];
}
