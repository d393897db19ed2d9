/* SPDX-License-Identifier: Apache-2.0 */
/* What a run works out once: its times in looks, and what the build does to phones by age. */
#pragma once

#include "server/sim/book.h"

struct sim_setup;

struct timing {
	struct book_clock clock;
	struct book_effect effect;
	uint32_t most; /* looks: half a year */
};

void timing_init(struct timing *t, const struct sim_setup *setup);
void timing_release(struct timing *t);
