/* SPDX-License-Identifier: Apache-2.0 */
/* fleet import: rows of a file, checked, packed, uploaded, ordered, and followed to the end. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/fleetpack.h"
#include "server/ctl/sign.h"
#include "server/ctl/targets.h"
#include "server/ctl/upload.h"

#define BAD_SHOWN   20u
#define PROGRESS_MS 200u
#define ASK_MS      50u
#define STALLED_MS  60000u /* without a row: something is wrong with the server */
#define CHECK_EVERY 4096u  /* rows */

struct import_run {
	struct ctl *c;
	const char *path;
	struct fleetpack *pack;
	struct reply builds; /* those that are known to the server */
	uint64_t bad;
	bool terminal;
	uint64_t last_ms;
	struct file_facts facts;
};

/* ---- rows ---- */

static void tell_bad(void *ctx, uint32_t line, const char *why)
{
	struct import_run *r = ctx;

	if (r->terminal && r->bad == 0)
		note("\r%-60s\r", "");
	if (r->bad++ < BAD_SHOWN)
		note("%s:%u: %s", r->path, line, why);
}

static bool knows_build(const struct import_run *r, const struct fleet_row *row)
{
	const Pb__AdminReply *m = r->builds.m;

	if (m == NULL || row->build[0] == '\0' || row->build[0] == '#')
		return true;
	for (size_t i = 0; i < m->n_builds; i++)
		if (strcmp(m->builds[i]->build_id, row->build) == 0 &&
			strcmp(m->builds[i]->product, row->product) == 0)
			return true;
	return false;
}

static void show_reading(struct import_run *r, const struct fleetfile *f, uint64_t rows)
{
	uint64_t now_ms = clock_mono_ms();

	if (!r->terminal || now_ms - r->last_ms < PROGRESS_MS)
		return;
	r->last_ms = now_ms;
	(void)fprintf(stderr, "\rReading  %s rows, %s ", show_count(rows).s,
		show_size(fleetfile_bytes(f)).s); /* only decoration */
}

static int take_row(struct import_run *r, const struct fleet_row *row)
{
	char why[FLEET_WHY_MAX];
	int err;

	if (!knows_build(r, row)) {
		(void)snprintf(why, sizeof(why),
			"build %.40s is not published for %.40s, nor a factory build", row->build,
			row->product);
		tell_bad(r, row->line, why);
		return 0;
	}
	err = fleetpack_add(r->pack, row);
	if (err == -E2BIG)
		return fail(EXIT_USAGE, "split the file", "%s:%u: more than 256 products", r->path,
			row->line);
	return err == 0 ? 0
			: fail(exit_of(err), "TMPDIR=FOLDER huiductl fleet import FILE",
				  "packing the rows: %s", err_str(err));
}

static int read_rows(struct import_run *r, struct fleetfile *f)
{
	char why[FLEET_WHY_MAX];
	enum fleetfile_end end;
	struct fleet_row row;
	uint64_t n = 0;
	int err = 0;

	while (err == 0 && (end = fleetfile_next(f, &row, why)) != FLEETFILE_END) {
		if (end == FLEETFILE_BAD)
			tell_bad(r, row.line, why);
		else
			err = take_row(r, &row);
		if (++n % CHECK_EVERY == 0)
			show_reading(r, f, n);
	}
	if (err == 0 && fleetfile_error(f) != 0)
		err = fail(EXIT_FAILED, NULL, "%s: %s", r->path, err_str(fleetfile_error(f)));
	if (r->terminal)
		(void)fprintf(stderr, "\r%-60s\r", ""); /* only decoration */
	return err;
}

/* Bad rows are told of, and are a reason to stop unless it was said that they are none. */
static int judge_bad(struct import_run *r)
{
	const struct fleetpack_sums *s = fleetpack_sums(r->pack);

	if (r->bad > BAD_SHOWN)
		note("%s: and %s more", r->path, show_count(r->bad - BAD_SHOWN).s);
	if (r->bad > 0 && r->c->args.skip_bad != FLAG_YES)
		return fail(EXIT_USAGE, "huiductl fleet import FILE --skip-bad, for the other rows",
			"%s: %s bad row%s: nothing was imported", r->path, show_count(r->bad).s,
			r->bad == 1 ? "" : "s");
	if (s->rows == 0)
		return fail(EXIT_USAGE, "huiductl help fleet import", "%s: no rows", r->path);
	return 0;
}

static int pack_rows(struct import_run *r)
{
	struct fleetfile *f;
	char error[256];
	const char *path;
	int err = fleetfile_open(r->path, &f, error);

	if (err != 0)
		return fail(exit_of(err), "huiductl help fleet import", "%s", error);
	err = fleetpack_new(&r->pack);
	if (err != 0)
		err = fail(exit_of(err), "TMPDIR=FOLDER huiductl fleet import FILE",
			"packing the rows: %s", err_str(err));
	else
		err = read_rows(r, f);
	fleetfile_close(f);
	if (err != 0)
		return err;
	fleetpack_drop_twins(r->pack, tell_bad, r);
	err = fleetpack_write(r->pack, &path);
	if (err == 0)
		err = file_facts(path, &r->facts);
	if (err != 0)
		return fail(exit_of(err), "TMPDIR=FOLDER huiductl fleet import FILE",
			"packing the rows: %s", err_str(err));
	err = judge_bad(r);
	return err != 0 || r->c->args.dry_run == FLAG_YES
		? err
		: upload(r->c, path, r->facts.length, wire_data(r->facts.sha256, SHA256_LEN), true);
}

/* ---- the command ---- */

/* Where one person is all there is, he need not say twice what the file says. */
static bool keeps_dates(const struct import_run *r)
{
	bool alone = strcmp(r->c->root->root->profile, "solo") == 0;

	return fleetpack_sums(r->pack)->dated > 0 && (alone || r->c->args.keep_dates == FLAG_YES);
}

static void fill_in(const struct import_run *r, Pb__Import *m)
{
	const struct fleetpack_sums *s = fleetpack_sums(r->pack);
	union {
		char **in;
		const char **out;
	} u = { s->products };

	*m = (Pb__Import)PB__IMPORT__INIT;
	m->sha256 = wire_data(r->facts.sha256, SHA256_LEN);
	m->length = r->facts.length;
	m->rows = (uint32_t)s->rows;
	m->products = u.out;
	m->n_products = s->n_products;
	m->core = (uint32_t)s->ring[RING_CORE];
	m->honour = (uint32_t)s->ring[RING_HONOUR];
	m->dev = (uint32_t)s->ring[RING_DEV];
	m->has_core = m->core > 0;
	m->has_honour = m->honour > 0;
	m->has_dev = m->dev > 0;
	m->has_dates = m->dates = keeps_dates(r);
	if (s->dated > 0 && !m->dates)
		note("Dates of enrolment are not kept: today counts. --keep-dates takes two people");
}

static int order(struct import_run *r, struct reply *out)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	struct ctl *c = r->c;
	struct reply seen;
	struct hand hand;
	Pb__Import m;
	int err;

	fill_in(r, &m);
	if ((m.core > 0 || m.dates) && strcmp(c->root->root->profile, "solo") != 0)
		command.expires = SHARED_LIFE_S;
	command.import = &m;
	command.reason = c->args.reason;
	c->next = "huiductl pending; huiductl ring show";
	err = hand_take(c, HAND(TESTER) | HAND(RELEASE) | HAND(APPROVER), 1, &hand);
	if (err != 0)
		return err;
	err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &seen);
	if (err == 0) {
		err = ctl_command(c, &command, &hand.key[0], seen.m->checkpoint, out);
		reply_release(&seen);
	}
	hand_release(&hand);
	return err;
}

/* ---- the end ---- */

static int ask_view(struct import_run *r, struct reply *out)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;

	q.kind = PB__QUERY_KIND__QUERY_ARTIFACT;
	q.has_sha256 = q.has_rows = q.rows = true;
	q.sha256 = wire_data(r->facts.sha256, SHA256_LEN);
	return ctl_ask(r->c, ENVELOPE_QUERY, &q, out);
}

static int follow(struct import_run *r, struct reply *out)
{
	const struct timespec pause = { 0, ASK_MS * 1000000L };
	uint64_t done = UINT64_MAX, since_ms = 0;

	for (;;) {
		int err = ask_view(r, out);
		const Pb__ImportView *v = err == 0 ? out->m->import : NULL;
		uint64_t now_ms = clock_mono_ms();
		if (err != 0)
			return err;
		if (v == NULL)
			return fail(EXIT_FAILED, "huiductl log tail",
				"the server does not know of the import any more");
		if (r->terminal)
			(void)fprintf(stderr, "\rImporting  %3u %%  of %s rows ",
				(unsigned)(v->done * 100 / v->rows),
				show_count(v->rows).s); /* only decoration */
		if (v->done >= v->rows)
			break;
		if (done != v->done)
			since_ms = now_ms;
		if (now_ms - since_ms > STALLED_MS)
			return fail(EXIT_FAILED, "huiductl doctor; the server's log says why",
				"the server stopped at row %llu of %llu; it goes on by itself",
				(unsigned long long)v->done, (unsigned long long)v->rows);
		done = v->done;
		reply_release(out);
		(void)nanosleep(&pause, NULL); /* shorter does no harm */
	}
	if (r->terminal)
		(void)fprintf(stderr, "\r%-60s\r", ""); /* only decoration */
	return 0;
}

static void end_json(const struct import_run *r, const Pb__ImportView *v, struct buf *out)
{
	struct json j = { out, false };
	const struct fleetpack_sums *s = fleetpack_sums(r->pack);

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.import/1");
	json_hex(&j, "sha256", bytes_of(r->facts.sha256, SHA256_LEN));
	json_u64(&j, "rows", s->rows);
	json_u64(&j, "bad", r->bad);
	for (unsigned i = 0; i < RING__COUNT; i++)
		json_u64(&j, ring_str((enum ring)i), s->ring[i]);
	if (v != NULL) {
		json_u64(&j, "added", v->added);
		json_u64(&j, "known", v->known);
		json_u64(&j, "conflicts", v->conflicts);
		json_u64(&j, "waiting", v->waiting);
	}
	json_end_object(&j);
	buf_str(out, "\n");
}

static void rows_text(const struct import_run *r, struct buf *out)
{
	const struct fleetpack_sums *s = fleetpack_sums(r->pack);
	char hex[2 * SHA256_LEN + 1];

	buf_printf(out, "%s row%s of ", show_count(s->rows).s, s->rows == 1 ? "" : "s");
	for (size_t i = 0; i < s->n_products && i < 3; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", s->products[i]);
	buf_printf(out, "%s; ", s->n_products > 3 ? ", ..." : "");
	buf_printf(out, "core %s, ", show_count(s->ring[RING_CORE]).s);
	buf_printf(out, "honour %s, ", show_count(s->ring[RING_HONOUR]).s);
	buf_printf(out, "dev %s\n", show_count(s->ring[RING_DEV]).s);
	buf_printf(out, "  rows %s\n", hex_encode(hex, r->facts.sha256, SHA256_LEN));
}

static void end_text(const struct import_run *r, const Pb__ImportView *v, struct buf *out)
{
	const struct term *t = &r->c->term;

	put(out, t, v->conflicts > 0 ? STYLE_WARN : STYLE_GOOD, "%s",
		icon(t, v->conflicts > 0 ? ICON_WARNING : ICON_DONE));
	if (v->added == 0 && v->conflicts == 0)
		buf_printf(out, " all %s devices were there: nothing changed\n",
			show_count(v->known).s);
	else
		buf_printf(out, " %s devices added\n", show_count(v->added).s);
	if (v->added > 0 && v->known > 0)
		buf_printf(out, "  %s were there, and stay as they are\n", show_count(v->known).s);
	if (v->waiting > 0)
		buf_printf(out, "  %s wait for a seat\n", show_count(v->waiting).s);
	if (v->conflicts > 0)
		buf_printf(out, "  %s contradict what is there: nothing was done with them\n",
			show_count(v->conflicts).s);
	buf_str(out, "Next: huiductl ring show\n");
}

static int end(struct import_run *r, const struct reply *ordered)
{
	struct buf out = { 0 };
	struct reply last;
	uint64_t conflicts;
	int err;

	if (ordered->m->text != NULL) { /* it waits for another person */
		rows_text(r, &out);
		buf_printf(&out, "  %s\n", ordered->m->text);
		return ctl_print(&out);
	}
	err = follow(r, &last);
	if (err != 0)
		return err;
	for (size_t i = 0; i < last.m->import->n_troubles; i++)
		note("%s:%u: %s", r->path, last.m->import->troubles[i]->line,
			last.m->import->troubles[i]->why);
	conflicts = last.m->import->conflicts;
	(ctl_json(r->c) ? end_json : end_text)(r, last.m->import, &out);
	reply_release(&last);
	err = ctl_print(&out);
	return err != 0 ? err : conflicts > 0 ? EXIT_CONFLICT : 0;
}

static int only_check(struct import_run *r)
{
	struct buf out = { 0 };

	if (ctl_json(r->c)) {
		end_json(r, NULL, &out);
		return ctl_print(&out);
	}
	rows_text(r, &out);
	buf_str(&out, "Nothing was imported.\nNext: huiductl fleet import, without --dry-run\n");
	return ctl_print(&out);
}

int cmd_fleet_import(struct ctl *c)
{
	struct import_run r = {
		.c = c, .path = c->args.words.v[0], .terminal = isatty(STDERR_FILENO) == 1
	};
	struct reply ordered;
	int err = ctl_root(c);

	if (err == 0)
		err = ctl_query(c, PB__QUERY_KIND__QUERY_BUILDS, NULL, &r.builds);
	if (err == 0)
		err = pack_rows(&r);
	if (err == 0 && c->args.dry_run == FLAG_YES) {
		err = only_check(&r);
	} else if (err == 0) {
		err = order(&r, &ordered);
		if (err == 0) {
			err = end(&r, &ordered);
			reply_release(&ordered);
		}
	}
	reply_release(&r.builds);
	fleetpack_free(r.pack);
	return err;
}
