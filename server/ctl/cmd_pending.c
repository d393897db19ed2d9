/* SPDX-License-Identifier: Apache-2.0 */
/* pending, decode, countersign, withdraw: commands that take more than one person. */
#include <errno.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/decode.h"
#include "server/ctl/rollout_view.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"
#include "server/ctl/table.h"

#define FILE_MAX  65536u
#define ID_DIGITS 8u

/* ---- pending ---- */

static void pending_json(struct buf *out, const Pb__AdminReply *m)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.pending/1");
	json_array(&j, "pending");
	for (size_t i = 0; i < m->n_pending; i++) {
		const Pb__PendingView *p = m->pending[i];
		json_object(&j, NULL);
		json_str(&j, "name", p->name);
		json_hex(&j, "id", wire_bytes(p->id));
		json_str(&j, "what", p->what);
		json_str(&j, "by", p->by);
		json_array(&j, "signed_by");
		for (size_t k = 0; k < p->n_signed_by; k++)
			json_str(&j, NULL, p->signed_by[k]);
		json_end_array(&j);
		json_u64(&j, "needed", p->needed);
		json_time(&j, "expires", p->expires * 1000);
		json_bool(&j, "command", p->has_envelope);
		if (p->reason != NULL)
			json_str(&j, "reason", p->reason);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void put_names(struct buf *out, const Pb__PendingView *p)
{
	for (size_t i = 0; i < p->n_signed_by; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", p->signed_by[i]);
	if (p->n_signed_by == 0)
		buf_str(out, "nobody");
}

static void pending_text(struct ctl *c, struct buf *out, const Pb__AdminReply *m)
{
	uint64_t now_s = m->checkpoint->time_ms / 1000;

	for (size_t i = 0; i < m->n_pending; i++) {
		const Pb__PendingView *p = m->pending[i];
		put(out, &c->term, STYLE_WARN, "%s ", icon(&c->term, ICON_WAITING));
		put(out, &c->term, STYLE_BOLD, "%s", p->name);
		buf_printf(out, "  %s\n", p->what);
		buf_printf(out, "  by %s; signed %zu of %u: ", p->by, p->n_signed_by, p->needed);
		put_names(out, p);
		buf_str(out, p->expires > now_s ? "; open for " : "; ");
		put_left(out, p->expires, now_s);
		buf_str(out, "\n");
		if (p->reason != NULL)
			buf_printf(out, "  why: %s\n", p->reason);
		buf_printf(out, "  Next: huiductl %s %s --key NAME.%s.pem\n",
			p->has_envelope ? "countersign" : "rollout approve", p->name,
			p->has_envelope ? "ROLE" : "approver");
	}
	if (m->n_pending == 0)
		buf_str(out, "Nothing waits for anybody.\nNext: huiductl rollout list\n");
	else
		buf_str(out, "Take one back: huiductl withdraw NAME\n");
}

int cmd_pending(struct ctl *c)
{
	struct buf out = { 0 };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_PENDING, NULL, &r);

	if (err != 0)
		return err;
	if (ctl_json(c))
		pending_json(&out, r.m);
	else
		pending_text(c, &out, r.m);
	reply_release(&r);
	return ctl_print(&out);
}

/* What waits and is called `word`, or begins with it; NULL. */
static const Pb__PendingView *find(const Pb__AdminReply *m, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < m->n_pending; i++) {
		const Pb__PendingView *p = m->pending[i];
		char hex[2 * SHA256_LEN + 1] = "";
		if (p->id.len <= SHA256_LEN)
			(void)hex_encode(hex, p->id.data, p->id.len);
		if (strcmp(p->name, word) == 0 || (n >= ID_DIGITS && strncmp(hex, word, n) == 0))
			return p;
	}
	return NULL;
}

/* ---- decode ---- */

static struct bytes in_arena(struct arena *a, struct bytes b)
{
	uint8_t *p = arena_alloc(a, b.n + 1);

	if (p != NULL && b.n > 0)
		memcpy(p, b.p, b.n);
	return bytes_of(p, p != NULL ? b.n : 0);
}

static int read_file(struct ctl *c, const char *path, struct arena *a, struct bytes *out)
{
	struct buf b = { 0 };
	int err = file_read(path, FILE_MAX, &b);

	*out = in_arena(a, buf_bytes(&b));
	buf_release(&b);
	return err == 0
		? 0
		: fail(exit_of(err), command_page(c->command).s, "%s: %s", path, err_str(err));
}

int cmd_decode(struct ctl *c)
{
	const char *path = c->args.words.v[0];
	struct arena a = arena_new(DECODE_ARENA);
	struct decode d = { .term = &c->term, .a = &a };
	char *context = context_find(c->args.context);
	struct buf out = { 0 };
	struct bytes in;
	int err = context != NULL ? ctl_root(c) : 0;

	free(context);
	if (err == 0)
		err = read_file(c, path, &a, &in);
	if (err == 0) {
		d.root = c->root != NULL ? c->root->root : NULL;
		err = decode_show(&d, &out, in);
		if (err != 0)
			err = fail(exit_of(err), "huiductl key show FILE, if it is a key",
				"%s: no envelope: %s", path, err_str(err));
	}
	free(a.base);
	if (err != 0)
		buf_release(&out);
	return err != 0 ? err : ctl_print(&out);
}

/* ---- countersign ---- */

static int find_envelope(struct ctl *c, const char *word, struct arena *a, struct bytes *out)
{
	const Pb__PendingView *p;
	struct reply r;
	int err = 0;

	if (access(word, F_OK) == 0)
		return read_file(c, word, a, out);
	err = ctl_query(c, PB__QUERY_KIND__QUERY_PENDING, NULL, &r);
	if (err != 0)
		return err;
	p = find(r.m, word);
	if (p == NULL)
		err = fail(EXIT_NOT_FOUND, "huiductl pending",
			"'%s': nothing that waits, and no file", word);
	else if (!p->has_envelope)
		err = fail(EXIT_USAGE, "huiductl rollout approve NAME",
			"'%s' is a rollout: it is approved, not countersigned", word);
	else
		*out = in_arena(a, wire_bytes(p->envelope));
	reply_release(&r);
	return err;
}

/* The person sees what the very bytes say, in this deployment, and that it is a command. */
static int show(struct ctl *c, struct bytes envelope, struct arena *a)
{
	struct decode d = { .term = &c->errors, .root = c->root->root, .a = a };
	struct buf text = { 0 };
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, a, &err);
	const Pb__AdminCommand *m = NULL;

	if (e != NULL && envelope_type_of(e, &type) && type == ENVELOPE_COMMAND)
		m = wire_read(&pb__admin_command__descriptor, wire_bytes(e->payload), &wire_signed,
			a, &err);
	if (m == NULL || decode_show(&d, &text, envelope) != 0) {
		buf_release(&text);
		return fail(EXIT_USAGE, "huiductl decode FILE", "'%s' is no command",
			c->args.words.v[0]);
	}
	if (strcmp(m->repository, c->context.repository) != 0) {
		buf_release(&text);
		return fail(EXIT_REFUSED, "huiductl --context FILE ...",
			"the command is for '%s', this context for '%s'", m->repository,
			c->context.repository);
	}
	note_text(&text);
	return 0;
}

static int tell(struct ctl *c, const struct reply *r, const struct hand *hand, const char *did)
{
	const char *name = hand->key[0].entry->name;
	struct buf out = { 0 };

	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " %s by %s   log size %llu\n", did, name != NULL ? name : "you",
		(unsigned long long)r->m->checkpoint->size);
	if (r->m->text != NULL)
		buf_printf(&out, "  %s\n", r->m->text);
	buf_printf(&out, "Next: %s\n", r->m->hint != NULL ? r->m->hint : "huiductl pending");
	return ctl_print(&out);
}

int cmd_countersign(struct ctl *c)
{
	struct arena a = arena_new(DECODE_ARENA);
	struct hand hand = { 0 };
	struct bytes envelope = { 0 };
	struct reply r;
	int err = ctl_root(c);

	c->next = "huiductl pending";
	if (err == 0)
		err = find_envelope(c, c->args.words.v[0], &a, &envelope);
	if (err == 0)
		err = show(c, envelope, &a);
	if (err == 0)
		err = hand_take(c, HAND_PEOPLE, 1, &hand);
	if (err == 0 && ctl_confirm(c, "Sign this too?", &err)) {
		err = hand_sign(&hand, envelope, &a, &envelope);
		if (err != 0)
			err = fail(exit_of(err), NULL, "signing: %s", err_str(err));
	}
	if (err == 0)
		err = ctl_send(c, envelope, &r);
	if (err == 0) {
		err = tell(c, &r, &hand, "countersigned");
		reply_release(&r);
	}
	hand_release(&hand);
	free(a.base);
	return err;
}

/* ---- one command, one signature, from whoever may ---- */

int send_simple(struct ctl *c, Pb__AdminCommand *command, unsigned roles, const char *did)
{
	struct reply seen, r;
	struct hand hand;
	int err = hand_take(c, roles, 1, &hand);

	if (err != 0)
		return err;
	err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &seen);
	if (err == 0) {
		err = ctl_command(c, command, &hand.key[0], seen.m->checkpoint, &r);
		reply_release(&seen);
		if (err == 0) {
			err = tell(c, &r, &hand, did);
			reply_release(&r);
		}
	}
	hand_release(&hand);
	return err;
}

/* ---- withdraw ---- */

int cmd_withdraw(struct ctl *c)
{
	const char *word = c->args.words.v[0];
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	Pb__Withdraw withdraw = PB__WITHDRAW__INIT;
	const Pb__PendingView *p;
	const Pb__RolloutView *v;
	struct reply pending, rollouts = { 0 };
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_PENDING, NULL, &pending);

	if (err != 0)
		return err;
	p = find(pending.m, word);
	if (p != NULL && p->has_envelope) {
		withdraw.has_command = true;
		withdraw.command = p->id;
	} else if (p != NULL) {
		withdraw.has_rollout_id = true;
		withdraw.rollout_id = p->id;
	} else {
		err = rollout_find(c, word, &rollouts, &v);
		withdraw.has_rollout_id = err == 0;
		if (err == 0)
			withdraw.rollout_id = v->rollout_id;
	}
	command.reason = c->args.reason;
	command.withdraw = &withdraw;
	c->next = "huiductl pending; a rollout that runs is halted: huiductl halt NAME";
	if (err == 0)
		err = send_simple(c, &command, HAND_PEOPLE, "withdrawn");
	reply_release(&rollouts);
	reply_release(&pending);
	return err;
}
