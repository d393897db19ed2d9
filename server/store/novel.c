/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/novel.h"

#define SEEN_KEY      (2 + SIGNATURE_LEN)
#define NOVEL_KEY     (5 + SIGNATURE_LEN)
#define NOVEL_RECORD  26u
#define HIT_SIGNATURE 8u /* of a stage's few hundred */
#define HIT_KEY       (5 + HIT_SIGNATURE + ID_LEN)

static struct bytes seen_key(
	uint16_t line, const uint8_t signature[SIGNATURE_LEN], uint8_t key[SEEN_KEY])
{
	put_be16(key, line);
	memcpy(key + 2, signature, SIGNATURE_LEN);
	return bytes_of(key, SEEN_KEY);
}

uint64_t seen_get(struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN])
{
	uint8_t key[SEEN_KEY];
	struct bytes v;

	if (!store_get(t, STORE_SEEN, seen_key(line, signature, key), &v))
		return UINT64_MAX;
	if (v.n != 8) {
		t->err = ERR_CORRUPT;
		return UINT64_MAX;
	}
	return get_be64(v.p);
}

void seen_put(
	struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN], uint64_t now_ms)
{
	uint8_t key[SEEN_KEY], v[8];

	put_be64(v, now_ms);
	store_put(t, STORE_SEEN, seen_key(line, signature, key), bytes_of(v, sizeof(v)));
}

struct bytes novel_prefix(struct stage_key stage, uint8_t key[5])
{
	put_be32(key, stage.rollout);
	key[4] = stage.step;
	return bytes_of(key, 5);
}

static struct bytes novel_key(
	struct stage_key stage, const uint8_t signature[SIGNATURE_LEN], uint8_t key[NOVEL_KEY])
{
	(void)novel_prefix(stage, key);
	memcpy(key + 5, signature, SIGNATURE_LEN);
	return bytes_of(key, NOVEL_KEY);
}

static bool novel_unpack(struct bytes v, struct novel *out)
{
	if (v.n != NOVEL_RECORD)
		return false;
	out->number = get_be16(v.p);
	out->first_ms = get_be64(v.p + 2);
	for (unsigned a = 0; a < ARM__COUNT; a++) {
		out->open[a] = get_be32(v.p + 10 + 4 * (size_t)a);
		out->total[a] = get_be32(v.p + 18 + 4 * (size_t)a);
	}
	return true;
}

bool novel_get(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	struct novel *out)
{
	uint8_t key[NOVEL_KEY];
	struct bytes v;

	if (!store_get(t, STORE_NOVEL, novel_key(stage, signature, key), &v))
		return false;
	if (!novel_unpack(v, out))
		t->err = ERR_CORRUPT;
	return t->err == 0;
}

void novel_put(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const struct novel *n)
{
	uint8_t key[NOVEL_KEY], v[NOVEL_RECORD];

	put_be16(v, n->number);
	put_be64(v + 2, n->first_ms);
	for (unsigned a = 0; a < ARM__COUNT; a++) {
		put_be32(v + 10 + 4 * (size_t)a, n->open[a]);
		put_be32(v + 18 + 4 * (size_t)a, n->total[a]);
	}
	store_put(t, STORE_NOVEL, novel_key(stage, signature, key), bytes_of(v, sizeof(v)));
}

bool novel_read(const struct store_cursor *c, uint8_t signature[SIGNATURE_LEN], struct novel *out)
{
	if (c->key.n != NOVEL_KEY || !novel_unpack(c->value, out)) {
		c->txn->err = ERR_CORRUPT;
		return false;
	}
	memcpy(signature, c->key.p + 5, SIGNATURE_LEN);
	return true;
}

static struct bytes hit_key(struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN], uint8_t key[HIT_KEY])
{
	(void)novel_prefix(stage, key);
	memcpy(key + 5, signature, HIT_SIGNATURE);
	memcpy(key + 5 + HIT_SIGNATURE, id, ID_LEN);
	return bytes_of(key, HIT_KEY);
}

bool hit_has(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN])
{
	uint8_t key[HIT_KEY];
	struct bytes v;

	return store_get(t, STORE_HIT, hit_key(stage, signature, id, key), &v);
}

void hit_delete(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN])
{
	uint8_t key[HIT_KEY];

	store_delete(t, STORE_HIT, hit_key(stage, signature, id, key));
}

bool hit_put(struct store_txn *t, struct stage_key stage, const uint8_t signature[SIGNATURE_LEN],
	const uint8_t id[ID_LEN])
{
	uint8_t key[HIT_KEY];
	struct bytes k = hit_key(stage, signature, id, key), v;

	if (store_get(t, STORE_HIT, k, &v))
		return false;
	store_put(t, STORE_HIT, k, bytes_of("", 1));
	return t->err == 0;
}
