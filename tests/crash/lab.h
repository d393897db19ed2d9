/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that try the states of a recorded run, and what they found. */
#pragma once

#include <time.h>

#include "tests/crash/start.h"
#include "tests/crash/states.h"

#define LAB_WORKERS  8u
#define LAB_FINDINGS 64u
#define LAB_REASONS  16u

struct finding {
	struct state_id id;
	struct verdict verdict;
	char step[32];
};

/* Shared by all workers. */
struct tally {
	_Atomic uint32_t next_moment;
	_Atomic uint64_t tried[STATE__COUNT], distinct, starts, looks, detected, violations;
	_Atomic uint32_t n_findings, lock;
	struct finding finding[LAB_FINDINGS];
	struct {
		char text[64];
		uint64_t n;
	} reason[LAB_REASONS];
	struct {
		struct state_id id; /* that it tries now */
		uint32_t moment, ordinal;
		bool busy;
	} worker[LAB_WORKERS];
	_Atomic uint64_t *seen, *started; /* sets of hashes */
	uint64_t seen_mask, started_mask;
};

struct lab {
	struct disk disk;
	struct states_effort effort;
	const char *base, *folder;
	enum disk_lie lie;
	unsigned workers;
	uint64_t stop_after; /* violations; 0: never */
	time_t until;        /* 0: to the end */
	struct {
		uint64_t digest;
		uint32_t moment;
	} * commit; /* what the store held after each of its commits */
	size_t n_commits;
	struct tally *tally;
};

void lab_open(struct lab *l, const char *folder, enum disk_lie lie);
void lab_run(struct lab *l);
/* One state alone: what is wrong with it. */
void lab_one(struct lab *l, const struct state_id *id, struct verdict *out);
void lab_close(struct lab *l);
