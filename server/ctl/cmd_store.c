/* SPDX-License-Identifier: Apache-2.0 */
/* store stat, check: what is in the store, and whether it is whole. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/store_at.h"
#include "server/ctl/table.h"
#include "server/store/check.h"
#include "server/store/entry.h"
#include "server/store/journal.h"
#include "server/trust/floor.h"

/* The three that have the log; `err` 0: it could be read. */
struct logs {
	struct signer_log ledger;
	int ledger_err;
	struct journal *journal;
	char journal_error[256];
};

/*
 * Before the store is: an entry is in the store first, then in the journal, then in the ledger, so that
 * beside a running server none of them may have more than it.
 */
static void read_logs(const struct store_at *at, struct logs *out)
{
	out->ledger_err = floor_peek(at->ledger, &out->ledger);
	out->journal_error[0] = '\0';
	if (journal_open_read(at->journal, &out->journal, out->journal_error) != 0)
		out->journal = NULL;
}

static const char *word(const struct ctl *c)
{
	return c->args.words.n > 0 ? c->args.words.v[0] : NULL;
}

/* ---- stat ---- */

struct facts {
	const char *path;
	struct store_info info;
	struct logs logs;
	bool alone; /* a copy in a file: there is no journal and no ledger to it */
	uint64_t entries, last_ms, disk_free;
};

static void stat_json(struct buf *out, const struct facts *f)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.store-stat/1");
	json_str(&j, "path", f->path);
	json_u64(&j, "format", f->info.format);
	json_u64(&j, "commit", f->info.last_commit);
	json_time(&j, "last", f->last_ms);
	json_u64(&j, "file_bytes", f->info.file_bytes);
	json_u64(&j, "free_bytes", f->info.free_bytes);
	json_u64(&j, "disk_free_bytes", f->disk_free);
	json_u64(&j, "log", f->entries);
	if (!f->alone && f->logs.journal != NULL)
		json_u64(&j, "journal", journal_count(f->logs.journal));
	if (!f->alone && f->logs.ledger_err == 0)
		json_u64(&j, "ledger", f->logs.ledger.size);
	json_array(&j, "tables");
	for (unsigned i = 0; i < STORE__COUNT; i++) {
		json_object(&j, NULL);
		json_str(&j, "table", store_table_str((enum store_table)i));
		json_u64(&j, "records", f->info.table[i].records);
		json_u64(&j, "bytes", f->info.table[i].bytes);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void stat_logs(struct buf *out, const struct facts *f)
{
	buf_printf(out, "  log      %s entries", show_count(f->entries).s);
	if (!f->alone && f->logs.journal != NULL)
		buf_printf(out, "; journal %s", show_count(journal_count(f->logs.journal)).s);
	else if (!f->alone)
		buf_str(out, "; journal not read");
	if (!f->alone && f->logs.ledger_err == 0)
		buf_printf(out, "; ledger %s", show_count(f->logs.ledger.size).s);
	else if (!f->alone)
		buf_printf(out, "; ledger not read: %s", err_str(f->logs.ledger_err));
	buf_str(out, "\n");
}

static void stat_text(struct ctl *c, struct buf *out, const struct facts *f)
{
	static const struct column columns[] = { { "TABLE", false }, { "RECORDS", true },
		{ "BYTES", true }, { "A RECORD", true } };
	struct table t = { .columns = columns, .n_columns = 4 };

	buf_printf(out, "%s: format %u, commit %s", f->path, f->info.format,
		show_count(f->info.last_commit).s);
	if (f->last_ms > 0)
		buf_printf(out, ", last signed %s", show_minute(f->last_ms).s);
	buf_printf(out, "\n  file     %s", show_size(f->info.file_bytes).s);
	buf_printf(out, ", of which %s are free; ", show_size(f->info.free_bytes).s);
	buf_printf(out, "disk: %s free\n", show_size(f->disk_free).s);
	stat_logs(out, f);
	buf_str(out, "\n");
	for (unsigned i = 0; i < STORE__COUNT; i++) {
		uint64_t n = f->info.table[i].records, bytes = f->info.table[i].bytes;
		table_cell(&t, STYLE_PLAIN, "%s", store_table_str((enum store_table)i));
		table_cell(&t, STYLE_PLAIN, "%s", show_count(n).s);
		table_cell(&t, STYLE_PLAIN, "%s", show_size(bytes).s);
		if (n > 0)
			table_cell(&t, STYLE_PLAIN, "%s B", show_count(bytes / n).s);
		else
			table_cell(&t, STYLE_PLAIN, "-");
	}
	table_print(&t, &c->term, out);
	buf_printf(out, "Next: huiductl store check%s%s\n", f->alone ? " " : "",
		f->alone ? f->path : "");
}

static int read_facts(struct facts *f)
{
	struct store_txn t;
	struct store *s;
	int err = store_at_open(f->path, &s);

	if (err != 0)
		return err;
	store_begin(s, &t, false);
	f->entries = entry_count(&t);
	f->last_ms = stored_last_ms(&t);
	err = t.err != 0 ? t.err : store_info(&t, &f->info);
	store_abort(&t);
	store_close(s);
	f->disk_free = disk_free(f->path);
	return err == 0
		? 0
		: fail(exit_of(err), "huiductl store check", "%s: %s", f->path, err_str(err));
}

int cmd_store_stat(struct ctl *c)
{
	struct facts f = { .path = word(c), .alone = word(c) != NULL };
	struct store_at at = { 0 };
	struct buf out = { 0 };
	int err = f.alone ? 0 : store_at_find(c, &at);

	if (err == 0 && !f.alone) {
		f.path = at.store;
		read_logs(&at, &f.logs);
	}
	if (err == 0)
		err = read_facts(&f);
	if (err == 0 && ctl_json(c))
		stat_json(&out, &f);
	else if (err == 0)
		stat_text(c, &out, &f);
	journal_close(f.logs.journal);
	store_at_release(&at);
	return err != 0 ? err : ctl_print(&out);
}

/* ---- check ---- */

struct look {
	struct ctl *c;
	const char *path;
	bool alone;
	bool only_journal; /* is wrong: the store can make it anew */
	struct logs logs;
	struct store_check check;
	struct buf out;
	struct json json;
};

static void say(struct look *l, const char *what, const char *says)
{
	const struct term *t = &l->c->term;

	if (ctl_json(l->c)) {
		json_object(&l->json, NULL);
		json_str(&l->json, "what", what);
		json_str(&l->json, "says", says);
		json_end_object(&l->json);
		return;
	}
	put(&l->out, t, STYLE_BAD, "%s", icon(t, ICON_HALTED));
	buf_printf(&l->out, " %s %s\n", what, says);
	/* At once: what comes next may be the end of this process. */
	(void)fwrite(l->out.data, 1, l->out.len, stdout);
	(void)fflush(stdout); /* if that is gone, so be it */
	l->out.len = 0;
}

static void found(void *ctx, const struct store_finding *f)
{
	struct buf what = { 0 };

	put_record(&what, f->table, f->key);
	say(ctx, buf_text(&what), f->says);
	buf_release(&what);
}

__attribute__((format(printf, 3, 4))) static void say_of(
	struct look *l, const char *what, const char *format, ...)
{
	char *says;
	va_list args;

	va_start(args, format);
	says = mem_vprintf(format, args);
	va_end(args);
	say(l, what, says);
	l->check.findings++;
	free(says);
}

static void check_ledger(struct look *l)
{
	const struct signer_log *ledger = &l->logs.ledger;

	if (l->logs.ledger_err != 0)
		return;
	if (ledger->size > l->check.log_size)
		say_of(l, "ledger",
			"has %" PRIu64 " entries and the log %" PRIu64
			": a backup was put in its place by hand",
			ledger->size, l->check.log_size);
	else if (l->check.has_at && memcmp(l->check.at_root, ledger->root, SHA256_LEN) != 0)
		say_of(l, "ledger", "has signed %" PRIu64 " other entries than the log has",
			ledger->size);
}

/* An entry that differs, and no more. */
static int compare_entry(void *ctx, uint64_t index, struct bytes entry)
{
	struct store_txn *t = ctx;
	struct bytes have;

	return entry_get(t, index, &have) && bytes_eq(entry, have) ? 0 : ERR_MISMATCH;
}

/* What is behind the entries that are whole is more than one that is being written. */
static bool is_damaged(const struct logs *l)
{
	return journal_rest(l->journal) > 0 && l->ledger_err == 0 &&
		journal_count(l->journal) < l->ledger.size;
}

static void check_journal(struct look *l, struct store_txn *t)
{
	uint64_t n;

	if (l->logs.journal == NULL)
		return;
	n = journal_count(l->logs.journal);
	if (n > l->check.log_size)
		say_of(l, "journal",
			"has %" PRIu64 " entries and the log %" PRIu64
			": a backup was put in its place by hand",
			n, l->check.log_size);
	else if (is_damaged(&l->logs)) {
		l->only_journal = l->check.findings == 0;
		say_of(l, "journal",
			"is damaged at entry %" PRIu64
			": huidud writes it anew from the store at its next start",
			n);
	} else if (journal_each(l->logs.journal, 0, compare_entry, t) != 0)
		say_of(l, "journal", "has other entries than the log");
	t->err = 0;
}

static void begin_json(struct look *l)
{
	l->json.out = &l->out;
	json_object(&l->json, NULL);
	json_str(&l->json, "schema", "huidu.store-check/1");
	json_str(&l->json, "path", l->path);
	json_array(&l->json, "findings");
}

static void end_json(struct look *l)
{
	json_end_array(&l->json);
	json_bool(&l->json, "ok", l->check.findings == 0);
	json_u64(&l->json, "records", l->check.records);
	json_u64(&l->json, "log", l->check.log_size);
	json_hex(&l->json, "root", bytes_of(l->check.log_root, SHA256_LEN));
	json_bool(&l->json, "journal", l->logs.journal != NULL);
	json_bool(&l->json, "ledger", !l->alone && l->logs.ledger_err == 0);
	json_end_object(&l->json);
	buf_str(&l->out, "\n");
}

static void end_text(struct look *l)
{
	struct buf *out = &l->out;
	bool ledger = !l->alone && l->logs.ledger_err == 0;

	if (l->check.findings > 0) {
		buf_printf(out, "%s: %s wrong\n", l->path, show_count(l->check.findings).s);
		buf_str(out,
			l->only_journal
				? "Next: copy the journal elsewhere, and start huidud again\n"
				: "Next: huiductl store restore BACKUP, the newest that is whole\n");
		return;
	}
	put(out, &l->c->term, STYLE_GOOD, "%s", icon(&l->c->term, ICON_DONE));
	buf_printf(out, " %s: %s records, each whole and fitting the others\n", l->path,
		show_count(l->check.records).s);
	buf_printf(out, "  log      %s entries", show_count(l->check.log_size).s);
	if (l->logs.journal != NULL && journal_count(l->logs.journal) < l->check.log_size)
		buf_printf(out, "; %s of them in the journal",
			show_count(journal_count(l->logs.journal)).s);
	else if (!l->alone)
		buf_printf(out, "; %s the journal",
			l->logs.journal != NULL ? "so has" : "not compared with");
	if (!l->alone)
		buf_printf(out, ", %s the ledger", ledger ? "signed as in" : "not compared with");
	buf_str(out, "\n");
	if (!l->alone && l->logs.journal == NULL)
		buf_printf(out, "  journal  %s\n", l->logs.journal_error);
	if (!l->alone && !ledger)
		buf_printf(out, "  ledger   %s\n", err_str(l->logs.ledger_err));
	buf_str(out,
		l->alone ? "Next: huiductl store restore FILE, when it is needed\n"
			 : "Next: huiductl store backup FILE\n");
}

static int look(void *ctx)
{
	struct look *l = ctx;
	struct store_txn t;
	struct store *s;
	int err = store_at_open(l->path, &s);

	if (err != 0)
		return err;
	if (ctl_json(l->c))
		begin_json(l);
	l->check.found = found;
	l->check.ctx = l;
	l->check.at = l->alone || l->logs.ledger_err != 0 ? 0 : l->logs.ledger.size;
	store_begin(s, &t, false);
	err = store_check(&t, &l->check);
	if (err == 0 || err == ERR_CORRUPT) {
		check_ledger(l);
		check_journal(l, &t);
	}
	store_abort(&t);
	store_close(s);
	if (err != 0 && err != ERR_CORRUPT)
		return fail(exit_of(err), "huiductl store check, once more", "%s: %s", l->path,
			err_str(err));
	(ctl_json(l->c) ? end_json : end_text)(l);
	err = ctl_print(&l->out);
	return err != 0 ? err : l->check.findings > 0 ? EXIT_FAILED : EXIT_DONE;
}

int cmd_store_check(struct ctl *c)
{
	struct look l = { .c = c, .path = word(c), .alone = word(c) != NULL };
	struct store_at at = { 0 };
	int err = l.alone ? 0 : store_at_find(c, &at);

	l.logs.ledger_err = l.alone ? -1 : 0;
	if (err == 0 && !l.alone) {
		l.path = at.store;
		read_logs(&at, &l.logs);
	}
	if (err == 0)
		err = in_child(look, &l);
	if (err < 0)
		err = fail(EXIT_FAILED, "huiductl store restore BACKUP, the newest that is whole",
			"%s: its pages are damaged: they cannot be read to the end", l.path);
	journal_close(l.logs.journal);
	store_at_release(&at);
	return err;
}
