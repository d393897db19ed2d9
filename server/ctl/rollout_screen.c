/* SPDX-License-Identifier: Apache-2.0 */
/* `rollout get`: a header, then a tree of rings and stages. */
#include <stdio.h>

#include "server/base/show.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/rollout_view.h"
#include "server/ctl/table.h"

#define WIDE 100 /* columns from which there is room for one more */

struct screen {
	struct buf *out;
	const struct term *t;
	const Pb__RolloutView *v;
	uint64_t now_ms;
};

static uint64_t age(const struct screen *s, uint64_t since_ms)
{
	return s->now_ms > since_ms ? s->now_ms - since_ms : 0;
}

static void label(const struct screen *s, const char *text)
{
	put(s->out, s->t, STYLE_DIM, "%-10s", text);
}

static const Pb__StageView *current(const Pb__RolloutView *v)
{
	return v->step < v->n_stages ? v->stages[v->step] : NULL;
}

static void head_state(const struct screen *s)
{
	const struct state_look *look = rollout_look(s->v->state);
	const Pb__StageView *stage = current(s->v);

	label(s, "State");
	put(s->out, s->t, look->style, "%s %s", icon(s->t, look->icon), look->word);
	buf_printf(s->out, " for %s", show_age(age(s, s->v->since_ms)).s);
	if (stage != NULL)
		buf_printf(s->out, ", step %u of %zu: %s %s", s->v->step + 1, s->v->n_stages,
			ring_word(stage->ring), show_range(stage->lower, stage->upper).s);
	buf_str(s->out, "\n");
}

static void head_plan(const struct screen *s)
{
	const Pb__RolloutView *v = s->v;

	label(s, "Plan");
	buf_printf(s->out, "%s, line %s; approved by %zu of %u", v->plan, v->line, v->n_approved_by,
		v->threshold);
	for (size_t i = 0; i < v->n_approved_by; i++)
		buf_printf(s->out, "%s%s", i == 0 ? ": " : ", ", v->approved_by[i]);
	buf_str(s->out, "\n");
}

static void head_builds(const struct screen *s)
{
	const Pb__RolloutView *v = s->v;

	if (v->n_build_ids == 0)
		return;
	label(s, "Builds");
	for (size_t i = 0; i < v->n_build_ids; i++)
		buf_printf(s->out, "%s%s%s%s", i > 0 ? ", " : "", v->build_ids[i],
			i < v->n_products ? " for " : "", i < v->n_products ? v->products[i] : "");
	buf_str(s->out, "\n");
}

static void head_ratio(const struct screen *s, const Pb__StageView *stage)
{
	label(s, "Ratio");
	put(s->out, s->t, STYLE_BOLD, "%s", show_ratio(stage->ratio).s);
	if (stage->has_ratio_low && stage->has_ratio_high) {
		buf_printf(s->out, " of the control, %s to", show_ratio(stage->ratio_low).s);
		buf_printf(s->out, " %s", show_ratio(stage->ratio_high).s);
	}
	if (stage->tolerance_ppm > 0)
		buf_printf(s->out, "; tolerance %s", show_ratio(stage->tolerance_ppm / 1e6).s);
	buf_str(s->out, "\n");
}

/* No crashes would look well, and say nothing. */
static void head_mute(const struct screen *s)
{
	struct buf text = { 0 };

	if (s->v->mute == NULL)
		return;
	buf_printf(&text, "No crash reports come from %s: no crashes here are no good sign.",
		s->v->mute);
	text_wrap(s->out, s->t, STYLE_WARN, 0, buf_text(&text));
	buf_release(&text);
}

static void head_evidence(const struct screen *s)
{
	const Pb__StageView *stage = current(s->v);
	enum style style = s->v->log_k >= ROLLOUT_CAUTION_LN ? STYLE_BAD : STYLE_BOLD;

	label(s, "Evidence");
	put(s->out, s->t, style, "%s", show_odds(s->v->log_k).s);
	buf_str(s->out, ", " ROLLOUT_ODDS_TEXT "\n");
	if (stage == NULL || stage->opened_ms == 0 || stage->control == 0)
		return;
	label(s, "Crashes");
	put(s->out, s->t, STYLE_BOLD, "%s of", show_count(stage->crashed).s);
	buf_printf(s->out, " %s devices,", show_count(stage->offered).s);
	buf_printf(s->out, " %s of", show_count(stage->control_crashed).s);
	buf_printf(s->out, " %s in the control\n", show_count(stage->control).s);
	if (stage->has_ratio)
		head_ratio(s, stage);
}

static void head(const struct screen *s)
{
	label(s, "Rollout");
	put(s->out, s->t, STYLE_BOLD, "%s", s->v->release);
	buf_str(s->out, "\n");
	head_builds(s);
	head_plan(s);
	head_state(s);
	if (s->v->gate != NULL && s->v->gate[0] != '\0') {
		label(s, "Gate");
		buf_printf(s->out, "%s\n", s->v->gate);
	}
	head_evidence(s);
	head_mute(s);
	buf_str(s->out, "\n");
}

static void cell_state(struct table *t, const struct term *term, Pb__StageState state)
{
	const struct state_look *look = stage_look(state);

	table_cell(t, look->style, "%s %s", icon(term, look->icon), look->word);
}

static void cell_count(struct table *t, const Pb__StageView *s, uint64_t n, enum style style)
{
	if (s->state == PB__STAGE_STATE__STAGE_WAITING && n == 0)
		table_cell(t, STYLE_DIM, "-");
	else
		table_cell(t, n > 0 ? style : STYLE_PLAIN, "%s", show_count(n).s);
}

static void cell_crashes(struct table *t, const Pb__StageView *s)
{
	if (s->state == PB__STAGE_STATE__STAGE_WAITING)
		table_cell(t, STYLE_DIM, "-");
	else if (!s->has_expected)
		table_cell(t, STYLE_PLAIN, "%s / -", show_count(s->crashed).s);
	else
		table_cell(t, STYLE_PLAIN, "%s / %.1f", show_count(s->crashed).s, s->expected);
}

static void cell_age(struct table *t, const struct screen *s, const Pb__StageView *v)
{
	if (v->opened_ms == 0)
		table_cell(t, STYLE_DIM, "-");
	else if (v->state == PB__STAGE_STATE__STAGE_OPEN && v->soak_ms > 0)
		table_cell(t, STYLE_PLAIN, "%s/%s", show_age(age(s, stage_since_ms(v))).s,
			show_age(v->soak_ms).s);
	else
		table_cell(t, STYLE_PLAIN, "%s", show_age(age(s, v->opened_ms)).s);
}

static void cells(struct table *t, const struct screen *s, const Pb__StageView *v)
{
	cell_state(t, s->t, v->state);
	cell_count(t, v, v->offered, STYLE_PLAIN);
	if (s->t->width >= WIDE)
		cell_count(t, v, v->installed, STYLE_PLAIN);
	cell_count(t, v, v->boot_ok, STYLE_PLAIN);
	cell_count(t, v, v->failed, STYLE_WARN);
	cell_crashes(t, v);
	cell_age(t, s, v);
}

/* A ring's own row adds up its stages and has the look of the one that matters most. */
static Pb__StageView sum(const Pb__RolloutView *v, size_t from, size_t to)
{
	static const unsigned char weight[] = {
		[PB__STAGE_STATE__STAGE_WAITING] = 0,
		[PB__STAGE_STATE__STAGE_DONE] = 1,
		[PB__STAGE_STATE__STAGE_WATCHED] = 2,
		[PB__STAGE_STATE__STAGE_OPEN] = 3,
		[PB__STAGE_STATE__STAGE_STOPPED] = 4,
	};
	Pb__StageView all = *v->stages[from];

	all.soak_ms = 0;
	for (size_t i = from + 1; i < to; i++) {
		const Pb__StageView *s = v->stages[i];
		all.offered += s->offered;
		all.installed += s->installed;
		all.boot_ok += s->boot_ok;
		all.failed += s->failed;
		all.crashed += s->crashed;
		all.expected += s->expected;
		/* Expected of all only where it is known of each. */
		if (s->state != PB__STAGE_STATE__STAGE_WAITING && !s->has_expected)
			all.has_expected = 0;
		if (weight[s->state] > weight[all.state])
			all.state = s->state;
	}
	return all;
}

static size_t group_end(const Pb__RolloutView *v, size_t from)
{
	size_t to = from + 1;

	while (to < v->n_stages && v->stages[to]->ring == v->stages[from]->ring &&
		v->stages[to]->holdback == v->stages[from]->holdback)
		to++;
	return to;
}

/* "dev, last 1 %" */
static void cell_holdback(
	struct table *t, const struct screen *s, const char *branch, const Pb__StageView *v)
{
	table_cell(t, STYLE_PLAIN, "%s%s, last %s", branch, ring_word(v->ring),
		show_share(v->upper - v->lower).s);
	cells(t, s, v);
}

static void group(struct table *t, const struct screen *s, size_t from, size_t to)
{
	bool last = to == s->v->n_stages;
	const char *branch = icon(s->t, last ? ICON_LAST : ICON_BRANCH);
	const Pb__StageView *first = s->v->stages[from];
	Pb__StageView all = sum(s->v, from, to);

	if (first->holdback && to == from + 1) {
		cell_holdback(t, s, branch, first);
		return;
	}
	if (to == from + 1) {
		table_cell(t, STYLE_PLAIN, "%s%s %s", branch, ring_word(first->ring),
			show_range(first->lower, first->upper).s);
		cells(t, s, first);
		return;
	}
	table_cell(t, STYLE_PLAIN, "%s%s", branch, ring_word(first->ring));
	cells(t, s, &all);
	for (size_t i = from; i < to; i++) {
		const Pb__StageView *v = s->v->stages[i];
		table_cell(t, STYLE_PLAIN, "%s%s%s", icon(s->t, last ? ICON_SPACE : ICON_TRUNK),
			icon(s->t, i + 1 == to ? ICON_LAST : ICON_BRANCH),
			show_range(v->lower, v->upper).s);
		cells(t, s, v);
	}
}

static void tree(const struct screen *s)
{
	static const struct column narrow[] = { { "RING", false }, { "STATE", false },
		{ "OFFERED", true }, { "BOOT OK", true }, { "FAILED", true },
		{ "CRASHED/EXP", true }, { "AGE/SOAK", true } };
	static const struct column wide[] = { { "RING", false }, { "STATE", false },
		{ "OFFERED", true }, { "INSTALLED", true }, { "BOOT OK", true }, { "FAILED", true },
		{ "CRASHED/EXPECTED", true }, { "AGE/SOAK", true } };
	bool is_wide = s->t->width >= WIDE;
	struct table t = { is_wide ? wide : narrow,
		is_wide ? sizeof(wide) / sizeof(wide[0]) : sizeof(narrow) / sizeof(narrow[0]), NULL,
		0 };

	for (size_t from = 0; from < s->v->n_stages;) {
		size_t to = group_end(s->v, from);
		group(&t, s, from, to);
		from = to;
	}
	table_print(&t, s->t, s->out);
}

void rollout_screen(
	struct buf *out, const struct term *t, const Pb__RolloutView *v, uint64_t now_ms)
{
	struct screen s = { out, t, v, now_ms };

	head(&s);
	if (v->n_stages > 0)
		tree(&s);
}
