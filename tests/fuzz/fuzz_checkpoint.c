/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes.  The honest log signs trees of n entries whose root is n's low byte again and
 * again; whatever is read as the log's must be such a one.
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_hostile(struct world *w, struct bytes note)
{
	struct checkpoint c;
	int err = checkpoint_read(crypto_openssl(), note, &w->root, &w->arena, &c);

	assert(err == 0 || strcmp(err_name(err), "ERRNO") != 0);
	for (size_t i = 0; err == 0 && i < SHA256_LEN; i++)
		assert(c.root[i] == (uint8_t)c.size);
}

/* What was signed is read; with any one bit of it changed it is not. */
static void read_signed(struct world *w, struct bytes in)
{
	struct checkpoint c, back;
	struct bytes note;
	uint8_t copy[CHECKPOINT_MAX];
	size_t at;
	int err;

	c.size = get_be64(in.p) % 1000000000000000000u;
	memcpy(c.root, in.p + 8, SHA256_LEN);
	w->log.witness_threshold = 0;
	err = checkpoint_sign(WORLD_ORIGIN, &c, w->key[WORLD_LOG], &w->arena, &note);
	assert(err == 0);
	err = checkpoint_read(crypto_openssl(), note, &w->root, &w->arena, &back);
	assert(err == 0 && back.size == c.size && memcmp(back.root, c.root, SHA256_LEN) == 0);
	memcpy(copy, note.p, note.n);
	at = get_be16(in.p + 40) % note.n;
	copy[at] ^= (uint8_t)(1u << in.p[42] % 8);
	err = checkpoint_read(crypto_openssl(), bytes_of(copy, note.n), &w->root, &w->arena, &back);
	assert(err != 0);
	w->log.witness_threshold = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world *w = world();

	w->arena.used = 0;
	if (n == 44 && data[43] == 's')
		read_signed(w, bytes_of(data, n));
	else
		read_hostile(w, bytes_of(data, n));
	return 0;
}
