/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/metrics/metrics.h"

int writer_open(
	struct writer *w, struct store *store, struct fleet *fleet, struct registry *registry)
{
	*w = (struct writer){
		.store = store, .fleet = fleet, .registry = registry, .stages.fleet = fleet
	};
	w->wake = eventfd(0, EFD_CLOEXEC);
	return w->wake < 0 ? -errno : 0;
}

void writer_close(struct writer *w)
{
	assert(!w->threaded);
	while (writer_drain(w))
		;
	stages_release(&w->stages);
	if (w->wake >= 0)
		(void)close(w->wake);
}

/* Everything queued, oldest first. */
static struct job *take(struct writer *w)
{
	struct job *newest = atomic_exchange(&w->queue, NULL), *list = NULL;
	uint32_t n = 0;

	while (newest != NULL) {
		struct job *next = newest->next;
		newest->next = list;
		list = newest;
		newest = next;
		n++;
	}
	atomic_fetch_sub(&w->queued, n);
	return list;
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Once when it begins and once when it is over, however many commits lie between. */
static void tell(struct writer *w, int err)
{
	bool failing = atomic_load(&w->failing);

	metric_add(err == 0 ? METRIC_COMMITS : METRIC_COMMITS_FAILED, 1);
	if (err == ERR_CORRUPT)
		return; /* of one record, which was named */
	if (err != 0 && !failing)
		log_error("store: nothing can be written: %s; reports and commands are refused "
			  "until it can",
			err_str(err));
	else if (err == 0 && failing && w->txn.wrote)
		log_info("store: it takes writes again");
	if (err != 0 || w->txn.wrote)
		atomic_store(&w->failing, err != 0);
}

/* One transaction; what has an error is told so by finish(). */
static int commit(struct writer *w, struct job *list)
{
	uint64_t start_us = now_us();
	int err;

	store_begin(w->store, &w->txn, true);
	if (w->txn.err == 0)
		w->txn.err = stages_refresh(&w->stages, w->store);
	for (struct job *j = list; j != NULL; j = j->next)
		j->run(j, w);
	stages_save(&w->stages, &w->txn);
	err = store_commit(&w->txn);
	metric_add(METRIC_COMMIT_US, now_us() - start_us);
	tell(w, err);
	if (err != 0)
		stages_reload(&w->stages, w->store);
	else
		stages_show(&w->stages);
	return err;
}

static void finish(struct job *list, int err)
{
	while (list != NULL) {
		struct job *j = list;
		list = j->next;
		if (err != 0)
			j->err = err;
		j->done(j);
	}
}

static void call_run(struct job *job, struct writer *w);

/* A damaged record is one device's: the others go on without it. */
static void commit_each(struct writer *w, struct job *list)
{
	while (list != NULL) {
		struct job *j = list;
		int err = ERR_CORRUPT;
		list = j->next;
		j->next = NULL;
		if (j->run != call_run) {
			j->err = 0;
			err = commit(w, j);
		}
		finish(j, err);
	}
}

bool writer_drain(struct writer *w)
{
	struct job *list = take(w);
	int err;

	if (list == NULL)
		return false;
	err = commit(w, list);
	if (err == ERR_CORRUPT && list->next != NULL)
		commit_each(w, list);
	else
		finish(list, err);
	return true;
}

static void *run(void *arg)
{
	struct writer *w = arg;
	uint64_t ignored;

	(void)pthread_setname_np(pthread_self(), "writer");
	while (!atomic_load(&w->stopping)) {
		while (writer_drain(w))
			;
		if (read(w->wake, &ignored, sizeof(ignored)) < 0 && errno != EINTR)
			abort(); /* an eventfd does not fail */
	}
	while (writer_drain(w))
		;
	return NULL;
}

static void wake(struct writer *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->wake, &one, sizeof(one));

	assert(n == sizeof(one));
}

int writer_start(struct writer *w)
{
	int err = pthread_create(&w->thread, NULL, run, w);

	w->threaded = err == 0;
	return -err;
}

void writer_stop(struct writer *w)
{
	if (!w->threaded)
		return;
	atomic_store(&w->stopping, true);
	wake(w);
	(void)pthread_join(w->thread, NULL);
	w->threaded = false;
}

static void push(struct writer *w, struct job *job)
{
	struct job *head = atomic_load(&w->queue);

	job->err = 0;
	do
		job->next = head;
	while (!atomic_compare_exchange_weak(&w->queue, &head, job));
	/* Whoever finds it empty wakes the writer; the others' jobs go with that one. */
	if (head == NULL && w->threaded)
		wake(w);
}

int writer_submit(struct writer *w, struct job *job)
{
	if (atomic_fetch_add(&w->queued, 1) >= WRITER_QUEUE_MAX) {
		atomic_fetch_sub(&w->queued, 1);
		metric_add(METRIC_WRITER_REFUSED, 1);
		return ERR_BUSY;
	}
	push(w, job);
	return 0;
}

/* A job somebody waits for. */
struct call {
	struct job job;
	struct job *inner;
	sem_t finished;
};

static void call_run(struct job *job, struct writer *w)
{
	struct call *c = (struct call *)job;

	c->inner->run(c->inner, w);
}

static void call_done(struct job *job)
{
	struct call *c = (struct call *)job;

	if (job->err != 0)
		c->inner->err = job->err;
	if (c->inner->done != NULL)
		c->inner->done(c->inner);
	(void)sem_post(&c->finished);
}

int writer_call(struct writer *w, struct job *job)
{
	struct call c = { .job = { .run = call_run, .done = call_done }, .inner = job };

	job->err = 0;
	(void)sem_init(&c.finished, 0, 0);
	(void)atomic_fetch_add(&w->queued, 1);
	push(w, &c.job);
	if (!w->threaded)
		(void)writer_drain(w);
	while (sem_wait(&c.finished) != 0)
		assert(errno == EINTR);
	(void)sem_destroy(&c.finished);
	return job->err;
}
