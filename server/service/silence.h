/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that do not come back.  Who entered a stage is looked at again at milestones: was it
 * heard of in the last few poll intervals?  Who said `installing` must say boot_ok in time.
 * Lists in memory, in order of time; what was judged is evidence.  The writer's thread.
 */
#pragma once

#include "server/service/fleet.h"
#include "server/store/stage.h"

/* After the first one, which is the plan's: bricks that show late. */
#define SILENCE_MILESTONES 4u /* the plan's, 1, 3 and 7 days */

struct silence_rules {
	uint64_t milestone_ms; /* the first, after entering */
	uint64_t window_ms;    /* not heard of for so long is silent */
	uint64_t s1_ms;
};

struct waiting_list {
	struct waiting {
		uint64_t at_ms;
		uint16_t product;
		uint8_t id[ID_LEN];
	} * list;
	size_t n, cap;
};

struct silence {
	struct silence_rules rules;
	uint64_t listening_ms; /* since when this process hears devices */
	/* Of the window, and of s1_ms, before now: devices could not be heard, or not as often. */
	uint64_t lost_ms, lost_s1_ms;
	struct waiting_list entered, installing;
	size_t next[SILENCE_MILESTONES]; /* of entered, to be judged */
	size_t next_s1;
};

struct stage;

/* A device entered, or said `installing`; times never go back. */
void silence_entered(
	struct silence *s, uint16_t product, const uint8_t id[ID_LEN], uint64_t now_ms);
void silence_installing(
	struct silence *s, uint16_t product, const uint8_t id[ID_LEN], uint64_t now_ms);
/* Judges those whose time has come, a bounded number of them. */
void silence_judge(struct stage *g, struct store_txn *t, const struct fleet *f, uint64_t now_ms);
/* Fills the lists from the store: after a start, or a commit that failed. */
void silence_load(struct stage *g, struct store_txn *t, const struct fleet *f);
void silence_release(struct silence *s);
