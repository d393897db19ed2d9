/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which builds updaters may have that only read a list: they have no id, so no place in a share, and
 * say nothing of what became of them.  They are no canary and give no evidence; they get what the
 * ring's devices have all been offered, and have passed.
 */
#pragma once

#include "server/service/image.h"

struct feed_ask {
	enum ring ring;
	struct bytes runs; /* name of the build it runs; n 0: it does not say */
	uint64_t now_s;
};

/*
 * Newest first, newer than what it runs.  Nothing of a stage that is open, of a share, of a build that
 * was halted or paused, that is for some builds alone, or that phones would find to have expired.
 * Pure; any thread.
 */
size_t feed_choose(const struct image_product *p, const struct feed_ask *ask,
	const struct image_build *out[OFFERS_MAX]);
