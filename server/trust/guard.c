/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/guard.h"

/* A burst covers every product's metadata signed anew; the rate, what then changes. */
static const struct {
	uint64_t per_s, burst;
} limits[GUARD__COUNT] = {
	[GUARD_METADATA] = { 50, 5000 },
	[GUARD_DEVICES] = { 100, 2000 },
};

void guard_init(struct guard *g, uint64_t boot_ms)
{
	*g = (struct guard){ .filled_ms = boot_ms };
	for (unsigned i = 0; i < GUARD__COUNT; i++)
		g->tokens[i] = limits[i].burst * 1000;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

bool guard_clock(const struct guard *g, uint64_t wall_ms, uint64_t boot_ms, uint64_t signed_ms)
{
	if (g->wall_ms == 0)
		return signed_ms == 0 ||
			(wall_ms + GUARD_JUMP_MS >= signed_ms &&
				wall_ms <= signed_ms + GUARD_GAP_MS);
	return distance(wall_ms, g->wall_ms + (boot_ms - g->boot_ms)) <= GUARD_JUMP_MS;
}

void guard_mark(struct guard *g, uint64_t wall_ms, uint64_t boot_ms)
{
	g->wall_ms = wall_ms;
	g->boot_ms = boot_ms;
}

bool guard_take(struct guard *g, const uint64_t n[GUARD__COUNT], uint64_t boot_ms)
{
	uint64_t passed_ms = boot_ms > g->filled_ms ? boot_ms - g->filled_ms : 0;

	g->filled_ms = boot_ms;
	for (unsigned i = 0; i < GUARD__COUNT; i++) {
		uint64_t most = limits[i].burst * 1000;
		uint64_t more = passed_ms > most ? most : passed_ms * limits[i].per_s;
		g->tokens[i] = g->tokens[i] + more > most ? most : g->tokens[i] + more;
	}
	for (unsigned i = 0; i < GUARD__COUNT; i++)
		if (n[i] > g->tokens[i] / 1000)
			return false;
	for (unsigned i = 0; i < GUARD__COUNT; i++)
		g->tokens[i] -= n[i] * 1000;
	return true;
}
