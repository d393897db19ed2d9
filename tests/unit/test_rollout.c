/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/admin.pb-c.h"
#include "server/core/rollout.h"

#define NO ROLLOUT__COUNT

/* clang-format off */
/* All of it, written once more: where each event leads from each state. */
static const enum rollout_state want[ROLLOUT__COUNT][ROLLOUT_EVENT__COUNT] = {
	/*             APPROVE           START            PROMOTE          PAUSE           RESUME           HALT            FINISH            SUPERSEDE           WITHDRAW */
	/* PROPOSED */   { ROLLOUT_APPROVED, NO,              NO,              NO,             NO,              ROLLOUT_HALTED, NO,               NO, ROLLOUT_SUPERSEDED },
	/* APPROVED */   { NO,               ROLLOUT_RUNNING, NO,              NO,             NO,              ROLLOUT_HALTED, NO,               NO, ROLLOUT_SUPERSEDED },
	/* RUNNING */    { NO,               NO,              ROLLOUT_RUNNING, ROLLOUT_PAUSED, NO,              ROLLOUT_HALTED, ROLLOUT_COMPLETE, ROLLOUT_SUPERSEDED, NO },
	/* PAUSED */     { NO,               NO,              NO,              NO,             ROLLOUT_RUNNING, ROLLOUT_HALTED, NO,               ROLLOUT_SUPERSEDED, NO },
	/* HALTED */     { NO,               NO,              NO,              NO,             ROLLOUT_RUNNING, NO,             NO,               NO, NO },
	/* COMPLETE */   { NO,               NO,              NO,              NO,             NO,              ROLLOUT_HALTED, NO,               NO, NO },
	/* SUPERSEDED */ { NO,               NO,              NO,              NO,             NO,              NO,             NO,               NO, NO },
};
/* clang-format on */

static void test_every_event_in_every_state(void **state)
{
	(void)state;
	for (unsigned s = 0; s < ROLLOUT__COUNT; s++) {
		for (unsigned e = 0; e < ROLLOUT_EVENT__COUNT; e++) {
			enum rollout_state now = (enum rollout_state)s;
			bool ok = rollout_next(&now, (enum rollout_event)e);
			bool may = want[s][e] != NO;
			if (ok != may || now != (may ? want[s][e] : s))
				fail_msg("%s, event %u: %s", rollout_str(s), e, rollout_str(now));
		}
	}
}

/* A halt is lifted by the approvers alone, however many other things happen. */
static void test_halt_is_latched(void **state)
{
	(void)state;
	for (unsigned e = 0; e < ROLLOUT_EVENT__COUNT; e++) {
		enum rollout_state now = ROLLOUT_HALTED;
		if (e != ROLLOUT_RESUME)
			assert_false(rollout_next(&now, (enum rollout_event)e));
	}
}

/* Everything but what is over already can be halted. */
static void test_halt_from_everywhere(void **state)
{
	(void)state;
	for (unsigned s = 0; s < ROLLOUT__COUNT; s++) {
		enum rollout_state now = (enum rollout_state)s;
		assert_int_equal(rollout_next(&now, ROLLOUT_HALT),
			s != ROLLOUT_HALTED && s != ROLLOUT_SUPERSEDED);
	}
}

/* Numbers travel in RolloutView.state. */
static void test_words(void **state)
{
	static const struct {
		enum rollout_state state;
		Pb__RolloutState wire;
		const char *word;
	} row[] = {
		{ ROLLOUT_PROPOSED, PB__ROLLOUT_STATE__ROLLOUT_PROPOSED, "proposed" },
		{ ROLLOUT_APPROVED, PB__ROLLOUT_STATE__ROLLOUT_APPROVED, "approved" },
		{ ROLLOUT_RUNNING, PB__ROLLOUT_STATE__ROLLOUT_RUNNING, "running" },
		{ ROLLOUT_PAUSED, PB__ROLLOUT_STATE__ROLLOUT_PAUSED, "paused" },
		{ ROLLOUT_HALTED, PB__ROLLOUT_STATE__ROLLOUT_HALTED, "halted" },
		{ ROLLOUT_COMPLETE, PB__ROLLOUT_STATE__ROLLOUT_COMPLETE, "complete" },
		{ ROLLOUT_SUPERSEDED, PB__ROLLOUT_STATE__ROLLOUT_SUPERSEDED, "superseded" },
	};

	(void)state;
	assert_int_equal(COUNT(row), ROLLOUT__COUNT);
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_int_equal((int)row[i].state, (int)row[i].wire);
		assert_string_equal(rollout_str(row[i].state), row[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_in_every_state),
		cmocka_unit_test(test_halt_is_latched),
		cmocka_unit_test(test_halt_from_everywhere),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
