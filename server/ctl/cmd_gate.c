/* SPDX-License-Identifier: Apache-2.0 */
/* gate explain, gate replay: what the gate knows, and whether it said what follows from it. */
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/gate_view.h"
#include "server/ctl/replay.h"
#include "server/ctl/sign.h"

#define SPEC_ARENA (1024u * 1024u)

static int ask(struct ctl *c, Pb__QueryKind kind, uint64_t from, struct reply *out)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;

	q.kind = kind;
	q.name = c->args.words.v[0];
	q.has_from = kind == PB__QUERY_KIND__QUERY_REPLAY;
	q.from = from;
	return ctl_ask(c, ENVELOPE_QUERY, &q, out);
}

static const Pb__PlanSpec *read_spec(const Pb__ReplayView *m, struct arena *a)
{
	int err;

	return wire_read(&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_admin, a, &err);
}

static int not_found(struct ctl *c)
{
	return fail(EXIT_NOT_FOUND, "huiductl rollout list", "no rollout '%s'", c->args.words.v[0]);
}

/* ---- explain ---- */

int cmd_gate_explain(struct ctl *c)
{
	struct arena a = arena_new(SPEC_ARENA);
	struct gate_view v = { 0 };
	struct reply r = { 0 }, plan = { 0 };
	struct buf out = { 0 };
	int err = ask(c, PB__QUERY_KIND__QUERY_GATE, 0, &r);

	if (err == 0 && r.m->gate == NULL)
		err = not_found(c);
	/* The plan comes with the replay's last page, which has no rows. */
	if (err == 0)
		err = ask(c, PB__QUERY_KIND__QUERY_REPLAY, r.m->gate->rows, &plan);
	if (err == 0) {
		v.m = r.m->gate;
		v.now_ms = r.m->checkpoint->time_ms;
		v.spec = plan.m->replay != NULL ? read_spec(plan.m->replay, &a) : NULL;
		if (ctl_json(c))
			gate_json(&out, &v, r.m->checkpoint->repository);
		else
			gate_screen(&out, &c->term, &v);
		err = ctl_print(&out);
	}
	reply_release(&plan);
	reply_release(&r);
	free(a.base);
	return err;
}

/* ---- replay ---- */

struct teller {
	struct ctl *c;
	struct buf out;
	struct json json;
};

static void tell_text(struct teller *t, const struct replay_verdict *v)
{
	const struct term *term = &t->c->term;

	buf_printf(&t->out, "%s  %s in step %u, %llu rows", show_minute(v->time_ms).s,
		replay_decision_str(v->decision->kind), v->decision->step + 1,
		(unsigned long long)v->rows);
	buf_printf(&t->out, ", K %s  ", show_odds(v->log_k).s);
	if (v->same)
		put(&t->out, term, STYLE_GOOD, "same");
	else
		put(&t->out, term, STYLE_BAD, "differs: %s", v->differs);
	buf_str(&t->out, "\n");
}

static void tell_json(struct teller *t, const struct replay_verdict *v)
{
	json_object(&t->json, NULL);
	json_u64(&t->json, "index", v->index);
	json_time(&t->json, "time", v->time_ms);
	json_str(&t->json, "decision", replay_decision_str(v->decision->kind));
	json_u64(&t->json, "step", v->decision->step);
	json_u64(&t->json, "rows", v->rows);
	json_double(&t->json, "log_k", v->log_k);
	json_bool(&t->json, "same", v->same);
	if (!v->same)
		json_str(&t->json, "differs", v->differs);
	json_end_object(&t->json);
}

static void tell(void *context, const struct replay_verdict *v)
{
	struct teller *t = context;

	if (ctl_json(t->c))
		tell_json(t, v);
	else
		tell_text(t, v);
}

/* All pages of rows; what is closed meanwhile no decision of the first page rests on. */
static int fetch_rows(struct ctl *c, const Pb__ReplayView *first, struct buf *rows)
{
	uint64_t want = first->rows;
	int err = 0;

	buf_add(rows, first->data.data, first->data.len);
	while (err == 0 && rows->len < want * REPLAY_ROW) {
		size_t before = rows->len;
		struct reply r;
		err = ask(c, PB__QUERY_KIND__QUERY_REPLAY, rows->len / REPLAY_ROW, &r);
		if (err != 0)
			return err;
		if (r.m->replay != NULL)
			buf_add(rows, r.m->replay->data.data, r.m->replay->data.len);
		reply_release(&r);
		if (rows->len == before || rows->len % REPLAY_ROW != 0)
			err = fail(EXIT_FAILED, "huiductl gate replay NAME, once more",
				"the server sent %zu of %llu bytes of evidence", rows->len,
				(unsigned long long)(want * REPLAY_ROW));
	}
	return err;
}

static int print_total(struct teller *t, const Pb__ReplayView *m, const struct replay_total *total)
{
	if (ctl_json(t->c)) {
		json_end_array(&t->json);
		json_u64(&t->json, "verdicts", total->verdicts);
		json_u64(&t->json, "differ", total->differ);
		json_end_object(&t->json);
		buf_str(&t->out, "\n");
	} else {
		buf_printf(&t->out, "%s: %zu verdicts recomputed, %zu differ\n", m->release,
			total->verdicts, total->differ);
	}
	return ctl_print(&t->out);
}

static int run(struct ctl *c, const Pb__ReplayView *m, const Pb__PlanSpec *spec, struct bytes rows)
{
	struct replay_input in = { spec, m->proposed_at, rows, m->events, m->n_events };
	struct teller t = { .c = c };
	char error[REPLAY_TEXT] = "";
	struct replay_total total;
	int err;

	t.json.out = &t.out;
	if (ctl_json(c)) {
		json_object(&t.json, NULL);
		json_str(&t.json, "schema", "huidu.replay/1");
		json_str(&t.json, "release", m->release);
		json_array(&t.json, "decisions");
	}
	err = replay_run(&in, tell, &t, &total, error);
	if (err != 0) {
		buf_release(&t.out);
		return fail(
			EXIT_FAILED, "huiductl rollout history NAME", "%s: %s", m->release, error);
	}
	err = print_total(&t, m, &total);
	return err != 0 || total.differ == 0 ? err : EXIT_FAILED;
}

int cmd_gate_replay(struct ctl *c)
{
	struct arena a = arena_new(SPEC_ARENA);
	const Pb__PlanSpec *spec = NULL;
	struct buf rows = { 0 };
	struct reply r = { 0 };
	int err = ask(c, PB__QUERY_KIND__QUERY_REPLAY, 0, &r);

	if (err == 0 && r.m->replay == NULL)
		err = not_found(c);
	if (err == 0)
		err = fetch_rows(c, r.m->replay, &rows);
	if (err == 0) {
		spec = read_spec(r.m->replay, &a);
		err = spec != NULL ? run(c, r.m->replay, spec, buf_bytes(&rows))
				   : fail(EXIT_FAILED, NULL, "the server sent no plan");
	}
	buf_release(&rows);
	reply_release(&r);
	free(a.base);
	return err;
}
