/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/planfile.h"

#include <stdio.h>

#include "proto/wire.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/core/plan.h"
#include "server/ctl/deadline.h"

/* What a key that is not there reads as. */
#define ABSENT      UINT32_MAX
#define ABSENT_TEXT "4294967295"

/* Of a stage that only says how many devices. */
#define SHARE_OF_DEVICES 10000u
#define HOLDBACK_DEFAULT 10000u

struct limits {
	uint32_t boot, install, rollback, s1;
};
struct stage_yaml {
	uint32_t line, ring, share, share_ppm, devices, tolerance, budget;
	uint64_t soak_ms, max_soak_ms;
	struct limits limits;
};
struct silence_yaml {
	uint64_t s1_ms, after_ms;
	uint32_t polls;
};
struct deadline_yaml {
	uint32_t line, share, trades;
	uint64_t within_ms;
};
struct plan_yaml {
	char *name, *line;
	struct stage_yaml *rings;
	size_t n_rings;
	uint64_t settle_ms, watch_ms, batch_ms, restart_ms;
	uint32_t holdback, holdback_ppm, crash_reports;
	struct silence_yaml silence;
	struct deadline_yaml deadline;
	char **fixes, **conditions;
	size_t n_fixes, n_conditions;
};

struct planfile {
	struct plan_yaml yaml;
	Pb__PlanSpec spec;
	Pb__StageSpec *stages, **list;
	const char **fixes; /* of yaml */
	struct planfile_trade trade;
	uint64_t soak_ms[PLAN_STAGES_MAX]; /* as written */
};

static const char *const ring_words[] = { "core", "honour", "dev", "stable", NULL };

static const char *const report_words[] = { "yes", "none", NULL };
static const char *const trade_words[] = { "nothing", "soak", NULL };

#define L(member) offsetof(struct limits, member)
#define S(member) offsetof(struct stage_yaml, member)
#define I(member) offsetof(struct silence_yaml, member)
#define D(member) offsetof(struct deadline_yaml, member)
#define P(member) offsetof(struct plan_yaml, member)
#define SCHEMA(fields, type)                                                                       \
	{                                                                                          \
		fields, sizeof(fields) / sizeof((fields)[0]), sizeof(type)                         \
	}

/* clang-format off */
static const struct yaml_field limit_fields[] = {
	{ "boot", YAML_PPM, L(boot), 0, NULL, NULL, "1 %", 0, 0 },
	{ "install", YAML_PPM, L(install), 0, NULL, NULL, "1 %", 0, 0 },
	{ "rollback", YAML_PPM, L(rollback), 0, NULL, NULL, "1 %", 0, 0 },
	{ "s1", YAML_PPM, L(s1), 0, NULL, NULL, "6 %", 0, 0 },
};
static const struct yaml_schema limit_schema = SCHEMA(limit_fields, struct limits);
static const struct yaml_field stage_fields[] = {
	{ NULL, YAML_LINE, S(line), 0, NULL, NULL, NULL, 0, 0 },
	{ "ring", YAML_WORD, S(ring), 0, NULL, ring_words, NULL, 0, 0 },
	{ "share", YAML_PPM, S(share), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "share_ppm", YAML_PPM, S(share_ppm), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "devices", YAML_U32, S(devices), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "soak", YAML_DURATION, S(soak_ms), 0, NULL, NULL, NULL, 0, 0 },
	{ "max_soak", YAML_DURATION, S(max_soak_ms), 0, NULL, NULL, NULL, 0, 0 },
	{ "tolerance", YAML_RATIO, S(tolerance), 0, NULL, NULL, NULL, 0, 0 },
	{ "limits", YAML_MAP, S(limits), 0, &limit_schema, NULL, "", 0, 0 },
	{ "budget", YAML_PPM, S(budget), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
};
static const struct yaml_schema stage_schema = SCHEMA(stage_fields, struct stage_yaml);
static const struct yaml_field silence_fields[] = {
	{ "s1", YAML_DURATION, I(s1_ms), 0, NULL, NULL, "6h", 0, 0 },
	{ "after", YAML_DURATION, I(after_ms), 0, NULL, NULL, "2h", 0, 0 },
	{ "polls", YAML_U32, I(polls), 0, NULL, NULL, "3", 0, 0 },
};
static const struct yaml_schema silence_schema = SCHEMA(silence_fields, struct silence_yaml);
static const struct yaml_field deadline_fields[] = {
	{ NULL, YAML_LINE, D(line), 0, NULL, NULL, NULL, 0, 0 },
	{ "share", YAML_PPM, D(share), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "within", YAML_DURATION, D(within_ms), 0, NULL, NULL, "0s", 0, 0 },
	{ "trades", YAML_WORD, D(trades), 0, NULL, trade_words, "nothing", 0, 0 },
};
static const struct yaml_schema deadline_schema = SCHEMA(deadline_fields, struct deadline_yaml);
static const struct yaml_field plan_fields[] = {
	{ "name", YAML_STRING, P(name), 0, NULL, NULL, NULL, 0, 0 },
	{ "line", YAML_STRING, P(line), 0, NULL, NULL, "default", 0, 0 },
	{ "rings", YAML_LIST, P(rings), P(n_rings), &stage_schema, NULL, NULL, 0, 0 },
	{ "settle", YAML_DURATION, P(settle_ms), 0, NULL, NULL, "6h", 0, 0 },
	{ "watch", YAML_DURATION, P(watch_ms), 0, NULL, NULL, "7d", 0, 0 },
	{ "batch", YAML_DURATION, P(batch_ms), 0, NULL, NULL, "10m", 0, 0 },
	{ "restart", YAML_DURATION, P(restart_ms), 0, NULL, NULL, "1d", 0, 0 },
	{ "silence", YAML_MAP, P(silence), 0, &silence_schema, NULL, "", 0, 0 },
	{ "crash_reports", YAML_WORD, P(crash_reports), 0, NULL, report_words, "yes", 0, 0 },
	{ "deadline", YAML_MAP, P(deadline), 0, &deadline_schema, NULL, "", 0, 0 },
	{ "holdback", YAML_PPM, P(holdback), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "holdback_ppm", YAML_PPM, P(holdback_ppm), 0, NULL, NULL, ABSENT_TEXT, 0, 0 },
	{ "fixes", YAML_LIST, P(fixes), P(n_fixes), NULL, NULL, "", 0, 0 },
	{ "conditions", YAML_LIST, P(conditions), P(n_conditions), NULL, NULL, "", 0, 0 },
};
static const struct yaml_schema plan_schema = SCHEMA(plan_fields, struct plan_yaml);
/* clang-format on */

static int bad(char error[YAML_ERROR_MAX], const char *path, uint32_t line, const char *key,
	const char *why)
{
	(void)snprintf(error, YAML_ERROR_MAX, "%s:%u: %s: %s", path, line, key, why);
	return ERR_CONFIG;
}

static int bad_stage(char error[YAML_ERROR_MAX], const char *path, const struct plan_yaml *y,
	size_t i, const struct plan_error *e)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "rings[%zu].%s", i + 1, plan_fault_key(e->fault));
	return bad(error, path, y->rings[i].line, key, plan_fault_str(e->fault));
}

/* One key, or the other name of it. */
static bool either(uint32_t a, uint32_t b, uint32_t fallback, uint32_t *out)
{
	*out = a != ABSENT ? a : b != ABSENT ? b : fallback;
	return a == ABSENT || b == ABSENT;
}

static int fill_stage(const struct stage_yaml *y, Pb__StageSpec *s)
{
	uint32_t fallback = y->devices != ABSENT ? SHARE_OF_DEVICES : ABSENT;

	*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
	s->ring = (Pb__Ring)y->ring;
	s->has_devices = y->devices != ABSENT;
	s->devices = s->has_devices ? y->devices : 0;
	s->soak_ms = y->soak_ms;
	s->max_soak_ms = y->max_soak_ms;
	s->tolerance_ppm = y->tolerance;
	s->boot_ppm = y->limits.boot;
	s->install_ppm = y->limits.install;
	s->rollback_ppm = y->limits.rollback;
	s->s1_ppm = y->limits.s1;
	s->has_budget_ppm = y->budget != ABSENT;
	s->budget_ppm = s->has_budget_ppm ? y->budget : 0;
	return either(y->share, y->share_ppm, fallback, &s->share_ppm) && s->share_ppm != ABSENT
		? 0
		: ERR_CONFIG;
}

static int fill_stages(struct planfile *p, const char *path, char error[YAML_ERROR_MAX])
{
	const struct plan_yaml *y = &p->yaml;

	p->stages = mem_zalloc(y->n_rings * sizeof(*p->stages));
	p->list = mem_zalloc(y->n_rings * sizeof(*p->list));
	for (size_t i = 0; i < y->n_rings; i++) {
		p->list[i] = &p->stages[i];
		if (fill_stage(&y->rings[i], &p->stages[i]) != 0)
			return bad(error, path, y->rings[i].line, "share",
				"one of share, share_ppm, or devices, is needed");
	}
	p->spec.stages = p->list;
	p->spec.n_stages = y->n_rings;
	return 0;
}

static void fill_times(const struct plan_yaml *y, Pb__PlanSpec *spec)
{
	spec->settle_ms = y->settle_ms;
	spec->watch_ms = y->watch_ms;
	spec->batch_ms = y->batch_ms;
	spec->restart_ms = y->restart_ms;
	spec->s1_ms = y->silence.s1_ms;
	spec->silence_ms = y->silence.after_ms;
	spec->silence_polls = y->silence.polls;
	/* Absent where there are some, so that the plan is signed as before. */
	spec->has_no_crash_reports = spec->no_crash_reports = y->crash_reports != 0;
}

static int fill(struct planfile *p, const char *path, char error[YAML_ERROR_MAX])
{
	const struct plan_yaml *y = &p->yaml;
	Pb__PlanSpec *spec = &p->spec;
	int err;

	*spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	err = fill_stages(p, path, error);
	if (err != 0)
		return err;
	spec->name = y->name;
	spec->line = y->line;
	fill_times(y, spec);
	p->fixes = mem_zalloc(y->n_fixes * sizeof(*p->fixes));
	for (size_t i = 0; i < y->n_fixes; i++)
		p->fixes[i] = y->fixes[i];
	spec->fixes = p->fixes;
	spec->n_fixes = y->n_fixes;
	if (!either(y->holdback, y->holdback_ppm, HOLDBACK_DEFAULT, &spec->holdback_ppm))
		return bad(error, path, 1, "holdback", "stands here under two names");
	if (y->n_conditions > 0)
		return bad(error, path, 1, "conditions",
			"are not supported yet: leave the list empty");
	return 0;
}

static int check(const struct planfile *p, const char *path, char error[YAML_ERROR_MAX])
{
	size_t size = wire_size(&p->spec);
	uint8_t *packed = mem_alloc(size);
	struct plan_error e;
	int err = plan_check(&p->spec, &e);

	if (err != 0 && e.stage >= 0)
		err = bad_stage(error, path, &p->yaml, (size_t)e.stage, &e);
	else if (err != 0)
		err = bad(error, path, 1, plan_fault_key(e.fault), plan_fault_str(e.fault));
	/* The server lints what it is sent: better to hear it here. */
	else if (lint(&pb__plan_spec__descriptor, bytes_of(packed, wire_write(&p->spec, packed)),
			 &wire_admin) != 0)
		err = bad(error, path, 1, "name, line, fixes",
			"hold something other than printable ASCII");
	free(packed);
	return err;
}

static int bad_deadline(char error[YAML_ERROR_MAX], const char *path, const struct plan_yaml *y,
	const struct deadline_result *r)
{
	char why[160];

	if (r->fault == DEADLINE_SHARE)
		return bad(error, path, y->deadline.line, "deadline.share",
			"no stage opens so much of the outermost ring");
	(void)snprintf(why, sizeof(why), "the soaks before it take %s%s", show_age(r->soak_ms).s,
		r->fault == DEADLINE_NO_TRADE ? ": make them shorter, or say trades: soak"
					      : ", and none may become shorter than 1h or settle");
	return bad(error, path, y->deadline.line, "deadline.within", why);
}

/* The plan is good as written; the soaks are now those that will be signed. */
static int fit(struct planfile *p, const char *path, char error[YAML_ERROR_MAX])
{
	const struct deadline_yaml *y = &p->yaml.deadline;
	struct deadline d = { y->share, y->within_ms, y->trades == 1 };
	struct deadline_result r;

	if (y->share == ABSENT && y->within_ms == 0)
		return 0;
	if (y->share == ABSENT || y->within_ms == 0)
		return bad(error, path, y->line, "deadline", "needs both share and within");
	for (size_t i = 0; i < p->spec.n_stages; i++)
		p->soak_ms[i] = p->spec.stages[i]->soak_ms;
	r = deadline_fit(&p->spec, &d);
	if (r.fault != DEADLINE_OK)
		return bad_deadline(error, path, &p->yaml, &r);
	p->trade = (struct planfile_trade){ y->share, y->within_ms, r.stages, p->soak_ms };
	return 0;
}

int planfile_load(const char *path, struct planfile **out, char error[YAML_ERROR_MAX])
{
	struct planfile *p = mem_zalloc(sizeof(*p));
	int err = yaml_read_file(path, &plan_schema, &p->yaml, error);

	if (err == 0) {
		err = fill(p, path, error);
		if (err == 0)
			err = check(p, path, error);
		if (err == 0)
			err = fit(p, path, error);
		if (err == 0) {
			*out = p;
			return 0;
		}
		planfile_free(p);
		return err;
	}
	free(p); /* yaml_read_file left nothing in it */
	return err;
}

const Pb__PlanSpec *planfile_spec(const struct planfile *p)
{
	return &p->spec;
}

const struct planfile_trade *planfile_trade(const struct planfile *p)
{
	return p->trade.within_ms > 0 ? &p->trade : NULL;
}

void planfile_free(struct planfile *p)
{
	if (p == NULL)
		return;
	yaml_release(&plan_schema, &p->yaml);
	free(p->stages);
	free(p->list);
	free(p->fixes);
	free(p);
}
