/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one write transaction.  Jobs from any thread are gathered and committed together; each is
 * told when it is durable, or why it is not.
 *
 * A job's run() sees the transaction and the stages, and must not fail half-way: it checks first
 * and writes then.  If the commit fails nothing has happened and every job of it has the error.  A
 * damaged record fails only who asked for it: devices' jobs are then run again one by one, so run()
 * of such a job begins with nothing of an earlier one.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "server/service/registry.h"
#include "server/service/stages.h"
#include "server/store/store.h"

#define WRITER_QUEUE_MAX 65536u

struct writer;

struct job {
	struct job *next;
	uint64_t now_ms; /* when it was asked for */
	int err;         /* set by run(), or by the commit */
	void (*run)(struct job *job, struct writer *w);
	/* After the commit, on the writer's thread; must be quick.  Owns the job again. */
	void (*done)(struct job *job);
};

struct writer {
	struct store *store;
	struct fleet *fleet;
	struct registry *registry;
	struct stages stages;
	struct store_txn txn;        /* of the jobs being run */
	_Atomic(struct job *) queue; /* newest first */
	_Atomic uint32_t queued;
	_Atomic bool failing; /* the last commit that wrote something failed */
	_Atomic bool stopping;
	int wake; /* eventfd */
	bool threaded;
	pthread_t thread;
};

WARN_UNUSED int writer_open(
	struct writer *w, struct store *store, struct fleet *fleet, struct registry *registry);
void writer_close(struct writer *w);
/* From here on a thread runs the jobs; before, and in tests, writer_drain() does. */
WARN_UNUSED int writer_start(struct writer *w);
/* Commits what is queued and ends the thread. */
void writer_stop(struct writer *w);

/* Of a device.  ERR_BUSY, and the job is still the caller's, when too much is waiting. */
WARN_UNUSED int writer_submit(struct writer *w, struct job *job);
/*
 * Of control: goes in however much is waiting.  Waits; job->done may be NULL.  Returns job->err.  Not
 * from the writer's own thread.
 */
WARN_UNUSED int writer_call(struct writer *w, struct job *job);
/* Runs all queued jobs in one transaction, on the caller's thread; false when there were none. */
bool writer_drain(struct writer *w);
