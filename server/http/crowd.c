/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/crowd.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bucket.h"
#include "proto/crypto.h"
#include "server/base/mem.h"

#define CELLS       65536u /* the first is no one's: no place is 0 */
#define SALT        16u
#define NETWORK_MAX 8u

typedef _Atomic uint32_t cell;

struct crowd {
	cell most;
	uint8_t salt[SALT]; /* so that nobody can aim at another's cells */
	cell of[2][CELLS];
};

struct crowd *crowd_new(void)
{
	struct crowd *c = mem_zalloc(sizeof(*c));

	if (crypto_random(c->salt, sizeof(c->salt)) != 0)
		memset(c->salt, 0, sizeof(c->salt)); /* aiming becomes possible, nothing worse */
	return c;
}

void crowd_free(struct crowd *c)
{
	free(c);
}

void crowd_limit(struct crowd *c, uint32_t most)
{
	atomic_store(&c->most, most);
}

static uint32_t place_of(const struct crowd *c, struct bytes network)
{
	uint8_t salted[SALT + NETWORK_MAX];
	uint64_t hash;

	assert(network.n <= NETWORK_MAX);
	memcpy(salted, c->salt, SALT);
	memcpy(salted + SALT, network.p, network.n);
	hash = hash64(salted, SALT + network.n);
	return (uint32_t)((hash & UINT32_MAX) % (CELLS - 1) + 1) |
		(uint32_t)((hash >> 32) % (CELLS - 1) + 1) << 16;
}

bool crowd_enter(struct crowd *c, struct bytes network, uint32_t *place)
{
	uint32_t most = atomic_load(&c->most), a, b;

	*place = 0;
	if (most == 0 || network.n == 0)
		return true;
	*place = place_of(c, network);
	a = atomic_fetch_add(&c->of[0][*place & 0xffff], 1);
	b = atomic_fetch_add(&c->of[1][*place >> 16], 1);
	if (a < most || b < most)
		return true;
	crowd_leave(c, *place);
	*place = 0;
	return false;
}

void crowd_leave(struct crowd *c, uint32_t place)
{
	if (place == 0)
		return;
	atomic_fetch_sub(&c->of[0][place & 0xffff], 1);
	atomic_fetch_sub(&c->of[1][place >> 16], 1);
}
