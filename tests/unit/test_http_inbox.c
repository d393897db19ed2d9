/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/inbox.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "unit.h"

enum { POSTERS = 4, EACH = 20000 };

struct job {
	struct inbox_task task; /* first */
	unsigned poster, number;
};

static struct {
	struct event_base *base;
	struct inbox inbox;
	struct job job[POSTERS][EACH];
	unsigned done[POSTERS];
	unsigned total;
	bool in_order;
} t;

static void run(struct inbox_task *task)
{
	struct job *j = (struct job *)task;

	t.in_order = t.in_order && t.done[j->poster] == j->number;
	t.done[j->poster]++;
	if (++t.total == POSTERS * EACH)
		(void)event_base_loopbreak(t.base);
}

static void *post_all(void *arg)
{
	unsigned poster = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < EACH; i++) {
		struct job *j = &t.job[poster][i];
		*j = (struct job){ { .fn = run }, poster, i };
		inbox_post(&t.inbox, &j->task);
	}
	return NULL;
}

/* Every task runs once, those of one thread in their order. */
static void threads(void **state)
{
	pthread_t thread[POSTERS];

	(void)state;
	t.in_order = true;
	for (uintptr_t i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, post_all, (void *)i), 0);
	assert_int_equal(event_base_dispatch(t.base), 0);
	for (size_t i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(t.total, POSTERS * EACH);
	assert_true(t.in_order);
}

static struct inbox_task again;
static unsigned rounds;

static void post_again(struct inbox_task *task)
{
	if (++rounds < 3)
		inbox_post(&t.inbox, task);
	else
		(void)event_base_loopbreak(t.base);
}

/* A task may post itself. */
static void from_a_task(void **state)
{
	(void)state;
	again.fn = post_again;
	inbox_post(&t.inbox, &again);
	assert_int_equal(event_base_dispatch(t.base), 0);
	assert_int_equal(rounds, 3);
}

static bool order[2];

static void first(struct inbox_task *task)
{
	(void)task;
	order[0] = !order[1];
}

static void second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	order[1] = true;
	(void)event_base_loopbreak(t.base);
}

/* What was posted comes before other events of the same turn. */
static void before_others(void **state)
{
	static struct inbox_task task = { .fn = first };
	struct event other;

	(void)state;
	event_assign(&other, t.base, -1, EV_PERSIST, second, NULL);
	event_active(&other, EV_TIMEOUT, 1);
	inbox_post(&t.inbox, &task);
	assert_int_equal(event_base_dispatch(t.base), 0);
	assert_true(order[0] && order[1]);
	loop_del(&other);
}

static int open_inbox(void **state)
{
	(void)state;
	t.base = loop_new();
	inbox_open(&t.inbox, t.base);
	return 0;
}

static int close_inbox(void **state)
{
	(void)state;
	inbox_close(&t.inbox);
	event_base_free(t.base);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads),
		cmocka_unit_test(from_a_task),
		cmocka_unit_test(before_others),
	};

	return cmocka_run_group_tests(tests, open_inbox, close_inbox);
}
