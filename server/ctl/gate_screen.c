/* SPDX-License-Identifier: Apache-2.0 */
/* `gate explain`: what is known of each stage, and how sure it is. */
#include <math.h>

#include "server/base/show.h"
#include "server/core/gate.h"
#include "server/ctl/gate_view.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/rollout_view.h"
#include "server/ctl/table.h"

#define SIGNATURES_SHOWN 8u
#define HASH_SHOWN       6u /* bytes */
#define OPEN_ENDED       1000.0
#define TABLE(c)                                                                                   \
	{                                                                                          \
		c, sizeof(c) / sizeof((c)[0]), NULL, 0                                             \
	}

struct screen {
	struct buf *out;
	const struct term *t;
	const struct gate_view *v;
};

static void label(const struct screen *s, const char *text)
{
	put(s->out, s->t, STYLE_DIM, "%-10s", text);
}

static enum style odds_style(double log_e)
{
	return log_e >= log(GATE_PAUSE) ? STYLE_BAD : log_e >= log(2) ? STYLE_WARN : STYLE_PLAIN;
}

static void cell_odds(struct table *t, double log_e)
{
	table_cell(t, odds_style(log_e), "%s", show_odds(log_e).s);
}

static void cell_part(struct table *t, double part)
{
	if (part > 0 && part < 0.005)
		table_cell(t, STYLE_DIM, "< 1 %%");
	else
		table_cell(t, part >= 0.5 ? STYLE_BOLD : STYLE_PLAIN, "%.0f %%", part * 100);
}

static void cell_count(struct table *t, uint64_t n)
{
	table_cell(t, STYLE_PLAIN, "%s", show_count(n).s);
}

static void head(const struct screen *s)
{
	const Pb__RolloutView *r = s->v->m->rollout;
	const struct state_look *look = rollout_look(r->state);
	uint64_t now_ms = s->v->now_ms;

	label(s, "Rollout");
	put(s->out, s->t, STYLE_BOLD, "%s", r->release);
	buf_printf(s->out, ", plan %s\n", r->plan);
	label(s, "State");
	put(s->out, s->t, look->style, "%s %s", icon(s->t, look->icon), look->word);
	buf_printf(
		s->out, " for %s\n", show_age(now_ms > r->since_ms ? now_ms - r->since_ms : 0).s);
	if (r->gate != NULL && r->gate[0] != '\0') {
		label(s, "Gate");
		buf_printf(s->out, "%s\n", r->gate);
	}
	label(s, "Evidence");
	put(s->out, s->t, s->v->m->log_k >= ROLLOUT_CAUTION_LN ? STYLE_BAD : STYLE_BOLD, "%s",
		show_odds(s->v->m->log_k).s);
	buf_str(s->out, " against the build, " ROLLOUT_ODDS_TEXT "\n");
}

/* ---- the sentence ---- */

/* "0.72 to 4.51", "at least 0.72" */
static void put_interval(struct buf *out, const Pb__StageView *g)
{
	if (!g->has_ratio_low || !g->has_ratio_high)
		return;
	if (g->ratio_high > OPEN_ENDED)
		buf_printf(out, " (%.2f or more)", g->ratio_low);
	else
		buf_printf(out, " (%.2f to %.2f)", g->ratio_low, g->ratio_high);
}

static void put_sentence(struct buf *out, const Pb__StageView *g, double log_k)
{
	buf_printf(out, "canary: %s of", show_count(g->crashed).s);
	buf_printf(out, " %s devices crashed, ", show_count(g->offered).s);
	if (g->control == 0)
		buf_str(out, "no control in this stage to compare with");
	else if (!g->has_expected)
		buf_str(out, "the control has too few crashes to predict how many");
	else
		buf_printf(out, "control predicts %.1f", g->expected);
	if (g->has_ratio) {
		buf_printf(out, "; ratio %.2f", g->ratio);
		put_interval(out, g);
	}
	buf_printf(out, "; evidence %s against the build, pause at %g : 1", show_odds(log_k).s,
		GATE_PAUSE);
}

static void sentence(const struct screen *s, const Pb__StageView *g)
{
	const char *mute = s->v->m->rollout->mute;
	struct buf text = { 0 };

	if (s->v->m->crash_reports)
		put_sentence(&text, g, s->v->m->log_k);
	else
		buf_printf(&text,
			"no crash reports from %s: limits, silence, soak and a person decide",
			mute != NULL ? mute : "these phones, ever");
	text_wrap(
		s->out, s->t, s->v->m->crash_reports ? STYLE_BOLD : STYLE_WARN, 2, buf_text(&text));
	buf_release(&text);
}

/* ---- what to expect ---- */

static void put_verdict(
	struct buf *out, const Pb__StageView *g, const Pb__GateStage *e, const struct outlook *o)
{
	if (e->needed <= 0 && o->verdict_ms == 0) {
		buf_str(out, "its soak is over: it passes when the gate has what it waits for");
		return;
	}
	if (e->needed <= 0) {
		buf_printf(out, "a good build passes in %s, when its soak is over",
			show_age(o->verdict_ms).s);
		return;
	}
	buf_printf(out, "shown that the ratio is below %s:", show_ratio(g->tolerance_ppm / 1e6).s);
	buf_printf(out, " %.0f %% of what is needed", fmax(e->shown, 0) / e->needed * 100);
	if (o->verdict_ms == UINT64_MAX)
		buf_str(out, "; a verdict will not come");
	else if (o->verdict_ms == 0)
		buf_str(out, "; a verdict any time now");
	else
		buf_printf(
			out, "; of a good build, a verdict in about %s", show_age(o->verdict_ms).s);
	if (o->too_late)
		buf_str(out, ", after max_soak: a person will be called");
}

static void put_blind(struct buf *out, const struct outlook *o)
{
	buf_printf(out,
		"cannot tell a 2x regression with this many phones: %.1f crashing ones are "
		"expected by max_soak, and it takes about %.0f",
		o->crashes, OUTLOOK_TWICE);
}

/* A time would promise too much where twice the crashes cannot be seen. */
static void expect(const struct screen *s, size_t i)
{
	const Pb__StageView *g = gate_view_stage(s->v, i);
	const Pb__GateStage *e = s->v->m->stages[i];
	struct buf text = { 0 };
	struct outlook o;

	if (g->state != PB__STAGE_STATE__STAGE_OPEN || g->control == 0 || !s->v->m->crash_reports)
		return;
	if (!gate_view_outlook(s->v, i, &o))
		buf_str(&text, "how often these phones crash is not known yet: nor is a time");
	else if (o.blind)
		put_blind(&text, &o);
	else
		put_verdict(&text, g, e, &o);
	text_wrap(s->out, s->t, o.blind ? STYLE_WARN : STYLE_PLAIN, 2, buf_text(&text));
	buf_release(&text);
}

/* ---- tables of the open stage ---- */

static bool is_quiet(const Pb__GateStream *e)
{
	return e->canary == 0 && e->control == 0 && fabs(e->log_e) < 0.05;
}

/* Failures of an attempt: the control attempts nothing. */
static bool has_limit(const Pb__GateStream *e)
{
	for (unsigned i = GATE_STREAM_BOOT; i <= GATE_STREAM_S1; i++)
		if (strcmp(e->name, gate_stream_str((enum gate_stream)i)) == 0)
			return true;
	return false;
}

static void quiet(const struct screen *s, const Pb__GateStage *e)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < e->n_streams; i++)
		if (is_quiet(e->streams[i]))
			buf_printf(&text, "%s%s",
				text.len > 0 ? ", " : "nothing of: ", e->streams[i]->name);
	if (text.len > 0)
		text_wrap(s->out, s->t, STYLE_DIM, 2, buf_text(&text));
	buf_release(&text);
}

static void streams(const struct screen *s, const Pb__GateStage *e)
{
	static const struct column columns[] = { { "  STREAM", false }, { "WEIGHT", true },
		{ "CANARY", true }, { "CONTROL", true }, { "EVIDENCE", true },
		{ "SHARE OF K", true } };
	struct table t = TABLE(columns);

	for (size_t i = 0; i < e->n_streams; i++) {
		const Pb__GateStream *x = e->streams[i];
		if (is_quiet(x))
			continue;
		table_cell(&t, STYLE_PLAIN, "  %s", x->name);
		table_cell(&t, STYLE_PLAIN, "%.3g %%", x->weight_ppm / 1e4);
		cell_count(&t, x->canary);
		if (has_limit(x))
			table_cell(&t, STYLE_DIM, "limit");
		else
			cell_count(&t, x->control);
		cell_odds(&t, x->log_e);
		cell_part(&t, gate_view_part(s->v, e, x));
	}
	buf_str(s->out, "\n");
	table_print(&t, s->t, s->out);
	quiet(s, e);
}

static void funnel(const struct screen *s, const Pb__StageView *g, const Pb__GateStage *e)
{
	static const struct column columns[] = { { "  DEVICES", false }, { "OFFERED", true },
		{ "RESOLVED", true }, { "JUDGED", true }, { "SILENT", true } };
	struct table t = TABLE(columns);

	table_cell(&t, STYLE_PLAIN, "  canary");
	cell_count(&t, g->offered);
	cell_count(&t, e->resolved);
	cell_count(&t, e->judged);
	cell_count(&t, e->silent);
	if (g->control > 0) {
		table_cell(&t, STYLE_PLAIN, "  control");
		cell_count(&t, g->control);
		table_cell(&t, STYLE_DIM, "-");
		cell_count(&t, e->control_judged);
		cell_count(&t, e->control_silent);
	}
	buf_str(s->out, "\n");
	table_print(&t, s->t, s->out);
}

static void stratum_row(struct table *t, const Pb__GateStratum *x)
{
	table_cell(t, STYLE_PLAIN, "  %s%s", x->component ? "all with " : "", x->name);
	cell_count(t, x->offered);
	cell_count(t, x->failed);
	cell_count(t, x->crashed);
	table_cell(t, STYLE_PLAIN, "%s of %s", show_count(x->control_crashed).s,
		show_count(x->control).s);
	cell_odds(t, x->log_e);
}

/* Worst first: products, then what several of them share. */
static void strata(const struct screen *s, const Pb__GateStage *e)
{
	static const struct column columns[] = { { "  PRODUCT", false }, { "OFFERED", true },
		{ "FAILED", true }, { "CRASHED", true }, { "CONTROL CRASHED", true },
		{ "EVIDENCE", true } };
	struct table t = TABLE(columns);

	if (e->n_strata < 2)
		return;
	for (int component = 0; component < 2; component++)
		for (size_t i = 0; i < e->n_strata; i++)
			if (e->strata[i]->component == component)
				stratum_row(&t, e->strata[i]);
	buf_str(s->out, "\n");
	table_print(&t, s->t, s->out);
}

static void signature_row(struct table *t, const struct screen *s, const Pb__GateSignature *x)
{
	char hex[2 * HASH_SHOWN + 1] = "";
	size_t n = x->signature.len < HASH_SHOWN ? x->signature.len : HASH_SHOWN;
	uint64_t age_ms = s->v->now_ms > x->first_ms ? s->v->now_ms - x->first_ms : 0;

	(void)hex_encode(hex, x->signature.data, n);
	table_cell(
		t, x->discovery ? STYLE_BAD : STYLE_PLAIN, "%c %s", x->discovery ? '*' : ' ', hex);
	cell_count(t, x->canary);
	cell_count(t, x->control);
	cell_odds(t, x->log_e);
	table_cell(t, STYLE_PLAIN, "%s ago", show_age(age_ms).s);
}

static void signatures(const struct screen *s, const Pb__GateStage *e)
{
	static const struct column columns[] = { { "  NEW SIGNATURE", false }, { "CANARY", true },
		{ "CONTROL", true }, { "EVIDENCE", true }, { "FIRST SEEN", true } };
	struct table t = TABLE(columns);
	bool discovery = false;

	if (e->n_signatures == 0)
		return;
	for (size_t i = 0; i < e->n_signatures; i++) {
		discovery |= e->signatures[i]->discovery;
		if (i < SIGNATURES_SHOWN)
			signature_row(&t, s, e->signatures[i]);
	}
	buf_str(s->out, "\n");
	table_print(&t, s->t, s->out);
	if (e->n_signatures > SIGNATURES_SHOWN)
		put(s->out, s->t, STYLE_DIM, "  and %zu more with less evidence: -o json\n",
			e->n_signatures - SIGNATURES_SHOWN);
	if (discovery)
		put(s->out, s->t, STYLE_DIM,
			"  * new with this build: of ten so marked, one may be chance\n");
}

static void open_stage(const struct screen *s, size_t i)
{
	const Pb__StageView *g = gate_view_stage(s->v, i);
	const Pb__GateStage *e = s->v->m->stages[i];
	const Pb__StageSpec *spec = gate_view_spec(s->v, e);
	uint64_t now_ms = s->v->now_ms;

	buf_str(s->out, "\n");
	put(s->out, s->t, STYLE_BOLD, "%s %s", ring_word(g->ring),
		show_range(g->lower, g->upper).s);
	buf_printf(s->out, ", opened %s ago, ",
		show_age(now_ms > g->opened_ms ? now_ms - g->opened_ms : 0).s);
	if (g->has_resumed_ms)
		buf_printf(s->out, "resumed %s ago, ",
			show_age(now_ms > g->resumed_ms ? now_ms - g->resumed_ms : 0).s);
	if (g->state == PB__STAGE_STATE__STAGE_STOPPED)
		put(s->out, s->t, STYLE_BAD, "stopped, ");
	buf_printf(s->out, "soak %s", show_age(g->soak_ms).s);
	if (spec != NULL)
		buf_printf(s->out, " to %s", show_age(spec->max_soak_ms).s);
	buf_printf(s->out, ", tolerance %s\n",
		g->tolerance_ppm > 0 ? show_ratio(g->tolerance_ppm / 1e6).s : "none");
	sentence(s, g);
	expect(s, i);
	streams(s, e);
	funnel(s, g, e);
	strata(s, e);
	signatures(s, e);
}

/* ---- the stages before ---- */

static void earlier_row(struct table *t, const struct screen *s, size_t i)
{
	const Pb__StageView *g = gate_view_stage(s->v, i);
	const struct state_look *look = stage_look(g->state);

	table_cell(t, STYLE_PLAIN, "%s %s", ring_word(g->ring), show_range(g->lower, g->upper).s);
	table_cell(t, look->style, "%s %s", icon(s->t, look->icon), look->word);
	table_cell(t, STYLE_PLAIN, "%s of %s", show_count(g->crashed).s, show_count(g->offered).s);
	if (g->has_expected)
		table_cell(t, STYLE_PLAIN, "%.1f", g->expected);
	else
		table_cell(t, STYLE_DIM, "-");
	cell_odds(t, s->v->m->stages[i]->log_e);
	cell_part(t, gate_view_part(s->v, s->v->m->stages[i], NULL));
}

static void earlier(const struct screen *s)
{
	static const struct column columns[] = { { "EARLIER", false }, { "STATE", false },
		{ "CRASHED", true }, { "PREDICTED", true }, { "EVIDENCE", true },
		{ "SHARE OF K", true } };
	struct table t = TABLE(columns);

	for (size_t i = 0; i < s->v->m->n_stages; i++)
		if (!gate_view_is_open(s->v, i))
			earlier_row(&t, s, i);
	if (t.n_cells == 0)
		return;
	buf_str(s->out, "\n");
	table_print(&t, s->t, s->out);
}

void gate_screen(struct buf *out, const struct term *t, const struct gate_view *v)
{
	struct screen s = { out, t, v };

	head(&s);
	if (v->m->n_stages == 0)
		buf_str(out, "\nNo stage has opened yet: there is nothing to judge.\n");
	for (size_t i = 0; i < v->m->n_stages; i++)
		if (gate_view_is_open(v, i))
			open_stage(&s, i);
	earlier(&s);
}
