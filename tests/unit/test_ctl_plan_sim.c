/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan does with good and bad builds: large fleets tell them apart, small ones do not. */
#include "unit.h"

#include <string.h>

#include "server/ctl/plan_sim.h"
#include "server/ctl/planfile.h"

static void simulate(struct plan_sim *s, const char *path, uint32_t fleet)
{
	char error[YAML_ERROR_MAX];
	struct planfile *p;

	if (planfile_load(path, &p, error) != 0)
		fail_msg("%s", error);
	*s = (struct plan_sim){ .spec = planfile_spec(p), .fleet = fleet, .runs = 8, .crash = .01 };
	plan_sim_run(s);
	for (unsigned b = 0; b < PLAN_BUILD__COUNT; b++)
		assert_true(s->of[b].halted + s->of[b].paused + s->of[b].asked <= s->runs);
	s->spec = NULL;
	planfile_free(p);
}

static void test_large(void **state)
{
	static struct plan_sim s, again;

	(void)state;
	simulate(&s, PLANS "/weekly.yaml", 1000000);
	assert_true(plan_sim_tells(&s));
	assert_int_equal(0, s.of[PLAN_BUILD_GOOD].halted);
	assert_true(s.of[PLAN_BUILD_GOOD].stage < 0 && s.of[PLAN_BUILD_GOOD].done_h > 5 * 24);
	assert_true(s.of[PLAN_BUILD_RATIO_5].halted + s.of[PLAN_BUILD_RATIO_5].paused == s.runs);
	assert_true(s.of[PLAN_BUILD_RATIO_5].stage >= 0 && s.of[PLAN_BUILD_RATIO_5].hurt > 0);
	/* Earlier, and fewer phones, the worse it is. */
	assert_true(s.of[PLAN_BUILD_RATIO_5].stop_h < s.of[PLAN_BUILD_RATIO_15].stop_h);
	assert_true(s.of[PLAN_BUILD_BRICKS_5].hurt < s.of[PLAN_BUILD_BRICKS_1].hurt);
	/* Two threads, and the same numbers. */
	simulate(&again, PLANS "/weekly.yaml", 1000000);
	assert_memory_equal(s.of, again.of, sizeof(s.of));
}

static void test_small(void **state)
{
	static struct plan_sim s;

	(void)state;
	simulate(&s, PLANS "/small.yaml", 500);
	assert_false(plan_sim_tells(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
