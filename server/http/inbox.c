/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/inbox.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t ignored;

	(void)what;
	/* Before the list is taken: what is posted later writes again. */
	ssize_t n = read(fd, &ignored, sizeof(ignored));
	(void)n; /* EAGAIN when inbox_run was called in between */
	inbox_run(arg);
}

void inbox_open(struct inbox *b, struct event_base *base)
{
	atomic_init(&b->head, NULL);
	b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(b->fd >= 0);
	event_assign(&b->wake, base, b->fd, EV_READ | EV_PERSIST, on_wake, b);
	if (event_base_get_npriorities(base) == LOOP__COUNT)
		(void)event_priority_set(&b->wake, LOOP_INBOX); /* else as all others */
	loop_add(&b->wake, NULL);
}

void inbox_post(struct inbox *b, struct inbox_task *task)
{
	struct inbox_task *old = atomic_load_explicit(&b->head, memory_order_relaxed);
	uint64_t one = 1;

	do
		task->next = old;
	while (!atomic_compare_exchange_weak_explicit(
		&b->head, &old, task, memory_order_release, memory_order_relaxed));
	/* From here on the task may be gone. */
	if (old == NULL) {
		ssize_t n = write(b->fd, &one, sizeof(one));
		assert(n == sizeof(one)); /* the counter cannot be full */
	}
}

void inbox_run(struct inbox *b)
{
	struct inbox_task *newest = atomic_exchange_explicit(&b->head, NULL, memory_order_acquire);
	struct inbox_task *oldest = NULL, *next;

	for (; newest != NULL; newest = next) {
		next = newest->next;
		newest->next = oldest;
		oldest = newest;
	}
	for (; oldest != NULL; oldest = next) {
		next = oldest->next;
		oldest->fn(oldest);
	}
}

void inbox_close(struct inbox *b)
{
	loop_del(&b->wake);
	(void)close(b->fd); /* nothing was written that could be lost */
}
