/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/admit.h"

#include <assert.h>

#include "proto/bucket.h"

struct admit admit_next(const struct admit_facts *f)
{
	uint32_t window = f->boot_ok > ADMIT_WINDOW ? f->boot_ok : ADMIT_WINDOW;
	uint32_t young = f->heard > ADMIT_YOUNG / 4 ? 4 * f->heard : ADMIT_YOUNG;
	struct admit a = { f->boot_ok + window, f->admit_ppm };
	uint64_t share;

	assert(f->expected > 0);
	if (a.allowed > f->judged + young)
		a.allowed = f->judged + young;
	if (f->cap > 0 && a.allowed > f->cap)
		a.allowed = f->cap;
	if (a.allowed < f->granted)
		a.allowed = f->granted;
	/*
	 * Twice the share that would do, so that devices that sleep do not hold up the rest; those
	 * asked are drawn by hash, not by who polls first.
	 */
	share = (uint64_t)a.allowed * 2 * PPM / f->expected;
	if (f->idle && f->granted < a.allowed && share < (uint64_t)f->admit_ppm * 2)
		share = (uint64_t)f->admit_ppm * 2;
	if (share > PPM)
		share = PPM;
	if (share > a.admit_ppm)
		a.admit_ppm = (uint32_t)share;
	return a;
}
