/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and contexts in YAML: what they mean, and where an error is. */
#include "unit.h"

#include <errno.h>

#include "proto/bucket.h"
#include "server/base/file.h"
#include "server/core/plan.h"
#include "server/ctl/context.h"
#include "server/ctl/planfile.h"
#include "server/ctl/plans.h"
#include "tmpdir.h"

#define FIRST "name: p\nrings:\n"
#define STAGE "  - {ring: dev, share: 1 %, soak: 1d, max_soak: 3d, tolerance: 2.0}\n"
/* 24 h + 2 h + 24 h before stable is open; 8 h more after. */
#define LADDER                                                                                     \
	FIRST "  - {ring: dev, share: 1 %, soak: 1d, max_soak: 3d, tolerance: 2.0}\n"              \
	      "  - {ring: dev, share: 100 %, soak: 2h, max_soak: 3d, tolerance: none}\n"           \
	      "  - {ring: stable, share: 10 %, soak: 1d, max_soak: 3d, tolerance: 1.25}\n"         \
	      "  - {ring: stable, share: 100 %, soak: 8h, max_soak: 3d, tolerance: none}\n"        \
	      "settle: 6h\n"
#define REST "soak: 1d, max_soak: 3d, tolerance: none}\n"

static const char *write_file(const char *name, const char *text)
{
	const char *path = tmpdir_path(name);

	assert_int_equal(file_replace(path, bytes_str(text), 0600), 0);
	return path;
}

static const struct {
	const char *text, *want; /* after the file's name */
} bad[] = {
	{ "", ":1: the file is empty" },
	{ "name: p\n", ":1: rings: is missing" },
	{ "name: p\nrings: []\n", ":1: rings: is empty: a plan needs one stage at least" },
	{ FIRST "  - {ring: dev, share: 1 %, soak: 1d, max_soak: 3d}\n",
		":3: rings[1].tolerance: is missing" },
	{ FIRST STAGE "  - {ring: moon, share: 2 %, " REST,
		":4: rings[2].ring: 'moon' is none of the words known here" },
	{ FIRST STAGE "  - {ring: dev, share: 1 %, " REST,
		":4: rings[2].share: opens nothing: the stage before it is as wide, or wider" },
	{ FIRST STAGE "  - {ring: core, share: 1 %, " REST,
		":4: rings[2].ring: goes back to an inner ring: the order is core, honour, dev, "
		"stable" },
	{ FIRST "  - {ring: dev, " REST,
		":3: share: one of share, share_ppm, or devices, is needed" },
	{ FIRST "  - {ring: dev, share: 1 %, share_ppm: 10000, " REST,
		":3: share: one of share, share_ppm, or devices, is needed" },
	{ FIRST "  - {ring: dev, devices: 0, " REST,
		":3: rings[1].devices: is 0: leave it out to offer to the whole share" },
	{ FIRST "  - {ring: dev, share: 101 %, " REST,
		":3: rings[1].share: is not above 0 and at most 100 %" },
	{ FIRST "  - {ring: dev, share: 100 %, soak: 1d, max_soak: 3d, tolerance: 2}\n",
		":3: rings[1].tolerance: needs a control, and this stage leaves one smaller than "
		"its canary: say tolerance: none" },
	{ FIRST "  - {ring: dev, share: 1 %, soak: 1d, max_soak: 3d, tolerance: 0}\n",
		":3: rings[1].tolerance: '0' is a ratio such as 1.5, or none" },
	{ FIRST "  - {ring: dev, share: 1 %, soak: 90, max_soak: 3d, tolerance: none}\n",
		":3: rings[1].soak: '90' is a duration such as 30s, 15m, 4h or 7d" },
	{ FIRST "  - {ring: dev, share: 1 %, soack: 1d, " REST,
		":3: rings[1].soack: unknown key; did you mean 'soak'?" },
	{ FIRST "  - {ring: dev, share: 1 %, limits: {boot: 0 %}, " REST,
		":3: rings[1].limits.boot: is not above 0 and at most 100 %" },
	{ FIRST STAGE "holdback: 60 %\n", ":1: holdback: is more than 50 %" },
	{ FIRST STAGE "holdback: 1 %\nholdback_ppm: 1\n",
		":1: holdback: stands here under two names" },
	{ FIRST STAGE "conditions: [battery]\n",
		":1: conditions: are not supported yet: leave the list empty" },
	{ FIRST STAGE "restart: 0s\n",
		":1: restart: is shorter than a batch: evidence is looked at batch by batch" },
	{ FIRST STAGE "restart: 181d\n",
		":1: settle: settle, watch, batch or restart is longer than 180 days, the life of a "
		"plan" },
	{ FIRST STAGE "watch: 0s\n",
		":1: watch: is 0, and would open the holdback at once: say holdback: 0 % as well" },
	{ FIRST STAGE "silence: {s1: 0s}\n", ":1: silence.s1: is 0: a device needs time to boot" },
	{ FIRST STAGE "silence: {after: 0s}\n",
		":1: silence.after: is 0: a device that installs is not heard of meanwhile" },
	{ FIRST STAGE "silence: {polls: 0}\n",
		":1: silence.polls: is not 1 to 100: so many polls a device may miss" },
	{ FIRST STAGE "silence: {poll: 3}\n",
		":4: silence.poll: unknown key; did you mean 'polls'?" },
	{ FIRST STAGE "crash_reports: no\n",
		":4: crash_reports: 'no' is none of the words known here" },
	{ FIRST STAGE "crash_reports: none\n",
		":3: rings[1].tolerance: compares crashes, and there is crash_reports: none: say "
		"tolerance: none" },
	{ FIRST "  - {ring: dev, share: 1 %, soak: 0s, max_soak: 3d, tolerance: none}\n",
		":3: rings[1].soak: is 0: crashes and silence take time to show" },
	{ FIRST STAGE "settle: 3d\n",
		":3: rings[1].tolerance: counts devices once they have settled, which takes as long "
		"as max_soak: make settle shorter" },
	{ LADDER "deadline: {share: 95 %}\n", ":8: deadline: needs both share and within" },
	{ LADDER "deadline: {within: 3d}\n", ":8: deadline: needs both share and within" },
	{ LADDER "deadline: {share: 95 %, within: 3d, trades: tolerance}\n",
		":8: deadline.trades: 'tolerance' is none of the words known here" },
	{ LADDER "deadline: {share: 99.5 %, within: 3d, trades: soak}\n",
		":8: deadline.share: no stage opens so much of the outermost ring" },
	{ LADDER "deadline: {share: 0 %, within: 3d}\n",
		":8: deadline.share: no stage opens so much of the outermost ring" },
	{ LADDER "deadline: {share: 95 %, within: 48h}\n",
		":8: deadline.within: the soaks before it take 2d2h: make them shorter, or say "
		"trades: soak" },
	{ LADDER "deadline: {share: 95 %, within: 12h, trades: soak}\n",
		":8: deadline.within: the soaks before it take 2d2h, and none may become shorter "
		"than 1h or settle" },
	{ "name: grün\nrings:\n" STAGE,
		":1: name, line, fixes: hold something other than printable ASCII" },
};

static void test_bad_plans(void **state)
{
	char error[YAML_ERROR_MAX], want[YAML_ERROR_MAX];
	struct planfile *p;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *path = write_file("p.yaml", bad[i].text);
		assert_int_equal(planfile_load(path, &p, error), ERR_CONFIG);
		(void)snprintf(want, sizeof(want), "%s%s", path, bad[i].want);
		assert_string_equal(error, want);
	}
	assert_int_equal(planfile_load(tmpdir_path("none.yaml"), &p, error), -ENOENT);
}

static void test_good_plan(void **state)
{
	static const char text[] =
		"name: p\n"
		"line: tablets\n"
		"rings:\n"
		"  - {ring: core, share_ppm: 500000, soak: 1d, max_soak: 3d, tolerance: none}\n"
		"  - {ring: stable, devices: 10000, soak: 90s, max_soak: 3d, tolerance: 1.25,\n"
		"     limits: {boot: 0.5 %, s1: 50000}, budget: 30 %}\n"
		"settle: 1h\n"
		"batch: 5m\n"
		"fixes: [1.0, 1.1]\n";
	char error[YAML_ERROR_MAX] = "";
	const Pb__PlanSpec *spec;
	struct planfile *p;

	(void)state;
	if (planfile_load(write_file("p.yaml", text), &p, error) != 0)
		fail_msg("%s", error);
	spec = planfile_spec(p);
	assert_string_equal(spec->line, "tablets");
	assert_int_equal(spec->n_stages, 2);
	assert_int_equal(spec->stages[0]->share_ppm, 500000);
	assert_int_equal(spec->stages[0]->tolerance_ppm, 0);
	assert_int_equal(spec->stages[0]->boot_ppm, 10000);
	assert_int_equal(spec->stages[0]->s1_ppm, 60000);
	assert_false(spec->stages[0]->has_devices || spec->stages[0]->has_budget_ppm);
	/* Devices alone: of one hundredth of the ring. */
	assert_int_equal(spec->stages[1]->share_ppm, 10000);
	assert_int_equal(spec->stages[1]->devices, 10000);
	assert_int_equal(spec->stages[1]->soak_ms, 90000);
	assert_int_equal(spec->stages[1]->tolerance_ppm, 1250000);
	assert_int_equal(spec->stages[1]->boot_ppm, 5000);
	assert_int_equal(spec->stages[1]->s1_ppm, 50000);
	assert_int_equal(spec->stages[1]->budget_ppm, 300000);
	assert_int_equal(spec->settle_ms, 3600000);
	assert_int_equal(spec->watch_ms, 7 * 86400000u);
	assert_int_equal(spec->batch_ms, 300000);
	assert_int_equal(spec->holdback_ppm, 10000);
	assert_int_equal(spec->restart_ms, 86400000);
	assert_int_equal(spec->s1_ms, 6 * 3600000);
	assert_int_equal(spec->silence_ms, 2 * 3600000);
	assert_int_equal(spec->silence_polls, 3);
	assert_false(spec->has_no_crash_reports);
	assert_null(planfile_trade(p));
	assert_int_equal(spec->n_fixes, 2);
	assert_string_equal(spec->fixes[1], "1.1");
	planfile_free(p);
	planfile_free(NULL);
}

static void test_gate_keys(void **state)
{
	static const char text[] = FIRST "  - {ring: core, share: 50 %, " REST "restart: 12h\n"
					 "silence: {s1: 30m, after: 45m, polls: 5}\n"
					 "crash_reports: none\n";
	char error[YAML_ERROR_MAX] = "";
	const Pb__PlanSpec *spec;
	struct planfile *p;

	(void)state;
	if (planfile_load(write_file("p.yaml", text), &p, error) != 0)
		fail_msg("%s", error);
	spec = planfile_spec(p);
	assert_int_equal(spec->restart_ms, 12 * 3600000);
	assert_int_equal(spec->s1_ms, 30 * 60000);
	assert_int_equal(spec->silence_ms, 45 * 60000);
	assert_int_equal(spec->silence_polls, 5);
	assert_true(spec->has_no_crash_reports && spec->no_crash_reports);
	planfile_free(p);
}

#define HOUR 3600000ull

/* Soaks of LADDER are 24, 2, 24 and 8 hours, settle 6. */
static void test_deadline(void **state)
{
	static const struct {
		const char *why, *deadline;
		size_t stages;    /* before the share is open */
		uint64_t soak[4]; /* minutes */
	} row[] = {
		{ "it fits as it is", "{share: 95 %, within: 50h}", 3, { 1440, 120, 1440, 480 } },
		{ "an inner share comes earlier", "{share: 10 %, within: 26h}", 2,
			{ 1440, 120, 1440, 480 } },
		{ "shrunk alike; what is short stays short",
			"{share: 95 %, within: 26h, trades: soak}", 3, { 720, 120, 720, 480 } },
		{ "to the last hour", "{share: 95 %, within: 14h, trades: soak}", 3,
			{ 360, 120, 360, 480 } },
		{ "whole minutes", "{share: 10 %, within: 25h, trades: soak}", 2,
			{ 1380, 120, 1440, 480 } },
	};
	char text[1024], error[YAML_ERROR_MAX] = "";

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct planfile *p;
		const struct planfile_trade *t;
		(void)snprintf(text, sizeof(text), "%sdeadline: %s\n", LADDER, row[i].deadline);
		if (planfile_load(write_file("p.yaml", text), &p, error) != 0)
			fail_msg("%s: %s", row[i].why, error);
		t = planfile_trade(p);
		assert_non_null(t);
		assert_int_equal(t->stages, row[i].stages);
		for (size_t s = 0; s < 4; s++) {
			const Pb__StageSpec *got = planfile_spec(p)->stages[s];
			if (got->soak_ms != row[i].soak[s] * 60000)
				fail_msg("%s: stage %zu soaks %llu min", row[i].why, s,
					(unsigned long long)got->soak_ms / 60000);
		}
		assert_int_equal(t->soak_ms[0], 24 * HOUR);
		assert_int_equal(t->soak_ms[3], 8 * HOUR);
		/* Nothing else is touched. */
		assert_int_equal(planfile_spec(p)->stages[0]->tolerance_ppm, 2000000);
		assert_int_equal(planfile_spec(p)->stages[2]->max_soak_ms, 72 * HOUR);
		planfile_free(p);
	}
}

/* Budgets are spent; a stage that compares sees every hour of a day, but where the plan says why
 * not. */
static void check_built_in(const char *name, const struct planfile *p)
{
	const Pb__PlanSpec *spec = planfile_spec(p);
	uint64_t budget = 0, soak = 0;

	for (size_t i = 0; i < spec->n_stages; i++) {
		const Pb__StageSpec *s = spec->stages[i];
		budget += s->budget_ppm;
		soak += i < 4 ? s->soak_ms : 0; /* all of daily's, security's before the last */
		if (s->tolerance_ppm > 0 && strcmp(name, "daily.yaml") != 0 &&
			strcmp(name, "security.yaml") != 0)
			assert_true(s->soak_ms >= 24 * HOUR);
	}
	assert_int_equal(budget, PPM);
	if (strcmp(name, "daily.yaml") == 0)
		assert_int_equal(soak, 20 * HOUR);
	assert_true((strcmp(name, "security.yaml") == 0) == (planfile_trade(p) != NULL));
	if (planfile_trade(p) != NULL) {
		assert_true(soak <= 72 * HOUR && soak > 70 * HOUR);
		assert_int_equal(planfile_trade(p)->stages, 4);
	}
}

/* What init lays out must work as it is, and do what its name says. */
static void test_built_in_plans(void **state)
{
	char error[YAML_ERROR_MAX] = "";
	struct plan_step steps[LADDER_STEPS_MAX];
	size_t n, seen = 0;

	(void)state;
	for (const struct plan_text *t = plan_texts; t->name != NULL; t++, seen++) {
		struct planfile *p;
		if (planfile_load(write_file(t->name, t->text), &p, error) != 0)
			fail_msg("%s", error);
		check_built_in(t->name, p);
		plan_steps(planfile_spec(p), 0, steps, &n);
		assert_int_equal(
			strncmp(t->name, planfile_spec(p)->name, strlen(planfile_spec(p)->name)),
			0);
		for (size_t i = 0; i < n; i++) {
			if (strcmp(t->name, "daily.yaml") == 0)
				assert_true(steps[i].ring <= PB__RING__RING_HONOUR);
			if (strcmp(t->name, "weekly.yaml") == 0) {
				assert_true(steps[i].ring <= PB__RING__RING_DEV);
				assert_true(
					steps[i].stage < 0 || steps[i].not_before_s < 7 * 86400);
			}
		}
		if (strcmp(t->name, "daily.yaml") != 0 && strcmp(t->name, "weekly.yaml") != 0)
			assert_true(steps[n - 1].ring == PB__RING__RING_STABLE &&
				steps[n - 1].upper == PPM);
		planfile_free(p);
	}
	assert_int_equal(seen, 5);
}

static const struct {
	const char *text, *want;
} bad_context[] = {
	{ "admin: a\n", ":1: repository: is missing" },
	{ "repository: r\nrot: x\n", ":2: rot: unknown key; did you mean 'root'?" },
	{ "repository: r\nkeys:\n  relase: [a]\n",
		":3: keys.relase: unknown key; did you mean 'release'?" },
	{ "repository: r\nkeys:\n  release: a.pem\n", ":3: keys.release: is a list" },
	{ "repository: r\nrepository: s\n", ":2: repository: stands here twice" },
};

static void test_bad_contexts(void **state)
{
	char error[YAML_ERROR_MAX], want[YAML_ERROR_MAX];
	struct context c;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_context); i++) {
		const char *path = write_file("c.yaml", bad_context[i].text);
		assert_int_equal(context_load(path, &c, error), ERR_CONFIG);
		(void)snprintf(want, sizeof(want), "%s%s", path, bad_context[i].want);
		assert_string_equal(error, want);
	}
}

static void test_context(void **state)
{
	char error[YAML_ERROR_MAX] = "";
	struct context c = { 0 };

	(void)state;
	assert_int_equal(context_load(write_file("huiductl.yaml",
					      "repository: r\n"
					      "root: /etc/root.env\n"
					      "keys: {release: [k/a.pem, /b.pem]}\n"),
				 &c, error),
		0);
	assert_string_equal(c.repository, "r");
	assert_string_equal(c.admin, tmpdir_path("admin.sock"));
	assert_string_equal(c.root, "/etc/root.env");
	assert_int_equal(context_keys(&c, KEY_RELEASE)->n, 2);
	assert_string_equal(context_keys(&c, KEY_RELEASE)->path[0], tmpdir_path("k/a.pem"));
	assert_string_equal(context_keys(&c, KEY_RELEASE)->path[1], "/b.pem");
	assert_int_equal(context_keys(&c, KEY_APPROVER)->n, 0);
	context_release(&c);
	assert_null(c.file);
}

static void test_context_search(void **state)
{
	char *file, home[256];

	(void)state;
	assert_non_null(getcwd(home, sizeof(home)));
	assert_int_equal(mkdir(tmpdir_path("a"), 0700), 0);
	assert_int_equal(mkdir(tmpdir_path("a/b"), 0700), 0);
	assert_int_equal(chdir(tmpdir_path("a/b")), 0);
	assert_int_equal(unsetenv("HUIDU_CONTEXT"), 0);
	assert_null(context_find(NULL));
	(void)write_file("huiductl.yaml", "repository: r\n");
	file = context_find(NULL);
	assert_string_equal(file, tmpdir_path("huiductl.yaml"));
	free(file);
	assert_int_equal(setenv("HUIDU_CONTEXT", "elsewhere.yaml", 1), 0);
	file = context_find(NULL);
	assert_string_equal(file, "elsewhere.yaml");
	free(file);
	file = context_find("given.yaml");
	assert_string_equal(file, "given.yaml");
	free(file);
	assert_int_equal(unsetenv("HUIDU_CONTEXT"), 0);
	assert_int_equal(chdir(home), 0);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_bad_plans),
		IN_TMPDIR(test_good_plan),
		IN_TMPDIR(test_gate_keys),
		IN_TMPDIR(test_deadline),
		IN_TMPDIR(test_built_in_plans),
		IN_TMPDIR(test_bad_contexts),
		IN_TMPDIR(test_context),
		IN_TMPDIR(test_context_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
