/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/stage.h"

#include <assert.h>
#include <stdio.h>

#define ARM_KEY    (5 + ID_LEN)
#define ARM_RECORD 36u
#define STAGE_KEY  7u
#define ROW_KEY    12u
#define ROW_RECORD 36u
#define STAGE_HEAD 40u
/* The arrays of struct evidence, in order; all are u32. */
#define STAGE_ARRAYS                                                                               \
	(2 * ARM__COUNT + 3 * ARM__COUNT * STREAM__COUNT + (1 + EVIDENCE_GROUPS) * STREAM__COUNT + \
		(EVIDENCE_SLOTS * (1 + EVIDENCE_GROUPS) + 2 * ARM__COUNT) * STREAM_COMPARED)
#define STAGE_RECORD (STAGE_HEAD + 4u * (unsigned)STAGE_ARRAYS)

static void put_stage_key(struct stage_key s, uint8_t key[5])
{
	put_be32(key, s.rollout);
	key[4] = s.step;
}

static struct stage_key get_stage_key(const uint8_t *key)
{
	return (struct stage_key){ get_be32(key), key[4] };
}

static struct bytes arm_key(struct stage_key stage, const uint8_t id[ID_LEN], uint8_t key[ARM_KEY])
{
	put_stage_key(stage, key);
	memcpy(key + 5, id, ID_LEN);
	return bytes_of(key, ARM_KEY);
}

static bool arm_unpack(struct bytes r, struct evidence_device *d)
{
	if (r.n != ARM_RECORD || r.p[0] >= ARM__COUNT || r.p[1] >= EVIDENCE_GROUPS)
		return false;
	d->arm = (enum arm)r.p[0];
	d->group = r.p[1];
	d->gone = r.p[2] != 0;
	d->seq = get_be32(r.p + 4);
	d->entered_batch = get_be32(r.p + 8);
	d->seen = get_be32(r.p + 12);
	d->entered_ms = get_be64(r.p + 16);
	d->slot = get_be32(r.p + 24);
	d->installing_ms = get_be64(r.p + 28);
	return true;
}

bool arm_get(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN],
	struct evidence_device *out)
{
	uint8_t key[ARM_KEY];
	struct bytes v;

	if (!store_get(t, STORE_ARM, arm_key(stage, id, key), &v))
		return false;
	if (!arm_unpack(v, out))
		t->err = ERR_CORRUPT;
	return t->err == 0;
}

void arm_put(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN],
	const struct evidence_device *d)
{
	uint8_t key[ARM_KEY], r[ARM_RECORD] = { 0 };

	r[0] = (uint8_t)d->arm;
	r[1] = (uint8_t)d->group;
	r[2] = d->gone;
	put_be32(r + 4, d->seq);
	put_be32(r + 8, d->entered_batch);
	put_be32(r + 12, d->seen);
	put_be64(r + 16, d->entered_ms);
	put_be32(r + 24, d->slot);
	put_be64(r + 28, d->installing_ms);
	store_put(t, STORE_ARM, arm_key(stage, id, key), bytes_of(r, ARM_RECORD));
}

void arm_delete(struct store_txn *t, struct stage_key stage, const uint8_t id[ID_LEN])
{
	uint8_t key[ARM_KEY];

	store_delete(t, STORE_ARM, arm_key(stage, id, key));
}

bool arm_read(const struct store_cursor *c, struct stage_key *stage, uint8_t id[ID_LEN],
	struct evidence_device *out)
{
	if (c->key.n != ARM_KEY || !arm_unpack(c->value, out)) {
		c->txn->err = ERR_CORRUPT;
		return false;
	}
	*stage = get_stage_key(c->key.p);
	memcpy(id, c->key.p + 5, ID_LEN);
	return true;
}

static struct bytes stage_key(struct stage_key stage, uint16_t product, uint8_t key[STAGE_KEY])
{
	put_stage_key(stage, key);
	put_be16(key + 5, product);
	return bytes_of(key, STAGE_KEY);
}

static uint8_t *put_array(uint8_t *p, const uint32_t *a, size_t n)
{
	for (size_t i = 0; i < n; i++, p += 4)
		put_be32(p, a[i]);
	return p;
}

static const uint8_t *get_array(const uint8_t *p, uint32_t *a, size_t n)
{
	for (size_t i = 0; i < n; i++, p += 4)
		a[i] = get_be32(p);
	return p;
}

/* Every array of the record, in its order. */
#define EACH_ARRAY(e, DO)                                                                          \
	DO((e)->entered)                                                                           \
	DO((e)->judged)                                                                            \
	DO((e)->total)                                                                             \
	DO((e)->risk)                                                                              \
	DO((e)->young)                                                                             \
	DO((e)->frozen)                                                                            \
	DO((e)->frozen_young)                                                                      \
	DO((e)->open)                                                                              \
	DO((e)->open_young)

void stage_put(
	struct store_txn *t, struct stage_key stage, uint16_t product, const struct evidence *e)
{
	uint8_t key[STAGE_KEY], r[STAGE_RECORD], *p = r + STAGE_HEAD;

	put_be32(r, e->batch);
	put_be32(r + 4, e->slot);
	put_be32(r + 8, e->events);
	put_be32(r + 12, e->closed_groups);
	put_be64(r + 16, e->started_ms);
	put_be64(r + 24, e->settle_ms);
	put_be64(r + 32, e->opened_ms);
#define PUT(array) p = put_array(p, (const uint32_t *)(array), sizeof(array) / sizeof(uint32_t));
	EACH_ARRAY(e, PUT)
#undef PUT
	assert(p == r + STAGE_RECORD);
	store_put(t, STORE_STAGE, stage_key(stage, product, key), bytes_of(r, STAGE_RECORD));
}

bool stage_get(struct store_txn *t, struct stage_key stage, uint16_t product, struct evidence *out)
{
	uint8_t key[STAGE_KEY];
	const uint8_t *p;
	struct bytes v;

	if (!store_get(t, STORE_STAGE, stage_key(stage, product, key), &v))
		return false;
	if (v.n != STAGE_RECORD) {
		t->err = ERR_CORRUPT;
		return false;
	}
	out->batch = get_be32(v.p);
	out->slot = get_be32(v.p + 4);
	out->events = get_be32(v.p + 8);
	out->closed_groups = get_be32(v.p + 12);
	out->started_ms = get_be64(v.p + 16);
	out->settle_ms = get_be64(v.p + 24);
	out->opened_ms = get_be64(v.p + 32);
	p = v.p + STAGE_HEAD;
#define GET(array) p = get_array(p, (uint32_t *)(array), sizeof(array) / sizeof(uint32_t));
	EACH_ARRAY(out, GET)
#undef GET
	return true;
}

static struct bytes purged_key(uint32_t rollout, char key[24])
{
	return bytes_of(key, (size_t)snprintf(key, 24, "purged/%u", rollout));
}

void stage_purged_put(struct store_txn *t, uint32_t rollout)
{
	char key[24];

	store_put(t, STORE_META, purged_key(rollout, key), bytes_of("", 1));
}

bool stage_purged(struct store_txn *t, uint32_t rollout)
{
	char key[24];
	struct bytes v;

	return store_get(t, STORE_META, purged_key(rollout, key), &v);
}

bool stage_key_read(const struct store_cursor *c, struct stage_key *stage, uint16_t *product)
{
	if (c->key.n != STAGE_KEY) {
		c->txn->err = ERR_CORRUPT;
		return false;
	}
	*stage = get_stage_key(c->key.p);
	*product = get_be16(c->key.p + 5);
	return true;
}

struct bytes row_key(uint32_t rollout, uint64_t number, uint8_t key[ROW_KEY])
{
	put_be32(key, rollout);
	put_be64(key + 4, number);
	return bytes_of(key, ROW_KEY);
}

void row_put(struct store_txn *t, uint64_t number, const struct stored_row *s)
{
	uint8_t key[ROW_KEY], r[ROW_RECORD];
	struct bytes k = row_key(s->stage.rollout, number, key), have;

	r[0] = s->stage.step;
	r[1] = (uint8_t)s->row.stream;
	put_be16(r + 2, s->product);
	put_be32(r + 4, s->row.batch);
	put_be64(r + 8, s->row.closed_ms);
	put_be32(r + 16, s->row.xc);
	put_be32(r + 20, s->row.xk);
	put_be32(r + 24, s->row.ec);
	put_be32(r + 28, s->row.ek);
	r[32] = (uint8_t)s->row.age;
	r[33] = 0;
	put_be16(r + 34, (uint16_t)s->row.signature);
	if (store_get(t, STORE_ROW, k, &have))
		t->err = ERR_CORRUPT;
	store_put(t, STORE_ROW, k, bytes_of(r, ROW_RECORD));
}

bool row_unpack(struct bytes key, struct bytes value, uint64_t *number, struct stored_row *out)
{
	const uint8_t *k = key.p, *v = value.p;

	if (key.n != ROW_KEY || value.n != ROW_RECORD || v[1] >= STREAM__COUNT ||
		v[32] >= AGE__COUNT)
		return false;
	*number = get_be64(k + 4);
	out->stage = (struct stage_key){ get_be32(k), v[0] };
	out->product = get_be16(v + 2);
	out->row = (struct evidence_row){
		.stream = (enum stream)v[1],
		.batch = get_be32(v + 4),
		.closed_ms = get_be64(v + 8),
		.xc = get_be32(v + 16),
		.xk = get_be32(v + 20),
		.ec = get_be32(v + 24),
		.ek = get_be32(v + 28),
		.age = (enum age)v[32],
		.signature = get_be16(v + 34),
	};
	return true;
}

bool row_read(const struct store_cursor *c, uint64_t *number, struct stored_row *out)
{
	if (!row_unpack(c->key, c->value, number, out))
		c->txn->err = ERR_CORRUPT;
	return c->txn->err == 0;
}

uint64_t row_count(struct store_txn *t, uint32_t rollout)
{
	uint8_t prefix[4];
	struct bytes last;

	put_be32(prefix, rollout);
	if (!store_last(t, STORE_ROW, bytes_of(prefix, 4), &last) || last.n != ROW_KEY)
		return 0;
	return get_be64(last.p + 4) + 1;
}
