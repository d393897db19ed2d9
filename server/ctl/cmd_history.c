/* SPDX-License-Identifier: Apache-2.0 */
/* rollout history: all of it, in pages. */
#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/table.h"

/* Pages of the history, the newest first; each is in the log's order. */
struct pages {
	struct reply *v;
	size_t n;
};

static bool ends_before(const Pb__AdminReply *m, uint64_t index)
{
	return m->n_history == 0 || m->history[m->n_history - 1]->index < index;
}

static int fetch_page(struct ctl *c, const struct pages *p, struct reply *out)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	int err;

	q.kind = PB__QUERY_KIND__QUERY_HISTORY;
	q.name = c->args.words.n > 0 ? c->args.words.v[0] : NULL;
	q.has_from = p->n > 0;
	q.from = p->n > 0 ? p->v[p->n - 1].m->history[0]->index : 0;
	err = ctl_ask(c, ENVELOPE_QUERY, &q, out);
	if (err != 0 || !q.has_from || ends_before(out->m, q.from))
		return err;
	reply_release(out);
	return fail(EXIT_FAILED, "huiductl version, on both ends",
		"the server's answer is not the history before entry %llu",
		(unsigned long long)q.from);
}

static void release_pages(struct pages *p)
{
	while (p->n > 0)
		reply_release(&p->v[--p->n]);
	free(p->v);
}

/* Until a page is empty. */
static int fetch_history(struct ctl *c, struct pages *p)
{
	for (;;) {
		struct reply r;
		int err = fetch_page(c, p, &r);
		if (err != 0)
			return err;
		if (r.m->n_history == 0) {
			reply_release(&r);
			return 0;
		}
		p->v = mem_resize(p->v, p->n + 1, sizeof(*p->v));
		p->v[p->n++] = r;
	}
}

static void entry_json(struct json *j, const Pb__HistoryView *h)
{
	json_object(j, NULL);
	json_u64(j, "index", h->index);
	json_time(j, "time", h->time_ms);
	json_str(j, "who", h->who);
	json_str(j, "what", h->what);
	if (h->why != NULL)
		json_str(j, "why", h->why);
	json_end_object(j);
}

static void history_json(struct buf *out, const struct pages *p)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.history/1");
	json_array(&j, "entries");
	for (size_t k = p->n; k > 0; k--)
		for (size_t i = 0; i < p->v[k - 1].m->n_history; i++)
			entry_json(&j, p->v[k - 1].m->history[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void entry_row(struct table *t, const Pb__HistoryView *h)
{
	table_cell(t, STYLE_PLAIN, "%llu", (unsigned long long)h->index);
	table_cell(t, STYLE_PLAIN, "%s", show_minute(h->time_ms).s);
	table_cell(t, STYLE_PLAIN, "%s", h->who);
	table_cell(t, STYLE_PLAIN, "%s", h->what);
	table_cell(t, STYLE_PLAIN, "%s", h->why != NULL ? h->why : "");
}

static void history_text(struct buf *out, const struct term *term, const struct pages *p)
{
	static const struct column columns[] = { { "INDEX", true }, { "TIME (UTC)", false },
		{ "WHO", false }, { "WHAT", false }, { "WHY", false } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };

	for (size_t k = p->n; k > 0; k--)
		for (size_t i = 0; i < p->v[k - 1].m->n_history; i++)
			entry_row(&t, p->v[k - 1].m->history[i]);
	table_print(&t, term, out);
}

int cmd_rollout_history(struct ctl *c)
{
	struct buf out = { 0 };
	struct pages p = { 0 };
	int err = fetch_history(c, &p);

	if (err != 0)
		goto end;
	if (ctl_json(c))
		history_json(&out, &p);
	else if (p.n > 0)
		history_text(&out, &c->term, &p);
	else
		note("nothing happened yet");
	err = ctl_print(&out);
end:
	release_pages(&p);
	return err;
}
