/* SPDX-License-Identifier: Apache-2.0 */
/* plan simulate: what a plan would do with good and bad builds, before anybody's phone knows. */
#include <stdio.h>

#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/base/text.h"
#include "server/ctl/cmds.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/plan_sim.h"
#include "server/ctl/planfile.h"
#include "server/ctl/table.h"

#define FLEET_DEFAULT 1000000u
#define FLEET_MAX     1000000000u
#define CRASH_DEFAULT 10000u /* ppm of the phones, a day */
#define RUNS_DEFAULT  60u
#define RUNS_MAX      100000u
#define TRY           "huiductl plan simulate plans/weekly.yaml --fleet 1000000 --baseline 1%/day"

static struct shown stage_text(const struct plan_sim *s, int stage)
{
	const struct plan_step *step = &s->step[stage < 0 ? 0 : stage];
	struct shown out = { "-" };

	if (stage >= 0)
		(void)snprintf(out.s, sizeof(out.s), "%.8s %.16s", ring_word(step->ring),
			show_share(step->upper).s);
	return out;
}

static struct shown hours_text(double hours)
{
	struct shown none = { "-" };

	return hours < 0 ? none : show_age((uint64_t)(hours * 3600000));
}

static unsigned percent(const struct plan_sim *s, uint32_t runs)
{
	return (runs * 100 + s->runs / 2) / s->runs;
}

static void put_table(struct buf *out, const struct term *term, const struct plan_sim *s)
{
	static const struct column columns[] = { { "BUILD", false }, { "HALTED", true },
		{ "PAUSED", true }, { "ASKED", true }, { "IN STAGE", false }, { "AFTER", true },
		{ "HURT", true } };
	struct table t = { columns, 7, NULL, 0 };

	for (unsigned b = 0; b < PLAN_BUILD__COUNT; b++) {
		const struct plan_outcome *o = &s->of[b];
		table_cell(&t, STYLE_BOLD, "%s", plan_build_what((enum plan_build)b));
		table_cell(&t, STYLE_PLAIN, "%u %%", percent(s, o->halted));
		table_cell(&t, STYLE_PLAIN, "%u %%", percent(s, o->paused));
		table_cell(&t, STYLE_PLAIN, "%u %%", percent(s, o->asked));
		table_cell(&t, STYLE_PLAIN, "%s", stage_text(s, o->stage).s);
		table_cell(&t, STYLE_PLAIN, "%s", hours_text(o->stop_h).s);
		table_cell(&t, STYLE_PLAIN, "%s", show_count((uint64_t)o->hurt).s);
	}
	table_print(&t, term, out);
}

static void put_verdict(struct buf *out, const struct term *t, const struct plan_sim *s)
{
	const struct plan_outcome *good = &s->of[PLAN_BUILD_GOOD];

	if (good->done_h >= 0)
		buf_printf(out, "\nA good build takes %s until its last stage has passed.\n",
			hours_text(good->done_h).s);
	else
		buf_str(out, "\nA good build never gets through.\n");
	if (!plan_sim_tells(s))
		put(out, t, STYLE_WARN,
			"%s This plan cannot tell a 2x regression with this many phones.\n",
			icon(t, ICON_WARNING));
	buf_str(out,
		"HALTED, PAUSED: on evidence.  ASKED: a stage could not decide by its max_soak,\n"
		"and called a person.  AFTER, HURT: medians, until it was stopped; hurt are\n"
		"phones that crashed, were lost or did not boot because of the build.  The\n"
		"phones are made up: real ones differ in more ways.\n");
}

static void put_text_all(struct buf *out, const struct term *t, const struct plan_sim *s)
{
	struct shown share = show_share((uint32_t)(s->crash * 1e6 + .5));

	put(out, t, STYLE_BOLD, "Plan %s", s->spec->name);
	buf_printf(out, " on %s phones, %s of them crash on any day; %u runs of each\n\n",
		show_count(s->fleet).s, share.s, s->runs);
	put_table(out, t, s);
	put_verdict(out, t, s);
}

static void json_build(struct json *j, const struct plan_sim *s, enum plan_build b)
{
	const struct plan_outcome *o = &s->of[b];

	json_object(j, NULL);
	json_str(j, "name", plan_build_name(b));
	json_str(j, "what", plan_build_what(b));
	json_u64(j, "halted", o->halted);
	json_u64(j, "paused", o->paused);
	json_u64(j, "asked", o->asked);
	if (o->stage >= 0) {
		json_u64(j, "stage", (uint64_t)o->stage);
		json_str(j, "stage_text", stage_text(s, o->stage).s);
		json_u64(j, "stopped_after_ms", (uint64_t)(o->stop_h * 3600000));
	}
	json_u64(j, "hurt", (uint64_t)o->hurt);
	if (o->done_h >= 0)
		json_u64(j, "passed_after_ms", (uint64_t)(o->done_h * 3600000));
	json_end_object(j);
}

static void put_json(struct buf *out, const struct plan_sim *s)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.simulation/1");
	json_str(&j, "plan", s->spec->name);
	json_u64(&j, "fleet", s->fleet);
	json_u64(&j, "baseline_ppm", (uint64_t)(s->crash * 1e6 + .5));
	json_u64(&j, "runs", s->runs);
	json_bool(&j, "tells_2x", plan_sim_tells(s));
	json_array(&j, "builds");
	for (unsigned b = 0; b < PLAN_BUILD__COUNT; b++)
		json_build(&j, s, (enum plan_build)b);
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

/* "1 %", "1%/day", or ppm. */
static bool read_rate(const char *s, uint32_t *ppm)
{
	size_t n = strlen(s);
	char *head;
	bool ok;

	if (n > 4 && strcmp(s + n - 4, "/day") == 0)
		n -= 4;
	head = mem_printf("%.*s", (int)n, s);
	ok = text_ppm(head, ppm) && *ppm > 0 && *ppm <= 500000;
	free(head);
	return ok;
}

static int read_options(const struct args *a, struct plan_sim *s)
{
	uint64_t fleet = a->fleet.set ? a->fleet.v : FLEET_DEFAULT;
	uint64_t runs = a->runs.set ? a->runs.v : RUNS_DEFAULT;
	uint32_t ppm = CRASH_DEFAULT;

	if (a->baseline != NULL && !read_rate(a->baseline, &ppm))
		return fail(EXIT_USAGE, TRY, "--baseline is a share of phones, above 0 to 50 %%");
	if (fleet < 1 || fleet > FLEET_MAX)
		return fail(EXIT_USAGE, TRY, "--fleet is a number of phones, to a billion");
	if (runs < 2 || runs > RUNS_MAX)
		return fail(EXIT_USAGE, TRY, "--runs is between 2 and 100000");
	s->fleet = (uint32_t)fleet;
	s->runs = (uint32_t)runs;
	s->crash = ppm / 1e6;
	return 0;
}

int cmd_plan_simulate(struct ctl *c)
{
	char error[YAML_ERROR_MAX];
	struct planfile *plan;
	struct plan_sim s = { 0 };
	struct buf out = { 0 };
	int err = read_options(&c->args, &s);

	if (err != 0)
		return err;
	err = planfile_load(c->args.words.v[0], &plan, error);
	if (err != 0)
		return fail(err == ERR_CONFIG ? EXIT_USAGE : exit_of(err), TRY, "%s", error);
	s.spec = planfile_spec(plan);
	plan_sim_run(&s);
	if (ctl_json(c))
		put_json(&out, &s);
	else
		put_text_all(&out, &c->term, &s);
	planfile_free(plan);
	return ctl_print(&out);
}
