/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the operator's that says whether a device may enrol: `enrol: {mode: hook}`.
 *
 * It is started once and kept.  It reads one JSON object a line and answers each with a line, "yes"
 * or "no", in time and in order.  Whatever else it does is a no, and it is ended and started again,
 * not at once.  It runs with standard input, output and error and no other descriptor.  One thread
 * talks to it, so that nobody else ever waits for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "server/base/buf.h"
#include "server/config/config.h"

#define DOORMAN_QUEUE_MAX 256u

struct question {
	struct question *next;
	void *asker;
	struct buf line; /* with its newline; the asker's */
	bool yes;
	/* On the doorman's thread; must be quick.  Owns the question again. */
	void (*answered)(struct question *q);
};

struct doorman_options {
	const char *program; /* copied */
	uint32_t answer_ms;  /* for one answer */
	uint32_t restart_ms; /* from one start to the next, at least */
};

struct doorman;

/* Starts thread and program; -errno when the program cannot be run. */
WARN_UNUSED int doorman_new(const struct doorman_options *options, struct doorman **out);
/*
 * As the configuration has it; NULL in `out` when it asks for none.  `error` (at least 256 bytes) gets
 * the line for a person.
 */
WARN_UNUSED int doorman_hire(const struct config_enrol *config, struct doorman **out, char *error);
/* Any thread.  ERR_BUSY, and the question is still the caller's, when too many wait. */
WARN_UNUSED int doorman_ask(struct doorman *d, struct question *q);
/* Answers those who wait, then ends the program; nobody may ask any more.  NULL is fine. */
void doorman_retire(struct doorman *d);
/* Whoever still waits gets a no; then ends both.  NULL is fine. */
void doorman_free(struct doorman *d);
