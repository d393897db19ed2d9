/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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

bool writer_drain(struct writer *w)
{
	struct job *list = take(w);
	int err;

	if (list == NULL)
		return false;
	store_begin(w->store, &w->txn, true);
	for (struct job *j = list; j != NULL; j = j->next)
		j->run(j, w);
	stages_save(&w->stages, &w->txn);
	err = store_commit(&w->txn);
	metric_add(err == 0 ? METRIC_COMMITS : METRIC_COMMITS_FAILED, 1);
	if (err != 0) {
		log_error("store: commit: %s", err_str(err));
		stages_reload(&w->stages, w->store);
	} else {
		stages_show(&w->stages);
	}
	while (list != NULL) {
		struct job *j = list;
		list = j->next;
		if (err != 0)
			j->err = err;
		j->done(j);
	}
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

int writer_submit(struct writer *w, struct job *job)
{
	struct job *head;

	if (atomic_fetch_add(&w->queued, 1) >= WRITER_QUEUE_MAX) {
		atomic_fetch_sub(&w->queued, 1);
		return ERR_BUSY;
	}
	job->err = 0;
	head = atomic_load(&w->queue);
	do
		job->next = head;
	while (!atomic_compare_exchange_weak(&w->queue, &head, job));
	/* Whoever finds it empty wakes the writer; the others' jobs go with that one. */
	if (head == NULL && w->threaded)
		wake(w);
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
	int err;

	job->err = 0;
	(void)sem_init(&c.finished, 0, 0);
	err = writer_submit(w, &c.job);
	if (err == 0 && !w->threaded)
		(void)writer_drain(w);
	while (err == 0 && sem_wait(&c.finished) != 0)
		assert(errno == EINTR);
	(void)sem_destroy(&c.finished);
	return err != 0 ? err : job->err;
}
