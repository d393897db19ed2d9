/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/ladder_show.h"

#include <stdio.h>

#include "server/base/show.h"
#include "server/core/ring.h"
#include "server/ctl/table.h"

const char *ring_word(uint32_t ring)
{
	return ring < RING__COUNT ? ring_str((enum ring)ring) : "unknown ring";
}

static void conditions(struct table *t, const Pb__StageSpec *s)
{
	table_cell(t, STYLE_PLAIN, "%s", show_age(s->soak_ms).s);
	table_cell(t, STYLE_PLAIN, "%s", show_age(s->max_soak_ms).s);
	if (s->tolerance_ppm == 0)
		table_cell(t, STYLE_PLAIN, "none");
	else
		table_cell(t, STYLE_PLAIN, "%s", show_ratio((double)s->tolerance_ppm / 1e6).s);
	table_cell(t, STYLE_PLAIN, "%g/%g/%g/%g", s->boot_ppm / 1e4, s->install_ppm / 1e4,
		s->rollback_ppm / 1e4, s->s1_ppm / 1e4);
}

static void row(struct table *t, const Pb__PlanSpec *spec, const struct plan_step *step,
	size_t number, uint64_t proposed_at_s)
{
	const Pb__StageSpec *s = step->stage < 0 ? NULL : spec->stages[step->stage];

	table_cell(t, STYLE_PLAIN, "%zu", number);
	table_cell(t, STYLE_PLAIN, "%s", ring_word(step->ring));
	if (s != NULL && s->has_devices)
		table_cell(t, STYLE_PLAIN, "%s, %s at most", show_range(step->lower, step->upper).s,
			show_count(s->devices).s);
	else
		table_cell(t, STYLE_PLAIN, "%s", show_range(step->lower, step->upper).s);
	if (proposed_at_s == 0)
		table_cell(t, STYLE_PLAIN, "+%s", show_age(step->not_before_s * 1000).s);
	else
		table_cell(t, STYLE_PLAIN, "%s", show_minute(step->not_before_s * 1000).s);
	if (s != NULL) {
		conditions(t, s);
		return;
	}
	for (int i = 0; i < 3; i++)
		table_cell(t, STYLE_PLAIN, "-");
	table_cell(t, STYLE_PLAIN, "the holdback");
}

static void times(struct buf *out, const Pb__PlanSpec *spec)
{
	buf_printf(out, "Settle %s,", show_age(spec->settle_ms).s);
	buf_printf(out, " watch %s,", show_age(spec->watch_ms).s);
	buf_printf(out, " batches of %s,", show_age(spec->batch_ms).s);
	buf_printf(out, " crashes anew each %s.\n", show_age(spec->restart_ms).s);
	buf_printf(out, "Boot in time: %s after `installing`.", show_age(spec->s1_ms).s);
	buf_printf(out, " Silent: nothing heard %s and", show_age(spec->silence_ms).s);
	buf_printf(out, " %u polls after the offer.\n", spec->silence_polls);
}

void ladder_show(
	struct buf *out, const struct term *t, const Pb__PlanSpec *spec, uint64_t proposed_at_s)
{
	static const struct column columns[] = { { "STEP", true }, { "RING", false },
		{ "OPENS", false }, { "EARLIEST", false }, { "SOAK", true }, { "MAX", true },
		{ "TOLERANCE", true }, { "LIMITS %", false } };
	struct table table = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };
	struct plan_step steps[LADDER_STEPS_MAX];
	size_t n;

	plan_steps(spec, proposed_at_s, steps, &n);
	for (size_t i = 0; i < n; i++)
		row(&table, spec, &steps[i], i + 1, proposed_at_s);
	table_print(&table, t, out);
	buf_str(out, "Limits: boot, install, rollback, no boot in time.\n");
	times(out, spec);
	for (size_t i = 0; i < spec->n_fixes; i++)
		buf_printf(out, "%s%s", i == 0 ? "First, devices on: " : ", ", spec->fixes[i]);
	buf_str(out, spec->n_fixes > 0 ? ".\n" : "");
	if (spec->no_crash_reports)
		put(out, t, STYLE_WARN,
			"%s No crash reports from these phones: limits, silence, "
			"soak and a person decide.\n",
			icon(t, ICON_WARNING));
}

void ladder_show_trade(struct buf *out, const struct term *t, const Pb__PlanSpec *spec,
	const struct planfile_trade *trade)
{
	uint64_t before = 0, after = 0;

	for (size_t i = 0; i < trade->stages; i++) {
		before += trade->soak_ms[i];
		after += spec->stages[i]->soak_ms;
	}
	buf_printf(out, "Deadline: %s of %s", show_share(trade->share_ppm).s,
		ring_word(spec->stages[spec->n_stages - 1]->ring));
	buf_printf(out, " open within %s at the earliest;", show_age(trade->within_ms).s);
	buf_printf(out, " the soaks before take %s.\n", show_age(after).s);
	if (after == before)
		return;
	put(out, t, STYLE_WARN, "%s Soak was traded for it: %s", icon(t, ICON_WARNING),
		show_age(before).s);
	buf_printf(out, " became %s:", show_age(after).s);
	for (size_t i = 0; i < trade->stages; i++) {
		if (spec->stages[i]->soak_ms == trade->soak_ms[i])
			continue;
		buf_printf(out, "\n  step %zu: %s ->", i + 1, show_age(trade->soak_ms[i]).s);
		buf_printf(out, " %s", show_age(spec->stages[i]->soak_ms).s);
	}
	buf_str(out, "\nTolerances, limits and the gate's lines are as they were.\n");
}
