/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/sim.h"

struct world_sim world_sim;

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t chance_next(struct chance *c)
{
	c->state += 0x9e3779b97f4a7c15ull;
	return mix(c->state);
}

uint64_t chance_below(struct chance *c, uint64_t n)
{
	return chance_next(c) % n;
}

uint64_t chance_within(struct chance *c, uint64_t from, uint64_t to)
{
	return from + chance_below(c, to - from + 1);
}

bool chance_hit(struct chance *c, unsigned ppm)
{
	return chance_below(c, 1000000) < ppm;
}

void chance_fill(struct chance *c, void *out, size_t n)
{
	for (uint8_t *p = out; n > 0;) {
		uint64_t x = chance_next(c);
		size_t k = n < sizeof(x) ? n : sizeof(x);
		memcpy(p, &x, k);
		p += k;
		n -= k;
	}
}

bool fault_hits(struct chance *c, enum fault f)
{
	bool hits = chance_hit(c, world_sim.rate[f]) && !world_sim.calm;

	world_sim.faults[f] += hits;
	return hits;
}

bool is_planted(enum defect d)
{
	return world_sim.planted == d;
}

/* ---- the trace ---- */

static void take(uint64_t x)
{
	world_sim.hash = mix(world_sim.hash ^ x) + 0x9e3779b97f4a7c15ull;
}

void trace_bytes(const void *p, size_t n)
{
	const uint8_t *at = p;
	uint64_t x;

	for (take(n); n >= sizeof(x); n -= sizeof(x), at += sizeof(x)) {
		memcpy(&x, at, sizeof(x));
		take(x);
	}
	x = 0;
	if (n > 0)
		memcpy(&x, at, n);
	take(x);
}

void trace(const char *what, uint64_t a, uint64_t b)
{
	take(world_sim.now_ms);
	trace_bytes(what, strlen(what));
	take(a);
	take(b);
	if (getenv("SIM_VERBOSE") != NULL)
		(void)fprintf(stderr, "%.4f %s %llu %llu\n",
			(double)(world_sim.now_ms - world_sim.start_ms) / (double)SIM_DAY_MS, what,
			(unsigned long long)a, (unsigned long long)b);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)printf("seed %llu, day %.3f: ", (unsigned long long)world_sim.seed,
		(double)(world_sim.now_ms - world_sim.start_ms) / (double)SIM_DAY_MS);
	(void)vprintf(format, args);
	(void)printf("\n");
	(void)fflush(stdout);
	va_end(args);
	_exit(1);
}
