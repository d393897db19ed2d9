/* SPDX-License-Identifier: Apache-2.0 */
/* States and the short forms: line, table, JSON. */
#include "server/ctl/rollout_view.h"

#include "server/base/show.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/table.h"

static const struct state_look unknown = { "unknown", ICON_WARNING, STYLE_WARN };

const struct state_look *rollout_look(Pb__RolloutState state)
{
	static const struct state_look look[] = {
		[PB__ROLLOUT_STATE__ROLLOUT_PROPOSED] = { "proposed", ICON_WAITING, STYLE_PLAIN },
		[PB__ROLLOUT_STATE__ROLLOUT_APPROVED] = { "approved", ICON_READY, STYLE_PLAIN },
		[PB__ROLLOUT_STATE__ROLLOUT_RUNNING] = { "running", ICON_RUNNING, STYLE_BUSY },
		[PB__ROLLOUT_STATE__ROLLOUT_PAUSED] = { "paused", ICON_PAUSED, STYLE_WARN },
		[PB__ROLLOUT_STATE__ROLLOUT_HALTED] = { "halted", ICON_HALTED, STYLE_BAD },
		[PB__ROLLOUT_STATE__ROLLOUT_COMPLETE] = { "complete", ICON_DONE, STYLE_GOOD },
		[PB__ROLLOUT_STATE__ROLLOUT_SUPERSEDED] = { "superseded", ICON_GONE, STYLE_DIM },
	};
	size_t i = (size_t)state;

	return i < sizeof(look) / sizeof(look[0]) ? &look[i] : &unknown;
}

const struct state_look *stage_look(Pb__StageState state)
{
	static const struct state_look look[] = {
		[PB__STAGE_STATE__STAGE_WAITING] = { "waiting", ICON_WAITING, STYLE_DIM },
		[PB__STAGE_STATE__STAGE_OPEN] = { "open", ICON_RUNNING, STYLE_BUSY },
		[PB__STAGE_STATE__STAGE_WATCHED] = { "watched", ICON_PASSED, STYLE_GOOD },
		[PB__STAGE_STATE__STAGE_DONE] = { "done", ICON_DONE, STYLE_GOOD },
		[PB__STAGE_STATE__STAGE_STOPPED] = { "stopped", ICON_HALTED, STYLE_BAD },
	};
	size_t i = (size_t)state;

	return i < sizeof(look) / sizeof(look[0]) ? &look[i] : &unknown;
}

int rollout_find(struct ctl *c, const char *name, struct reply *r, const Pb__RolloutView **out)
{
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, name, r);

	if (err != 0)
		return err;
	if (r->m->n_rollouts == 1) {
		*out = r->m->rollouts[0];
		return 0;
	}
	if (r->m->n_rollouts == 0)
		err = fail(EXIT_NOT_FOUND, "huiductl rollout list", "no rollout '%s'", name);
	else
		err = fail(EXIT_CONFLICT, "huiductl rollout list",
			"'%s' names %zu rollouts: say which by its release or build", name,
			r->m->n_rollouts);
	reply_release(r);
	return err;
}

/* "6/9 dev 1 to 10 %" */
static void put_step(struct buf *out, const Pb__RolloutView *v)
{
	const Pb__StageView *s = v->step < v->n_stages ? v->stages[v->step] : NULL;

	if (s != NULL)
		buf_printf(out, "%u/%zu %s %s", v->step + 1, v->n_stages, ring_word(s->ring),
			show_range(s->lower, s->upper).s);
}

void rollout_line(struct buf *out, const Pb__RolloutView *v)
{
	buf_printf(out, "%s %s; ", v->release, rollout_look(v->state)->word);
	put_step(out, v);
	buf_printf(out, "%sevidence %s", v->step < v->n_stages ? "; " : "", show_odds(v->log_k).s);
	if (v->gate != NULL && v->gate[0] != '\0')
		buf_printf(out, "; %s", v->gate);
}

void rollout_table(struct buf *out, const struct term *term, const Pb__AdminReply *m)
{
	static const struct column columns[] = { { "RELEASE", false }, { "STATE", false },
		{ "AGE", true }, { "STEP", false }, { "EVIDENCE", true }, { "GATE", false } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };
	uint64_t now_ms = m->checkpoint->time_ms;

	for (size_t i = 0; i < m->n_rollouts; i++) {
		const Pb__RolloutView *v = m->rollouts[i];
		const struct state_look *look = rollout_look(v->state);
		struct buf step = { 0 };
		put_step(&step, v);
		table_cell(&t, STYLE_PLAIN, "%s", v->release);
		table_cell(&t, look->style, "%s %s", icon(term, look->icon), look->word);
		table_cell(&t, STYLE_PLAIN, "%s",
			show_age(now_ms > v->since_ms ? now_ms - v->since_ms : 0).s);
		table_cell(&t, STYLE_PLAIN, "%s", buf_text(&step));
		table_cell(&t, STYLE_PLAIN, "%s", show_odds(v->log_k).s);
		table_cell(&t, STYLE_PLAIN, "%s", v->gate != NULL ? v->gate : "");
		buf_release(&step);
	}
	table_print(&t, term, out);
}

static void json_words(struct json *j, const char *key, const char *const *words, size_t n)
{
	json_array(j, key);
	for (size_t i = 0; i < n; i++)
		json_str(j, NULL, words[i]);
	json_end_array(j);
}

static void json_ratio(struct json *j, const Pb__StageView *s)
{
	if (!s->has_ratio)
		return;
	json_object(j, "crash_ratio");
	json_double(j, "estimate", s->ratio);
	if (s->has_ratio_low)
		json_double(j, "low", s->ratio_low);
	if (s->has_ratio_high)
		json_double(j, "high", s->ratio_high);
	json_end_object(j);
}

uint64_t stage_since_ms(const Pb__StageView *v)
{
	return v->has_resumed_ms ? v->resumed_ms : v->opened_ms;
}

static void json_stage(struct json *j, const Pb__StageView *s)
{
	json_object(j, NULL);
	json_str(j, "ring", ring_word(s->ring));
	json_u64(j, "lower_ppm", s->lower);
	json_u64(j, "upper_ppm", s->upper);
	json_str(j, "state", stage_look(s->state)->word);
	json_bool(j, "holdback", s->holdback);
	json_time(j, "opened", s->opened_ms);
	if (s->has_resumed_ms)
		json_time(j, "resumed", s->resumed_ms);
	json_u64(j, "soak_ms", s->soak_ms);
	json_u64(j, "tolerance_ppm", s->tolerance_ppm);
	json_u64(j, "ring_devices", s->ring_devices);
	json_u64(j, "offered", s->offered);
	json_u64(j, "installed", s->installed);
	json_u64(j, "boot_ok", s->boot_ok);
	json_u64(j, "failed", s->failed);
	json_u64(j, "crashed", s->crashed);
	if (s->has_expected)
		json_double(j, "crashed_expected", s->expected);
	json_u64(j, "control", s->control);
	json_u64(j, "control_crashed", s->control_crashed);
	json_ratio(j, s);
	json_double(j, "log_e", s->log_e);
	json_end_object(j);
}

static void json_rollout(
	struct json *j, const char *key, const Pb__RolloutView *v, const char *gate)
{
	json_object(j, key);
	json_str(j, "release", v->release);
	json_hex(j, "rollout_id", wire_bytes(v->rollout_id));
	json_str(j, "state", rollout_look(v->state)->word);
	json_time(j, "since", v->since_ms);
	json_str(j, "plan", v->plan);
	json_str(j, "line", v->line);
	json_words(j, "builds", v->build_ids, v->n_build_ids);
	json_words(j, "products", v->products, v->n_products);
	json_words(j, "approved_by", v->approved_by, v->n_approved_by);
	json_u64(j, "approvals_needed", v->threshold);
	json_u64(j, "step", v->step);
	json_double(j, "log_k", v->log_k);
	json_str(j, "gate", gate);
	if (v->mute != NULL)
		json_str(j, "no_crash_reports_from", v->mute);
	json_array(j, "stages");
	for (size_t i = 0; i < v->n_stages; i++)
		json_stage(j, v->stages[i]);
	json_end_array(j);
	json_end_object(j);
}

void rollout_json_one(struct json *j, const char *key, const Pb__RolloutView *v)
{
	json_rollout(j, key, v, v->gate != NULL ? v->gate : "");
}

void rollout_json(struct buf *out, const Pb__AdminReply *m)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.rollout/1");
	json_str(&j, "repository", m->checkpoint->repository);
	json_time(&j, "time", m->checkpoint->time_ms);
	json_array(&j, "rollouts");
	for (size_t i = 0; i < m->n_rollouts; i++)
		rollout_json_one(&j, NULL, m->rollouts[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

/* The gate's sentence counts minutes and devices: what it says stays when they are left
 * out. */
static void put_letters(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < '0' || *s > '9')
			buf_add(out, s, 1);
}

void rollout_shape(struct buf *out, const Pb__AdminReply *m)
{
	struct json j = { out, false };
	struct buf gate = { 0 };

	for (size_t i = 0; i < m->n_rollouts; i++) {
		gate.len = 0;
		if (m->rollouts[i]->gate != NULL)
			put_letters(&gate, m->rollouts[i]->gate);
		json_rollout(&j, NULL, m->rollouts[i], buf_text(&gate));
	}
	buf_release(&gate);
}
