/* SPDX-License-Identifier: Apache-2.0 */
/* All states that a moment leaves open: each has an id, from which it is built again. */
#pragma once

#include "tests/crash/disk.h"

enum state_class {
	STATE_PREFIX, /* arg 0: all that was asked for; 1: all but what is under way */
	STATE_SUBSET, /* arg: which of what may be lost is there */
	STATE_SAMPLE, /* the same where there are too many: arg: a seed */
	STATE_TEAR,   /* what is under way is torn */
	STATE_RANDOM, /* all that may be lost is torn: arg: a seed */
	STATE_META,   /* the store's meta page torn within its sector */
	STATE__COUNT
};

struct state_id {
	uint32_t moment;
	enum state_class class;
	uint64_t arg;
};

/* How many of those that are not all tried. */
struct states_effort {
	unsigned samples; /* subsets, where there are more than 4096 */
	unsigned random;  /* STATE_RANDOM a moment */
	unsigned bytes;   /* STATE_META: at each so-manieth byte */
	bool masks;       /* every set of sectors of what is under way, up to 8 of them */
};

const char *state_class_str(enum state_class class);
/* "831.tear.10003"; false when it is none. */
void state_str(const struct state_id *id, char out[64]);
bool state_parse(const char *text, struct state_id *out);

/* With d at the id's moment; `pick` has room for d->n_open. */
void state_picks(const struct disk *d, const struct state_id *id, struct pick *pick);
/* Calls visit for each, always in the same order. */
void states_each(const struct disk *d, uint32_t moment, const struct states_effort *effort,
	void (*visit)(void *ctx, const struct state_id *id), void *ctx);
