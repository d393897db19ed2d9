/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that is told that the log has failed may be in the store all the same: memory ran out
 * when what was committed was to be read.  Each of its reads fails once.
 */
#include "unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>

#include "deployment.h"

#define HOUR  3600000ull
#define READS 100u /* more than any command begins */

static unsigned reads_left = UINT_MAX; /* that work */

/* In the library's place. */
int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn)
{
	union {
		void *symbol;
		int (*call)(MDB_env *, MDB_txn *, unsigned int, MDB_txn **);
	} real = { dlsym(RTLD_NEXT, "mdb_txn_begin") };

	if ((flags & MDB_RDONLY) != 0 && reads_left != UINT_MAX && reads_left-- == 0)
		return ENOMEM;
	return real.call(env, parent, flags, txn);
}

/* What was told is what is so, or what comes to be so by itself; false: no read failed. */
static bool approve_without(struct deployment *d, unsigned k, unsigned *unlogged)
{
	static const char *const phone_a[] = { "phone-a" };
	static const struct plan_stage ladder[] = { { RING_CORE, 1000000, 0 } };
	const struct deployment_options o = { .profile = "solo" };
	struct test_plan p;
	bool reached;
	int err;

	deployment_open(d, &o);
	assert_int_equal(0, deployment_publish(d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(
		0, deployment_propose(d, "1.0", phone_a, 1, plan_of(&p, ladder, 1, HOUR, 0)));
	reads_left = k;
	err = deployment_approve(d, "1.0", 0);
	reached = reads_left == UINT_MAX; /* it went below 0 */
	reads_left = UINT_MAX;
	deployment_tick(d, 1000);
	if (err != 0 && deployment_rollout(d, "1.0")->state == ROLLOUT_APPROVED)
		(*unlogged)++;
	else if (err != 0)
		assert_int_equal(0, deployment_approve(d, "1.0", 0));
	assert_int_equal(0, deployment_act(d, "1.0", PB__ACT__ACT_START));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(d, "1.0")->state);
	deployment_close(d);
	return reached;
}

static void an_approval_is_shown_to_the_signer(void **state)
{
	struct deployment d;
	unsigned unlogged = 0, k = 0;

	(void)state;
	while (approve_without(&d, k, &unlogged))
		assert_true(++k < READS);
	assert_true(unlogged > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_approval_is_shown_to_the_signer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
