/* SPDX-License-Identifier: Apache-2.0 */
/* artifact list, artifact gc */
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/table.h"

#define HASH_SHOWN 12

static bool may_go(const Pb__AdminReply *m, const Pb__FileView *f)
{
	return f->has_due_ms && f->due_ms <= m->checkpoint->time_ms;
}

static void file_json(struct json *j, const Pb__AdminReply *m, const Pb__FileView *f)
{
	json_object(j, NULL);
	json_hex(j, "sha256", wire_bytes(f->sha256));
	json_u64(j, "length", f->length);
	json_time(j, "since", f->since_ms);
	json_bool(j, "unfinished", f->has_unfinished && f->unfinished);
	if (f->needed != NULL)
		json_str(j, "needed", f->needed);
	if (f->build_id != NULL)
		json_str(j, "build", f->build_id);
	if (f->product != NULL)
		json_str(j, "product", f->product);
	if (f->has_due_ms)
		json_time(j, "due", f->due_ms);
	json_bool(j, "removed", f->has_removed && f->removed);
	json_bool(j, "may_go", may_go(m, f));
	json_end_object(j);
}

static void why(struct table *t, const Pb__AdminReply *m, const Pb__FileView *f)
{
	uint64_t now_ms = m->checkpoint->time_ms;
	const char *of = f->unfinished ? "an upload that did not end" : "nothing names it";

	if (f->build_id != NULL)
		table_cell(t, STYLE_PLAIN, "%s %s", f->product, f->build_id);
	else
		table_cell(t, STYLE_PLAIN, "-");
	if (f->needed != NULL)
		table_cell(t, STYLE_PLAIN, "%s", f->needed);
	else if (may_go(m, f))
		table_cell(t, STYLE_WARN, "%s", of);
	else
		table_cell(t, STYLE_PLAIN, "%s, may go in %s", f->unfinished ? "unfinished" : of,
			show_age(f->due_ms - now_ms).s);
}

static void files_text(struct buf *out, const struct term *term, const Pb__AdminReply *m, bool all)
{
	static const struct column columns[] = { { "SHA-256", false }, { "SIZE", true },
		{ "AGE", true }, { "BUILD", false }, { "NEEDED FOR", false } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };
	uint64_t now_ms = m->checkpoint->time_ms;

	for (size_t i = 0; i < m->n_files; i++) {
		const Pb__FileView *f = m->files[i];
		char hex[2 * SHA256_LEN + 1] = "";
		if (f->sha256.len != SHA256_LEN || (!all && !may_go(m, f)))
			continue;
		(void)hex_encode(hex, f->sha256.data, SHA256_LEN);
		table_cell(&t, STYLE_PLAIN, "%.*s", HASH_SHOWN, hex);
		table_cell(&t, STYLE_PLAIN, "%s", show_size(f->length).s);
		table_cell(&t, STYLE_PLAIN, "%s",
			show_age(now_ms > f->since_ms ? now_ms - f->since_ms : 0).s);
		why(&t, m, f);
	}
	table_print(&t, term, out);
}

/* How many may go, and their bytes. */
static size_t count(const Pb__AdminReply *m, uint64_t *bytes)
{
	size_t n = 0;

	*bytes = 0;
	for (size_t i = 0; i < m->n_files; i++)
		if (may_go(m, m->files[i])) {
			n++;
			*bytes += m->files[i]->length;
		}
	return n;
}

static void begin_json(struct json *j)
{
	json_object(j, NULL);
	json_str(j, "schema", "huidu.artifact/1");
	json_array(j, "artifacts");
}

static int end_json(struct json *j)
{
	json_end_array(j);
	json_end_object(j);
	buf_str(j->out, "\n");
	return ctl_print(j->out);
}

static int look(struct ctl *c, bool all)
{
	struct buf out = { 0 };
	struct json j = { &out, false };
	struct reply r;
	uint64_t bytes;
	size_t n;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_GC, NULL, &r);

	if (err != 0)
		return err;
	n = count(r.m, &bytes);
	if (ctl_json(c)) {
		begin_json(&j);
		for (size_t i = 0; i < r.m->n_files; i++)
			if (all || may_go(r.m, r.m->files[i]))
				file_json(&j, r.m, r.m->files[i]);
		err = end_json(&j);
	} else {
		if (all ? r.m->n_files > 0 : n > 0)
			files_text(&out, &c->term, r.m, all);
		err = ctl_print(&out);
		if (n > 0)
			note("%zu of them may go, %s. Next: huiductl artifact gc", n,
				show_size(bytes).s);
		else
			note("nothing to remove");
	}
	reply_release(&r);
	return err;
}

int cmd_artifact_list(struct ctl *c)
{
	return look(c, true);
}

/* Some at a time, so that nobody else waits for long. */
static int remove_all(struct ctl *c)
{
	struct buf out = { 0 };
	struct json j = { &out, false };
	uint64_t bytes = 0;
	size_t n = 0, more = 1;
	int err = 0;

	begin_json(&j);
	while (err == 0 && more > 0) {
		struct reply r;
		err = ctl_query(c, PB__QUERY_KIND__QUERY_GC, "remove", &r);
		if (err != 0)
			break;
		more = r.m->n_files;
		for (size_t i = 0; i < more; i++) {
			bytes += r.m->files[i]->length;
			file_json(&j, r.m, r.m->files[i]);
		}
		n += more;
		reply_release(&r);
	}
	if (ctl_json(c))
		return err != 0 ? (buf_release(&out), err) : end_json(&j);
	buf_release(&out);
	if (n > 0)
		note("%zu removed, %s", n, show_size(bytes).s);
	else if (err == 0)
		note("nothing to remove");
	return err;
}

int cmd_artifact_gc(struct ctl *c)
{
	return c->args.dry_run == FLAG_YES ? look(c, false) : remove_all(c);
}
