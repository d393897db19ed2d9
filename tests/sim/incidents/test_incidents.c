/* SPDX-License-Identifier: Apache-2.0 */
/* Each incident ends as its row says. */
#include "unit.h"

#include "server/ctl/planfile.h"
#include "tests/sim/incidents/incidents.h"

#define RUNS 5u

static struct planfile *read_plan(const char *path)
{
	char error[YAML_ERROR_MAX];
	struct planfile *p;

	if (planfile_load(path, &p, error) != 0)
		fail_msg("%s", error);
	return p;
}

static void test_verdicts(void **state)
{
	struct planfile *weekly = read_plan(PLANS "/weekly.yaml");
	struct planfile *stable = read_plan(PLANS "/stable.yaml");

	(void)state;
	for (unsigned i = 0; i < INCIDENT__COUNT; i++) {
		unsigned stopped = 0;
		for (uint64_t seed = 1; seed <= RUNS; seed++)
			stopped += incident_run((enum incident)i, planfile_spec(weekly),
				planfile_spec(stable), seed)
					   .stopped;
		if ((stopped > RUNS / 2) != incident_should_stop((enum incident)i))
			fail_msg("%s: stopped in %u of %u: %s", incident_name((enum incident)i),
				stopped, RUNS, incident_story((enum incident)i));
	}
	planfile_free(weekly);
	planfile_free(stable);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_verdicts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
