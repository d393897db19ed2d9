/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/state.h"

#include <assert.h>

#include "client-sdk/src/layout.h"

#define MAGIC    0x48445354u /* HDST */
#define FORMAT   2u
#define HEAD_LEN 24u
#define SUMMED   12u /* the CRC is over all from here */

/* Four bits at a time: a state is summed up three times whenever it is saved. */
static uint32_t crc32(struct bytes in)
{
	static const uint32_t step[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < in.n; i++) {
		crc = crc >> 4 ^ step[(crc ^ in.p[i]) & 15];
		crc = crc >> 4 ^ step[(crc ^ in.p[i] >> 4) & 15];
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

	for (size_t i = 0; i < state_layout.n; i++) {
		const struct slot *slot = &state_layout.slots[i];
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
	for (size_t i = 0; ok && i < state_layout.n && in->p < in->end; i++) {
		const struct slot *slot = &state_layout.slots[i];
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
