/* SPDX-License-Identifier: Apache-2.0 */
/* log tail, show: entries in words. */
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/show.h"
#include "server/base/text.h"
#include "server/ctl/cmds.h"
#include "server/ctl/decode.h"
#include "server/ctl/sign.h"

#define TAIL_FIRST  10u
#define TAIL_WAIT_S 1u

int log_page(struct ctl *c, uint64_t from, struct reply *r)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	int err;

	q.kind = PB__QUERY_KIND__QUERY_LOG;
	q.has_from = true;
	q.from = from;
	err = ctl_ask(c, ENVELOPE_QUERY, &q, r);
	if (err != 0)
		return err;
	if (r->m->log != NULL && r->m->log->from == from)
		return 0;
	reply_release(r);
	return fail(EXIT_FAILED, "huiductl version, on both ends",
		"the server's answer holds no log from entry %llu on", (unsigned long long)from);
}

/* Names of rollouts, as the server tells them now: for the eye only. */
static const char *release_of(const void *ctx, struct bytes id)
{
	const Pb__AdminReply *m = ctx;

	for (size_t i = 0; i < m->n_rollouts; i++)
		if (bytes_eq(wire_bytes(m->rollouts[i]->rollout_id), id))
			return m->rollouts[i]->release;
	return NULL;
}

static int put_entry(struct ctl *c, const struct reply *names, uint64_t index, struct bytes entry,
	struct buf *out)
{
	struct arena a = arena_new(DECODE_ARENA);
	struct decode d = { &c->term, c->root->root, &a, release_of, names->m };
	int err;
	const Pb__LogEntry *e = wire_read(&pb__log_entry__descriptor, entry, &wire_admin, &a, &err);

	if (e != NULL) {
		buf_printf(
			out, "%6llu  %s  ", (unsigned long long)index, show_minute(e->time_ms).s);
		err = decode_line(&d, out, wire_bytes(e->envelope));
		buf_str(out, "\n");
	}
	free(a.base);
	return err == 0 ? 0
			: fail(EXIT_FAILED, "huiductl log verify", "entry %llu: %s",
				  (unsigned long long)index, err_str(err));
}

/* A page; `*from` moves on over it. */
static int put_page(struct ctl *c, uint64_t *from, size_t *n)
{
	struct buf out = { 0 };
	struct reply r, names = { 0 };
	int err = log_page(c, *from, &r);

	if (err != 0)
		return err;
	*n = r.m->log->n_entries;
	if (*n > 0)
		err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, NULL, &names);
	for (size_t i = 0; err == 0 && i < *n; i++)
		err = put_entry(c, &names, (*from)++, wire_bytes(r.m->log->entries[i]), &out);
	reply_release(&names);
	reply_release(&r);
	if (err != 0)
		buf_release(&out);
	return err != 0 ? err : ctl_print(&out);
}

static int put_rest(struct ctl *c, uint64_t *from)
{
	size_t n = 1;
	int err = 0;

	while (err == 0 && n > 0)
		err = put_page(c, from, &n);
	return err;
}

int cmd_log_tail(struct ctl *c)
{
	uint64_t end_ms = clock_mono_ms() + c->args.timeout.v, from = 0;
	struct reply r;
	int err = ctl_root(c);

	if (err == 0)
		err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &r);
	if (err != 0)
		return err;
	if (r.m->checkpoint->size > TAIL_FIRST)
		from = r.m->checkpoint->size - TAIL_FIRST;
	reply_release(&r);
	for (err = put_rest(c, &from); err == 0; err = put_rest(c, &from)) {
		if (c->args.watch == FLAG_NO || (c->args.timeout.set && clock_mono_ms() >= end_ms))
			return 0;
		(void)sleep(TAIL_WAIT_S); /* Ctrl-C ends it */
	}
	return err;
}

int cmd_log_show(struct ctl *c)
{
	const char *word = c->args.words.v[0];
	struct arena a = arena_new(DECODE_ARENA);
	struct decode d = { .term = &c->term, .a = &a, .rollout = release_of };
	struct buf out = { 0 };
	struct reply r, names = { 0 };
	uint64_t index;
	int err = text_u64(word, &index)
		? ctl_root(c)
		: fail(EXIT_USAGE, "huiductl log show INDEX", "'%s': entries count from 0", word);

	if (err == 0)
		err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, NULL, &names);
	if (err == 0)
		err = log_page(c, index, &r);
	if (err == 0) {
		d.root = c->root->root;
		d.ctx = names.m;
		if (r.m->log->n_entries == 0)
			err = fail(EXIT_NOT_FOUND,
				"huiductl log checkpoint, for how many there are",
				"the log has no entry %s yet", word);
		else if (decode_show(&d, &out, wire_bytes(r.m->log->entries[0])) != 0)
			err = fail(EXIT_FAILED, "huiductl log verify", "entry %s cannot be read",
				word);
		reply_release(&r);
	}
	reply_release(&names);
	free(a.base);
	if (err != 0)
		buf_release(&out);
	return err != 0 ? err : ctl_print(&out);
}
