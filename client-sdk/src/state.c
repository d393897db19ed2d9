/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/state.h"

#include <assert.h>

#include "proto/device.pb-c.h"

#define MAGIC    0x48445354u /* HDST */
#define FORMAT   2u
#define HEAD_LEN 24u
#define SUMMED   12u /* the CRC is over all from here */

/* BLOB: bytes with their length before them.  TREE: a struct merkle. */
enum slot_kind {
	SLOT_U8,
	SLOT_U32,
	SLOT_U64,
	SLOT_BYTES,
	SLOT_TEXT,
	SLOT_LIST,
	SLOT_BLOB,
	SLOT_TREE
};

struct layout;

/*
 * One field.  `n`: the largest value of a U8, the length of BYTES, the capacity of a
 * LIST or a BLOB.
 */
struct slot {
	enum slot_kind kind;
	size_t at;
	uint32_t n;
	size_t count_at;         /* SLOT_LIST, SLOT_BLOB: of its uint32_t */
	const struct layout *of; /* SLOT_LIST: its elements */
};

struct layout {
	const struct slot *slots;
	size_t n;
	size_t size; /* of the struct */
};

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define SIZE(s, m) sizeof(((struct s *)0)->m)
#define U8(s, m, mx)                                                                               \
	{                                                                                          \
		SLOT_U8, offsetof(struct s, m), (mx), 0, NULL                                      \
	}
#define U32(s, m)                                                                                  \
	{                                                                                          \
		SLOT_U32, offsetof(struct s, m), 0, 0, NULL                                        \
	}
#define U64(s, m)                                                                                  \
	{                                                                                          \
		SLOT_U64, offsetof(struct s, m), 0, 0, NULL                                        \
	}
#define BYTES(s, m)                                                                                \
	{                                                                                          \
		SLOT_BYTES, offsetof(struct s, m), SIZE(s, m), 0, NULL                             \
	}
#define TEXT(s, m)                                                                                 \
	{                                                                                          \
		SLOT_TEXT, offsetof(struct s, m), TEXT_LEN, 0, NULL                                \
	}
#define LIST(m, of)                                                                                \
	{                                                                                          \
		SLOT_LIST, offsetof(struct state, m), COUNT(((struct state *)0)->m),               \
			offsetof(struct state, n_##m), of                                          \
	}
#define BLOB(m)                                                                                    \
	{                                                                                          \
		SLOT_BLOB, offsetof(struct state, m), SIZE(state, m),                              \
			offsetof(struct state, m##_len), NULL                                      \
	}
#define TREE(m)                                                                                    \
	{                                                                                          \
		SLOT_TREE, offsetof(struct state, m), 0, 0, NULL                                   \
	}

static const struct slot failed_slots[] = { TEXT(failed_build, build_id) };
static const struct slot halted_slots[] = {
	U64(halted_build, plan_version),
	TEXT(halted_build, build_id),
};
static const struct slot event_slots[] = {
	U32(event, seq),
	U32(event, at_s),
	U32(event, code),
	U8(event, kind, PB__EVENT_KIND__EVENT_REFUSED),
	U8(event, has_signature, 1),
	TEXT(event, build_id),
	BYTES(event, signature),
};
static const struct layout failed_layout = { failed_slots, COUNT(failed_slots),
	sizeof(struct failed_build) };
static const struct layout halted_layout = { halted_slots, COUNT(halted_slots),
	sizeof(struct halted_build) };
static const struct layout event_layout = { event_slots, COUNT(event_slots), sizeof(struct event) };

static const struct slot state_slots[] = {
	BYTES(state, scope),
	TEXT(state, own_build),
	U64(state, rollback_index),
	U64(state, floor_s),
	U64(state, last_fresh_ms),

	BYTES(state, key),
	U32(state, key_len),
	U8(state, enrolled, 1),
	U64(state, enrolled_at_ms),
	BYTES(state, device_id),
	U32(state, epoch),
	BYTES(state, report_key),

	U64(state, timestamp_version),
	U64(state, timestamp_expires_s),
	U64(state, offers_until_s),
	U64(state, snapshot.version),
	U32(state, snapshot.length),
	BYTES(state, snapshot.sha256),
	U64(state, director_version[0]),
	U64(state, director_version[1]),
	U64(state, director_version[2]),
	U64(state, director_version[3]),
	U64(state, chain_expires_s),
	U8(state, held, 1),
	U8(state, ring, PB__RING__RING_STABLE),
	U8(state, ring_why, PB__RING_WHY__RING_WHY_ANONYMOUS),
	U8(state, answer, PB__ANSWER__ANSWER_HALTED),
	BYTES(state, refused),

	U64(state, candidate.release_counter),
	U64(state, candidate.rollback_index),
	U64(state, candidate.plan_version),
	U64(state, candidate.expires_s),
	U64(state, candidate.length),
	U64(state, candidate.payload_offset),
	U64(state, candidate.payload_size),
	U64(state, candidate.metadata_size),
	U32(state, candidate.installing_seq),
	U8(state, candidate.stage, STAGE__COUNT - 1),
	U8(state, candidate.started, 1),
	U8(state, candidate.spoilt, UINT8_MAX),
	BYTES(state, candidate.sha256),
	BYTES(state, candidate.payload_hash),
	BYTES(state, candidate.metadata_hash),
	BYTES(state, candidate.rollout_id),
	TEXT(state, candidate.build_id),

	U8(state, trial.stage, TRIAL__COUNT - 1),
	TEXT(state, trial.build_id),
	TEXT(state, trial.from),

	U32(state, last_seq),
	LIST(failed, &failed_layout),
	LIST(halted, &halted_layout),
	LIST(events, &event_layout),

	U64(state, root_version),
	BLOB(root),
	TREE(log),
	U8(state, held_ring, PB__RING__RING_STABLE),
	U8(state, grant_ring, PB__RING__RING_STABLE),
	U64(state, grant_expires_s),
	U64(state, held_since_ms),
};

/* Bytewise would need a table; a state is a few KiB. */
static uint32_t crc32(struct bytes in)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < in.n; i++) {
		crc ^= in.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static uint8_t *put_number(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
	return p + n;
}

static bool has_subtree(const struct merkle *m, unsigned level)
{
	return m->size >> level & 1;
}

static uint8_t *put_tree(uint8_t *p, const uint8_t *from)
{
	struct merkle m;

	memcpy(&m, from, sizeof(m));
	p = put_number(p, m.size, 8);
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		if (!has_subtree(&m, level))
			continue;
		memcpy(p, m.subtree[level], SHA256_LEN);
		p += SHA256_LEN;
	}
	return p;
}

static uint8_t *put_blob(uint8_t *p, const struct slot *slot, const uint8_t *base)
{
	uint32_t n;

	memcpy(&n, base + slot->count_at, sizeof(n));
	p = put_number(p, n, 4);
	memcpy(p, base + slot->at, n);
	return p + n;
}

static uint8_t *put_slot(uint8_t *p, const struct slot *slot, const uint8_t *from)
{
	uint64_t u64;
	uint32_t u32;
	size_t n = slot->n;

	switch (slot->kind) {
	case SLOT_U8:
		return put_number(p, *from, 1);
	case SLOT_U32:
		memcpy(&u32, from, sizeof(u32));
		return put_number(p, u32, 4);
	case SLOT_U64:
		memcpy(&u64, from, sizeof(u64));
		return put_number(p, u64, 8);
	case SLOT_TEXT:
		n = strlen((const char *)from);
		p = put_number(p, n, 1);
		break;
	case SLOT_TREE:
		return put_tree(p, from);
	case SLOT_BYTES:
	case SLOT_LIST:
	case SLOT_BLOB:
		break;
	}
	memcpy(p, from, n);
	return p + n;
}

static uint8_t *put_list(uint8_t *p, const struct slot *slot, const uint8_t *base)
{
	uint32_t n;

	memcpy(&n, base + slot->count_at, sizeof(n));
	p = put_number(p, n, 1);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *element = base + slot->at + i * slot->of->size;
		for (size_t k = 0; k < slot->of->n; k++)
			p = put_slot(p, &slot->of->slots[k], element + slot->of->slots[k].at);
	}
	return p;
}

size_t state_write(const struct state *s, uint64_t generation, uint8_t out[STATE_MAX])
{
	/* What every field at its largest takes; every key and text is. */
	_Static_assert(sizeof(struct state) + HEAD_LEN < STATE_MAX, "state fits its slot");
	const uint8_t *base = (const uint8_t *)s;
	uint8_t *p = out + HEAD_LEN;

	for (size_t i = 0; i < COUNT(state_slots); i++) {
		const struct slot *slot = &state_slots[i];
		if (slot->kind == SLOT_LIST)
			p = put_list(p, slot, base);
		else if (slot->kind == SLOT_BLOB)
			p = put_blob(p, slot, base);
		else
			p = put_slot(p, slot, base + slot->at);
	}
	put_be32(out, MAGIC);
	put_be32(out + 4, FORMAT);
	put_be32(out + 12, (uint32_t)(p - out) - HEAD_LEN);
	put_be64(out + 16, generation);
	put_be32(out + 8, crc32(bytes_of(out + SUMMED, (size_t)(p - out) - SUMMED)));
	return (size_t)(p - out);
}

struct source {
	const uint8_t *p, *end;
};

static bool take(struct source *in, void *out, size_t n)
{
	if (n > (size_t)(in->end - in->p))
		return false;
	memcpy(out, in->p, n);
	in->p += n;
	return true;
}

static bool take_number(struct source *in, uint64_t *out, unsigned n)
{
	uint8_t raw[8];

	if (!take(in, raw, n))
		return false;
	*out = 0;
	for (unsigned i = 0; i < n; i++)
		*out = *out << 8 | raw[i];
	return true;
}

static bool take_text(struct source *in, uint8_t *to)
{
	uint64_t n;

	if (!take_number(in, &n, 1) || n >= TEXT_LEN || !take(in, to, (size_t)n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (to[i] < 0x20 || to[i] > 0x7e)
			return false;
	return true;
}

static bool take_tree(struct source *in, uint8_t *to)
{
	struct merkle m = { 0 };

	if (!take_number(in, &m.size, 8) || m.size > MERKLE_SIZE_MAX)
		return false;
	for (unsigned level = 0; level < MERKLE_LEVELS; level++)
		if (has_subtree(&m, level) && !take(in, m.subtree[level], SHA256_LEN))
			return false;
	memcpy(to, &m, sizeof(m));
	return true;
}

static bool take_blob(struct source *in, const struct slot *slot, uint8_t *base)
{
	uint64_t v;
	uint32_t n;

	if (!take_number(in, &v, 4) || v > slot->n)
		return false;
	n = (uint32_t)v;
	memcpy(base + slot->count_at, &n, sizeof(n));
	return take(in, base + slot->at, n);
}

static bool take_slot(struct source *in, const struct slot *slot, uint8_t *to)
{
	uint64_t v = 0;
	uint32_t u32;
	bool ok = true;

	switch (slot->kind) {
	case SLOT_U8:
		ok = take_number(in, &v, 1) && v <= slot->n;
		*to = (uint8_t)v;
		break;
	case SLOT_U32:
		ok = take_number(in, &v, 4);
		u32 = (uint32_t)v;
		memcpy(to, &u32, sizeof(u32));
		break;
	case SLOT_U64:
		ok = take_number(in, &v, 8);
		memcpy(to, &v, sizeof(v));
		break;
	case SLOT_BYTES:
		ok = take(in, to, slot->n);
		break;
	case SLOT_TEXT:
		ok = take_text(in, to);
		break;
	case SLOT_TREE:
		ok = take_tree(in, to);
		break;
	case SLOT_LIST:
	case SLOT_BLOB:
		break;
	}
	return ok;
}

static bool take_list(struct source *in, const struct slot *slot, uint8_t *base)
{
	uint64_t v;
	uint32_t n;

	if (!take_number(in, &v, 1) || v > slot->n)
		return false;
	n = (uint32_t)v;
	memcpy(base + slot->count_at, &n, sizeof(n));
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *element = base + slot->at + i * slot->of->size;
		for (size_t k = 0; k < slot->of->n; k++)
			if (!take_slot(in, &slot->of->slots[k], element + slot->of->slots[k].at))
				return false;
	}
	return true;
}

static bool take_state(struct source *in, struct state *s)
{
	uint8_t *base = (uint8_t *)s;
	bool ok = true;

	/* An older library's state ends sooner: what it lacks stays zero. */
	for (size_t i = 0; ok && i < COUNT(state_slots) && in->p < in->end; i++) {
		const struct slot *slot = &state_slots[i];
		ok = slot->kind == SLOT_LIST      ? take_list(in, slot, base)
			: slot->kind == SLOT_BLOB ? take_blob(in, slot, base)
						  : take_slot(in, slot, base + slot->at);
	}
	return ok && s->key_len <= KEY_DER_MAX;
}

static bool take_head(struct state *s, struct bytes in, uint64_t *generation)
{
	struct source from;
	size_t n;

	if (in.n <= HEAD_LEN || get_be32(in.p) != MAGIC || get_be32(in.p + 4) != FORMAT)
		return false;
	n = get_be32(in.p + 12);
	if (n > in.n - HEAD_LEN)
		return false;
	*generation = get_be64(in.p + 16);
	from = (struct source){ in.p + HEAD_LEN, in.p + HEAD_LEN + n };
	return get_be32(in.p + 8) == crc32(bytes_of(in.p + SUMMED, HEAD_LEN - SUMMED + n)) &&
		take_state(&from, s);
}

int state_read(struct state *s, struct bytes in, uint64_t *generation)
{
	memset(s, 0, sizeof(*s));
	if (take_head(s, in, generation))
		return 0;
	memset(s, 0, sizeof(*s));
	*generation = 0;
	return ERR_CORRUPT;
}

bool state_has_failed(const struct state *s, const char *build_id)
{
	for (uint32_t i = 0; i < s->n_failed; i++)
		if (strcmp(s->failed[i].build_id, build_id) == 0)
			return true;
	return false;
}

void state_add_failed(struct state *s, const char *build_id)
{
	if (state_has_failed(s, build_id))
		return;
	if (s->n_failed == FAILED_MAX) {
		s->n_failed--;
		memmove(s->failed, s->failed + 1, s->n_failed * sizeof(s->failed[0]));
	}
	state_set_text(s->failed[s->n_failed++].build_id, build_id);
}

void state_set_text(char to[TEXT_LEN], const char *text)
{
	assert(strlen(text) < TEXT_LEN);
	/* All of it: a state is compared as bytes. */
	memset(to, 0, TEXT_LEN);
	memcpy(to, text, strlen(text));
}
