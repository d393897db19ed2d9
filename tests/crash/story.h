/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small life of a deployment, told step by step, each as often as need be: devices enrol, report,
 * install; people publish, roll out, halt, supersede; time passes.  What was acknowledged is noted
 * where it outlives the process, and compared with what the store says afterwards.
 */
#pragma once

#include "tests/lib/deployment.h"

#define STORY_PHONES 5
#define STORY_HALTED "2.0"
#define STORY_KINDS  3 /* of metadata with a version: timestamp, snapshot, director */

struct story_notes {
	struct test_device phone[STORY_PHONES];           /* their keys are gone with the process */
	uint32_t enrolled;                                /* a bit each */
	uint32_t sent[STORY_PHONES], taken[STORY_PHONES]; /* highest event number */
	bool installed[STORY_PHONES];                     /* acknowledged: 1.0 */
	bool halted;                                      /* acknowledged */
	uint64_t log_size;                                /* when the last command was */
	uint8_t log_root[SHA256_LEN];
	uint64_t served[STORY_KINDS];
	uint64_t now_ms;
	uint32_t steps, refused,
		unpaid;  /* told, refused, done though it was said that they are not */
	char wrong[512]; /* the first thing that should not be; empty: nothing */
};

struct story;

struct story {
	struct deployment *d;
	struct story_notes *notes;
	bool patient; /* what is refused once is refused for now; else the next try must succeed */
	bool starves; /* of memory: a poll may be refused */
	bool must_be_signed; /* directors are as the state is */
	bool offered;        /* the last poll's director has the build that was halted */
	/* What must be taken by the third try is not, until a restart, and that is as it must be. */
	bool (*is_over)(void);
	/* The server would have ended by now: the story ends here. */
	bool (*has_ended)(const struct story *s);
};

void story_options(struct deployment_options *o);
/* Tells all of it; what was told before is not told again. */
void story_tell(struct story *s);
/* Everything noted is there; for a deployment that runs. */
void story_check(struct story *s);
/* One more build reaches phones: "8.0", and then "9.0". */
void story_go_on(struct story *s, const char *release);
/* Notes it if it is the first. */
void story_wrong(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
