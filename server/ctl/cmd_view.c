/* SPDX-License-Identifier: Apache-2.0 */
/* What only looks: rollouts, devices, rings, the log. */
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/rollout_view.h"
#include "server/ctl/table.h"
#include "server/ctl/watch.h"

static const char *word(const struct ctl *c)
{
	return c->args.words.n > 0 ? c->args.words.v[0] : NULL;
}

static void no_rollout(const char *name)
{
	if (name == NULL)
		note("no rollout yet. Next: huiductl rollout create RELEASE --plan PLAN.yaml");
}

int cmd_rollout_watch(struct ctl *c)
{
	return watch_rollouts(c, word(c));
}

int cmd_rollout_get(struct ctl *c)
{
	struct buf out = { 0 };
	struct reply r;
	int err;

	if (c->args.watch == FLAG_YES)
		return watch_rollouts(c, word(c));
	err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, word(c), &r);
	if (err != 0)
		return err;
	if (r.m->n_rollouts == 0 && word(c) != NULL)
		err = fail(EXIT_NOT_FOUND, "huiductl rollout list", "no rollout '%s'", word(c));
	else if (ctl_json(c))
		rollout_json(&out, r.m);
	else if (r.m->n_rollouts == 0)
		no_rollout(word(c));
	else
		watch_draw(c, r.m, &out);
	reply_release(&r);
	return err != 0 ? err : ctl_print(&out);
}

int cmd_rollout_status(struct ctl *c)
{
	return watch_status(c, word(c), c->args.timeout.v, c->args.watch == FLAG_NO);
}

int cmd_rollout_list(struct ctl *c)
{
	struct buf out = { 0 };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, NULL, &r);

	if (err != 0)
		return err;
	if (ctl_json(c))
		rollout_json(&out, r.m);
	else if (r.m->n_rollouts > 0)
		rollout_table(&out, &c->term, r.m);
	else
		no_rollout(NULL);
	reply_release(&r);
	return ctl_print(&out);
}

static void rings_json(struct buf *out, const Pb__AdminReply *m, const char *line)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.ring/1");
	json_array(&j, "rings");
	for (size_t i = 0; i < m->n_rings; i++) {
		const Pb__RingView *v = m->rings[i];
		if (line != NULL && strcmp(line, v->line) != 0)
			continue;
		json_object(&j, NULL);
		json_str(&j, "line", v->line);
		json_str(&j, "ring", ring_word(v->ring));
		json_u64(&j, "seats", v->seats);
		json_u64(&j, "taken", v->taken);
		json_u64(&j, "waiting", v->waiting);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void rings_text(
	struct buf *out, const struct term *term, const Pb__AdminReply *m, const char *line)
{
	static const struct column columns[] = { { "LINE", false }, { "RING", false },
		{ "SEATS", true }, { "TAKEN", true }, { "FREE", true }, { "WAITING", true } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };

	for (size_t i = 0; i < m->n_rings; i++) {
		const Pb__RingView *v = m->rings[i];
		uint64_t left = v->seats > v->taken ? v->seats - v->taken : 0;
		if (line != NULL && strcmp(line, v->line) != 0)
			continue;
		table_cell(&t, STYLE_PLAIN, "%s", v->line);
		table_cell(&t, STYLE_PLAIN, "%s", ring_word(v->ring));
		table_cell(
			&t, STYLE_PLAIN, "%s", v->seats > 0 ? show_count(v->seats).s : "the rest");
		table_cell(&t, STYLE_PLAIN, "%s", show_count(v->taken).s);
		table_cell(&t, STYLE_PLAIN, "%s", v->seats > 0 ? show_count(left).s : "-");
		table_cell(&t, STYLE_PLAIN, "%s", show_count(v->waiting).s);
	}
	table_print(&t, term, out);
}

static bool has_line(const Pb__AdminReply *m, const char *line)
{
	bool found = line == NULL;

	for (size_t i = 0; i < m->n_rings; i++)
		found |= line != NULL && strcmp(m->rings[i]->line, line) == 0;
	return found;
}

int cmd_ring_show(struct ctl *c)
{
	struct buf out = { 0 };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_RINGS, NULL, &r);

	if (err != 0)
		return err;
	if (!has_line(r.m, word(c)))
		err = fail(EXIT_NOT_FOUND, "huiductl ring show", "no line '%s'", word(c));
	else if (ctl_json(c))
		rings_json(&out, r.m, word(c));
	else
		rings_text(&out, &c->term, r.m, word(c));
	reply_release(&r);
	return err != 0 ? err : ctl_print(&out);
}

int cmd_log_checkpoint(struct ctl *c)
{
	char hex[2 * SHA256_LEN + 1] = "";
	struct buf out = { 0 };
	struct json j = { &out, false };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &r);

	if (err != 0)
		return err;
	if (ctl_json(c)) {
		json_object(&j, NULL);
		json_str(&j, "schema", "huidu.log/1");
		json_str(&j, "repository", r.m->checkpoint->repository);
		json_u64(&j, "size", r.m->checkpoint->size);
		json_hex(&j, "root", wire_bytes(r.m->checkpoint->root));
		json_time(&j, "time", r.m->checkpoint->time_ms);
		json_end_object(&j);
		buf_str(&out, "\n");
	} else {
		if (r.m->checkpoint->root.len == SHA256_LEN)
			(void)hex_encode(hex, r.m->checkpoint->root.data, SHA256_LEN);
		buf_printf(&out, "%s  size %llu  root %s\n", r.m->checkpoint->repository,
			(unsigned long long)r.m->checkpoint->size, hex);
	}
	reply_release(&r);
	return ctl_print(&out);
}
