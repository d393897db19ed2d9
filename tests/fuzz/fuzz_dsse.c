/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes of an attacker who has none of the keys, but everything that was ever signed. */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world *w = world();
	struct bytes in = bytes_of(data, n), merged, payload = bytes_of(NULL, 0);
	struct signers who = { 0 };
	int err;

	w->arena.used = 0;
	err = envelope_verify(crypto_openssl(), in, ENVELOPE_TARGETS, &w->root, &w->role, &w->arena,
		&payload, &who);
	assert(err == 0 || payload.p == NULL);
	if (err != 0)
		return 0;
	assert(bytes_eq(payload, bytes_str(WORLD_PAYLOAD)));
	assert(who.n >= 2 && who.n <= 3 && who.key[0] < who.key[1] && who.key[who.n - 1] < 3);
	/* With itself it is itself. */
	err = envelope_merge(in, in, &w->arena, &merged);
	assert(err == 0);
	err = envelope_verify(crypto_openssl(), merged, ENVELOPE_TARGETS, &w->root, &w->role,
		&w->arena, &payload, NULL);
	assert(err == 0);
	return 0;
}
