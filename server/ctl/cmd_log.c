/* SPDX-License-Identifier: Apache-2.0 */
/* log verify, export: anybody can check what was done, and show others. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/audit.h"
#include "server/ctl/cmds.h"
#include "server/ctl/decode.h"
#include "server/ctl/follow.h"
#include "server/ctl/log_export.h"
#include "server/ctl/log_seen.h"
#include "server/ctl/sign.h"

/* Every entry there is, in order; `note` gets the checkpoint that came with the last. */
static int read_all(struct ctl *c, struct buf *note,
	int (*take)(void *ctx, struct bytes entry, char error[AUDIT_ERROR_MAX]), void *ctx)
{
	char error[AUDIT_ERROR_MAX];
	uint64_t from = 0;
	size_t n = 1;

	while (n > 0) {
		struct reply r;
		int err = log_page(c, from, &r);
		if (err != 0)
			return err;
		n = r.m->log->n_entries;
		for (size_t i = 0; err == 0 && i < n; i++)
			err = take(ctx, wire_bytes(r.m->log->entries[i]), error);
		note->len = 0;
		buf_add(note, r.m->log->checkpoint.data, r.m->log->checkpoint.len);
		from += n;
		reply_release(&r);
		if (err != 0)
			return fail(EXIT_FAILED,
				"keep this output and huiductl log export; ask who runs the server",
				"the log does not hold: %s", error);
	}
	return 0;
}

/* ---- verify ---- */

static int take_audit(void *ctx, struct bytes entry, char error[AUDIT_ERROR_MAX])
{
	return audit_add(ctx, entry, error);
}

static void put_checkpoint(struct buf *out, const char *which, const struct checkpoint *p)
{
	char hex[2 * SHA256_LEN + 1];

	buf_printf(out, "  %-5s %10llu entries, root %s\n", which, (unsigned long long)p->size,
		hex_encode(hex, p->root, SHA256_LEN));
}

/* A log that shrank or tells another story: both checkpoints, for people to compare. */
static int fail_forked(const struct checkpoint *seen, const struct checkpoint *now, bool shrank)
{
	struct buf both = { 0 };
	int code;

	put_checkpoint(&both, "seen", seen);
	put_checkpoint(&both, "now", now);
	code = fail(EXIT_FAILED, "keep both; compare with what others saw: this must not happen",
		"the log %s\n%.*s",
		shrank ? "is shorter than the one this machine saw before"
		       : "is not a continuation of the one this machine saw before",
		(int)both.len - 1, buf_text(&both));
	buf_release(&both);
	return code;
}

static int check_seen(
	struct ctl *c, const struct audit *a, const struct checkpoint *now, struct checkpoint *seen)
{
	int err = log_seen_read(c, seen);

	if (err == -ENOENT) {
		seen->size = 0;
		return 0;
	}
	if (err != 0)
		return fail(exit_of(err), "look at it, and remove it",
			"the checkpoint kept beside %s: %s", c->context.root, err_str(err));
	if (seen->size > now->size)
		return fail_forked(seen, now, true);
	if (seen->size > 0 && memcmp(seen->root, a->roots[seen->size - 1], SHA256_LEN) != 0)
		return fail_forked(seen, now, false);
	return 0;
}

static void verify_json(struct buf *out, const struct audit *a, const struct checkpoint *now,
	const struct checkpoint *seen)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.log-verify/1");
	json_u64(&j, "size", now->size);
	json_hex(&j, "root", bytes_of(now->root, SHA256_LEN));
	json_u64(&j, "roots", a->n_roots);
	json_u64(&j, "commands", a->n_commands);
	json_u64(&j, "decisions", a->n_decisions);
	json_u64(&j, "directives", a->n_directives);
	json_u64(&j, "seeds", a->n_seeds);
	json_u64(&j, "seen_before", seen->size);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void verify_text(struct ctl *c, struct buf *out, const struct audit *a,
	const struct checkpoint *now, const struct checkpoint *seen)
{
	char hex[2 * SHA256_LEN + 1];

	put(out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(out, " log of '%s': %s entries, signed by the log's key\n",
		c->context.repository, show_count(now->size).s);
	buf_printf(out, "  root       %s\n", hex_encode(hex, now->root, SHA256_LEN));
	buf_printf(
		out, "  roots      %s, each signed by the one before\n", show_count(a->n_roots).s);
	buf_printf(out, "  commands   %s, each signed by somebody who might\n",
		show_count(a->n_commands).s);
	buf_printf(out, "  decisions  %s", show_count(a->n_decisions).s);
	buf_printf(
		out, " and %s directives, signed by the server\n", show_count(a->n_directives).s);
	buf_printf(out, "  seeds      %s, as the log drew them\n", show_count(a->n_seeds).s);
	if (seen->size > 0)
		buf_printf(out, "  it goes on from the %s entries this machine saw before\n",
			show_count(seen->size).s);
	else
		buf_str(out, "  this machine sees it for the first time, and will know it again\n");
	buf_str(out, "Next: huiductl log export DIR, so that others can check it too\n");
}

int cmd_log_verify(struct ctl *c)
{
	char error[AUDIT_ERROR_MAX] = "";
	struct checkpoint now = { 0 }, seen = { 0 };
	struct buf note = { 0 }, out = { 0 };
	struct audit *a;
	int err = ctl_root(c);

	if (err != 0)
		return err;
	(void)root_follow(c); /* either way the log must hold the root that is here */
	a = audit_new(c->root);
	err = read_all(c, &note, take_audit, a);
	if (err == 0 && audit_end(a, buf_bytes(&note), &now, error) != 0)
		err = fail(EXIT_FAILED,
			"keep this output and huiductl log export; ask who runs the server",
			"the log does not hold: %s", error);
	if (err == 0)
		err = check_seen(c, a, &now, &seen);
	if (err == 0)
		err = log_seen_write(c, &now, buf_bytes(&note));
	if (err == 0 && ctl_json(c))
		verify_json(&out, a, &now, &seen);
	else if (err == 0)
		verify_text(c, &out, a, &now, &seen);
	audit_free(a);
	buf_release(&note);
	return err != 0 ? err : ctl_print(&out);
}

/* ---- export ---- */

static int take_export(void *ctx, struct bytes entry, char error[AUDIT_ERROR_MAX])
{
	int err = log_export_add(ctx, entry);

	if (err != 0)
		(void)snprintf(error, AUDIT_ERROR_MAX, "%s", err_str(err));
	return err;
}

int cmd_log_export(struct ctl *c)
{
	const char *folder = c->args.words.v[0];
	struct log_export *e = log_export_new(folder);
	struct buf note = { 0 }, out = { 0 };
	struct checkpoint p;
	struct arena a = arena_new(DECODE_ARENA);
	int err = ctl_root(c);

	if (err == 0)
		err = read_all(c, &note, take_export, e);
	if (err == 0) {
		int fault =
			checkpoint_read(crypto_openssl(), buf_bytes(&note), c->root->root, &a, &p);
		if (fault == 0)
			fault = log_export_end(e, &p, buf_bytes(&note));
		if (fault != 0)
			err = fail(exit_of(fault), "huiductl log verify; huiductl root update",
				"%s: %s", folder, err_str(fault));
	}
	if (err == 0) {
		put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
		buf_printf(&out, " %s: checkpoint and tiles of %s entries\n", folder,
			show_count(p.size).s);
		buf_printf(&out, "Next: serve %s as static files; huiductl log verify\n", folder);
	}
	log_export_free(e);
	buf_release(&note);
	free(a.base);
	return err != 0 ? err : ctl_print(&out);
}
