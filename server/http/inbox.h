/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads want done on the thread of an event_base: a list without locks and
 * an eventfd that is written only when the list was empty.  Tasks run in the order they
 * were posted, before the base's other events of that turn.
 */
#pragma once

#include "server/http/loop.h"

struct inbox_task {
	struct inbox_task *next;
	void (*fn)(struct inbox_task *task); /* may free the task, or post it again */
};

struct inbox {
	_Atomic(struct inbox_task *) head; /* newest first */
	int fd;
	struct event wake;
};

/* Ends the process when there is no file descriptor left: nothing runs without it. */
void inbox_open(struct inbox *b, struct event_base *base);
/* Any thread.  The task is the inbox's until its fn is called. */
void inbox_post(struct inbox *b, struct inbox_task *task);
/* Runs what is there now; the base's own thread, or after that thread has ended. */
void inbox_run(struct inbox *b);
/* Tasks still there are not run. */
void inbox_close(struct inbox *b);
