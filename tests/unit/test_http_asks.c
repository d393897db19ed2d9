/* SPDX-License-Identifier: Apache-2.0 */
/* What is left with control: bounded, and nobody is forgotten when it ends. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/http/asks.h"

#define TIMES_MAX 4096u
#define THREADS   4u
#define EACH      2000u

static _Atomic unsigned answered[ASK__COUNT], busy;

static void done(struct ask *ask)
{
	atomic_fetch_add(&answered[ask->kind], 1);
	busy += ask->err == ERR_BUSY;
	free(ask);
}

/* True when it was taken. */
static bool post(struct asks *a, enum ask_kind kind)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int err;

	assert_non_null(ask);
	ask->kind = kind;
	ask->done = done;
	err = asks_post(a, ask);
	if (err != 0) {
		assert_int_equal(ERR_BUSY, err);
		free(ask);
	}
	return err == 0;
}

static void clear(void)
{
	for (unsigned k = 0; k < ASK__COUNT; k++)
		atomic_store(&answered[k], 0);
	atomic_store(&busy, 0);
}

static void it_is_bounded(void **state)
{
	static const struct {
		enum ask_kind kind;
		unsigned most;
	} cases[] = { { ASK_TIME, TIMES_MAX }, { ASK_GRANT, GRANTS_MAX } };
	struct event_base *base = loop_new();
	struct asks *a = asks_new(NULL);

	(void)state;
	clear();
	assert_false(post(a, ASK_TIME)); /* not begun */
	asks_begin(a, base);
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned n = 0; n < cases[i].most; n++)
			assert_true(post(a, cases[i].kind));
		assert_false(post(a, cases[i].kind));
	}
	/* All of them are answered, as they could not be. */
	asks_end(a);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(cases[i].most, atomic_load(&answered[cases[i].kind]));
	assert_int_equal(TIMES_MAX + GRANTS_MAX, atomic_load(&busy));
	assert_false(post(a, ASK_GRANT));
	asks_end(a); /* once is enough */
	asks_close(a);
	asks_free(a);
	event_base_free(base);
}

struct poster {
	struct asks *asks;
	_Atomic unsigned *begun;
	unsigned taken;
};

static void *keep_posting(void *arg)
{
	struct poster *p = arg;

	atomic_fetch_add(p->begun, 1);
	for (unsigned i = 0; i < EACH; i++)
		p->taken += post(p->asks, i % 2 == 0 ? ASK_TIME : ASK_GRANT);
	return NULL;
}

/* It ends while workers post: who was taken is answered, once. */
static void it_ends_under_load(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct event_base *base = loop_new();
		struct asks *a = asks_new(NULL);
		struct poster poster[THREADS];
		pthread_t thread[THREADS];
		_Atomic unsigned begun = 0;
		unsigned taken = 0;
		clear();
		asks_begin(a, base);
		for (unsigned i = 0; i < THREADS; i++) {
			poster[i] = (struct poster){ a, &begun, 0 };
			assert_int_equal(
				0, pthread_create(&thread[i], NULL, keep_posting, &poster[i]));
		}
		while (atomic_load(&begun) == 0)
			;
		asks_end(a);
		for (unsigned i = 0; i < THREADS; i++) {
			assert_int_equal(0, pthread_join(thread[i], NULL));
			taken += poster[i].taken;
		}
		assert_int_equal(taken,
			atomic_load(&answered[ASK_TIME]) + atomic_load(&answered[ASK_GRANT]));
		asks_close(a);
		asks_free(a);
		event_base_free(base);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_bounded),
		cmocka_unit_test(it_ends_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
