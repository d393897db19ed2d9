/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One telling of the story with one fault in it, and what came of it.  Each is a process of its own, on
 * a copy of the same files, and so is what looks afterwards whether a start without the fault finds
 * all that was acknowledged.
 */
#pragma once

#include "tests/crash/faults.h"
#include "tests/crash/story.h"

/* When the fault is looked for: while the server starts, or while it serves. */
enum phase { PHASE_START, PHASE_SERVE, PHASES };

struct kind {
	const char *name;
	enum faults_class class;
	int kind;
	bool lasts;      /* from the n-th call on, until space is back */
	unsigned stride; /* of the short run */
};
/* One telling, and what came of it. */
struct trial {
	const struct kind *kind;
	enum phase phase;
	enum faults_role role;
	uint32_t n;
};

enum outcome { OUTCOME_WENT_ON, OUTCOME_REFUSED_START, OUTCOME_ENDED, OUTCOME_PANIC, OUTCOMES };

/* What the tellings share with the processes that they are. */
struct shared {
	struct story_notes notes;
	enum outcome outcome;
	uint32_t calls[FAULTS_ROLES][FAULTS_CLASSES]; /* of this phase */
};

/* Makes the deployment that all of them begin with, and removes it. */
void trial_set_up(void);
void trial_tear_down(void);
/* True when the fault was met.  `aloud`: what the processes say goes to stderr. */
bool trial_run(const struct trial *t, bool aloud);
/* Without a fault, to see how many calls there are; ends the program when anything is wrong. */
void trial_count(enum phase phase, uint32_t calls[FAULTS_ROLES][FAULTS_CLASSES]);
/* Of the last one. */
const struct shared *trial_notes(void);
