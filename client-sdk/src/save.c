/* SPDX-License-Identifier: Apache-2.0 */
/* The state in its two slots. */
#include "client-sdk/src/private.h"

#include <errno.h>

#define CRC_AT 8u

struct state *state_begin(huidu_t *h)
{
	memcpy(&h->scratch->next, &h->state, sizeof(h->state));
	return &h->scratch->next;
}

/*
 * Packs the next state, reads that back and packs what was read: a device whose memory lost a bit
 * on the way does not overwrite its flash with it.
 */
static int pack(huidu_t *h, size_t *n)
{
	struct scratch *s = h->scratch;
	uint64_t generation = h->generation + 1;
	uint32_t crc;
	int err;

	*n = state_write(&s->next, generation, s->packed);
	crc = get_be32(s->packed + CRC_AT);
	err = state_read(&s->check, bytes_of(s->packed, *n), &generation);
	if (err == 0 &&
		(state_write(&s->check, generation, s->packed) != *n ||
			get_be32(s->packed + CRC_AT) != crc))
		err = ERR_CORRUPT;
	return err;
}

int state_commit(huidu_t *h)
{
	size_t n;
	int err;

	/* Unchanged, padding and all: flash wears. */
	if (memcmp(&h->scratch->next, &h->state, sizeof(h->state)) == 0)
		return 0;
	err = pack(h, &n);
	if (err == 0)
		err = h->platform.state_write(h->platform.ctx, h->slot, h->scratch->packed, n);
	/* Failed or torn, it is this slot's turn again. */
	if (err != 0)
		return err;
	memcpy(&h->state, &h->scratch->next, sizeof(h->state));
	h->generation++;
	h->slot = 1 - h->slot;
	return 0;
}

static int read_slot(huidu_t *h, unsigned slot, struct state *out, uint64_t *generation)
{
	size_t n = STATE_MAX;
	int err = h->platform.state_read(h->platform.ctx, slot, h->scratch->packed, &n);

	*generation = 0;
	if (err != 0)
		return err;
	if (n > STATE_MAX)
		return ERR_CORRUPT;
	return state_read(out, bytes_of(h->scratch->packed, n), generation);
}

static bool is_harmless(int err)
{
	return err == -ENOENT || err == ERR_CORRUPT;
}

int state_load(huidu_t *h)
{
	struct state *second = &h->scratch->next;
	uint64_t generation[2];
	int err0 = read_slot(h, 0, &h->state, &generation[0]);
	int err1 = read_slot(h, 1, second, &generation[1]);

	h->slot = err0 == 0;
	h->generation = generation[0];
	if (err1 == 0 && (err0 != 0 || generation[1] > generation[0])) {
		memcpy(&h->state, second, sizeof(h->state));
		h->slot = 0;
		h->generation = generation[1];
	}
	if (err0 == 0 || err1 == 0 || (err0 == -ENOENT && err1 == -ENOENT))
		return 0;
	/* To begin anew because the flash does not answer would lose what is on it. */
	if (!is_harmless(err0) || !is_harmless(err1))
		return is_harmless(err0) ? err1 : err0;
	(void)sdk_note(h, ERR_CORRUPT, "state: starting as new");
	return 0;
}
