/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/flood.h"

#include <assert.h>
#include <stdatomic.h>

#include "proto/bucket.h"
#include "proto/crypto.h"
#include "server/base/mem.h"

#define CELLS      65536u
#define PREFIX_MAX 16u
#define MINUTE_US  60000000u

/*
 * The generic cell rate algorithm: a cell is the time (us) until which what was taken is paid for.
 * It may run ahead of the clock by a minute.
 */
typedef atomic_uint_fast64_t cell;

struct flood {
	cell each_us, each_prefix_us; /* what one costs; 0: nothing */
	uint8_t salt[PREFIX_MAX];     /* so that nobody can aim at another's cell */
	cell all;
	cell of[CELLS];
};

static uint64_t cost(uint32_t per_minute)
{
	return per_minute == 0 ? 0 : per_minute >= MINUTE_US ? 1 : MINUTE_US / per_minute;
}

void flood_rates(struct flood *f, uint32_t per_minute, uint32_t per_prefix_minute)
{
	atomic_store(&f->each_us, cost(per_minute));
	atomic_store(&f->each_prefix_us, cost(per_prefix_minute));
}

struct flood *flood_new(uint32_t per_minute, uint32_t per_prefix_minute)
{
	struct flood *f = mem_zalloc(sizeof(*f));

	flood_rates(f, per_minute, per_prefix_minute);
	if (crypto_random(f->salt, sizeof(f->salt)) != 0)
		memset(f->salt, 0, sizeof(f->salt)); /* aiming becomes possible, nothing worse */
	return f;
}

void flood_free(struct flood *f)
{
	free(f);
}

static cell *cell_of(struct flood *f, struct bytes network)
{
	uint8_t salted[2 * PREFIX_MAX];

	assert(network.n <= PREFIX_MAX);
	memcpy(salted, f->salt, PREFIX_MAX);
	memcpy(salted + PREFIX_MAX, network.p, network.n);
	return &f->of[hash64(salted, PREFIX_MAX + network.n) % CELLS];
}

static bool take(cell *c, uint64_t each_us, uint64_t now_us)
{
	uint64_t paid = atomic_load(c), next;

	do {
		next = (paid > now_us ? paid : now_us) + each_us;
		if (next > now_us + MINUTE_US)
			return false;
	} while (!atomic_compare_exchange_weak(c, &paid, next));
	return true;
}

bool flood_take(struct flood *f, uint64_t mono_ms)
{
	return take(&f->all, atomic_load(&f->each_us), mono_ms * 1000);
}

bool flood_take_from(struct flood *f, struct bytes network, uint64_t mono_ms)
{
	return network.n == 0 ||
		take(cell_of(f, network), atomic_load(&f->each_prefix_us), mono_ms * 1000);
}

void flood_give_back(struct flood *f)
{
	atomic_fetch_sub(&f->all, atomic_load(&f->each_us));
}

void flood_give_back_from(struct flood *f, struct bytes network)
{
	if (network.n > 0)
		atomic_fetch_sub(cell_of(f, network), atomic_load(&f->each_prefix_us));
}
