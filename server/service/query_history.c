/* SPDX-License-Identifier: Apache-2.0 */
/* The log, told to a person: who did what, when, and why. */
#include "server/service/tell.h"
#include "server/store/entry.h"
#include "server/trust/authority.h"

/* One entry, decoded. */
struct told {
	const char *who, *what, *why;
	const struct rollout *rollout; /* it is about; may be NULL */
};

/* "core 50 %" */
static const char *step_str(struct query *q, const struct rollout *r, size_t step)
{
	const struct plan_step *p = &r->steps[step];

	if (p->stage < 0)
		return query_printf(q, "%s holdback", ring_str((enum ring)p->ring));
	if (p->upper >= 1000000 - r->spec->holdback_ppm)
		return ring_str((enum ring)p->ring);
	return query_printf(q, "%s %g %%", ring_str((enum ring)p->ring), p->upper / 1e4);
}

static const char *join_names(struct query *q, const Pb__Root *root, const struct signers *who)
{
	const char *all = who->n > 0 ? authority_name(root, who->key[0]) : "?";

	for (unsigned i = 1; i < who->n; i++)
		all = query_printf(q, "%s, %s", all, authority_name(root, who->key[i]));
	return all;
}

/* By the newest root whose people signed it: that in force then, or one that says the same. */
static void tell_signers(
	struct query *q, struct bytes envelope, const Pb__AdminCommand *m, struct told *out)
{
	const struct state *s = control_state(q->server);

	for (size_t i = s->n_chain; i > 0; i--) {
		const Pb__Root *root = s->chain[i - 1]->root;
		struct signers who;
		unsigned missing = 0;
		if (command_signers(root, envelope, q->arena, &who) != 0)
			continue;
		out->who = join_names(q, root, &who);
		if (command_missing(root, m, &who, &missing) == 0 && missing > 0)
			out->what = query_printf(q, "%s: waits for %u more signature%s", out->what,
				missing, missing == 1 ? "" : "s");
		return;
	}
}

/* A proposal's rollout is known by its place in the log. */
static const struct rollout *proposed_at(const struct state *s, uint64_t index)
{
	for (size_t i = 0; i < s->n_rollouts; i++)
		if (s->rollouts[i]->no == index)
			return s->rollouts[i];
	return NULL;
}

static void tell_command(struct query *q, uint64_t index, struct bytes envelope, struct told *out)
{
	const struct state *s = control_state(q->server);
	const Pb__AdminCommand *m = tell_read(q, envelope);

	if (m == NULL)
		return;
	out->why = m->reason;
	out->what = tell_what(q, m);
	out->rollout = m->propose != NULL ? proposed_at(s, index) : tell_rollout(s, m);
	tell_signers(q, envelope, m, out);
}

static void tell_root(struct query *q, struct bytes payload, struct told *out)
{
	int err;
	const Pb__Root *root =
		wire_read(&pb__root__descriptor, payload, &wire_signed, q->arena, &err);

	out->who = "root";
	if (root != NULL)
		out->what = query_printf(q, "root %llu took force, profile %s",
			(unsigned long long)root->version, root->profile);
}

static void tell_decision(struct query *q, struct bytes payload, struct told *out)
{
	int err;
	const Pb__Decision *d =
		wire_read(&pb__decision__descriptor, payload, &wire_signed, q->arena, &err);
	const struct rollout *r = NULL;

	if (d == NULL)
		return;
	out->who = "gate";
	out->why = d->why;
	if (d->has_rollout_id)
		r = state_rollout_id(control_state(q->server), d->rollout_id.data);
	out->rollout = r;
	if (d->kind == PB__DECISION_KIND__DECISION_FILL && d->fill != NULL &&
		d->fill->ring < RING__COUNT) {
		out->who = "seats";
		out->what = query_printf(q, "%u seats of %s filled", d->fill->seats,
			ring_str((enum ring)d->fill->ring));
	} else if (r == NULL || d->step >= r->n_steps) {
		return;
	} else if (d->kind == PB__DECISION_KIND__DECISION_PROMOTE) {
		out->what = query_printf(q, "%s: %s -> %s", r->release, step_str(q, r, d->step),
			step_str(q, r, d->step + 1));
	} else if (d->kind == PB__DECISION_KIND__DECISION_COMPLETE) {
		out->what = query_printf(q, "%s: complete", r->release);
	} else {
		out->what = query_printf(q, "%s %s in %s",
			d->kind == PB__DECISION_KIND__DECISION_HALT ? "halt" : "pause", r->release,
			step_str(q, r, d->step));
	}
}

/* False: nothing that anybody decided.  Directives follow from what was. */
static bool tell(struct query *q, uint64_t index, struct bytes envelope, struct told *out)
{
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, q->arena, &err);

	*out = (struct told){ .who = "?", .what = "?" };
	if (e == NULL || !envelope_type_of(e, &type))
		return true;
	if (type == ENVELOPE_COMMAND)
		tell_command(q, index, envelope, out);
	else if (type == ENVELOPE_DECISION)
		tell_decision(q, wire_bytes(e->payload), out);
	else if (type == ENVELOPE_ROOT)
		tell_root(q, wire_bytes(e->payload), out);
	return type != ENVELOPE_DIRECTOR;
}

/* Builds are told of with the rollout they are in. */
static bool is_about(const struct rollout *r, const struct told *t, const char *name)
{
	return r == NULL || t->rollout == r ||
		(t->rollout == NULL && strstr(t->what, name) != NULL &&
			strncmp(t->what, "publish ", 8) == 0);
}

static void add_line(struct query *q, uint64_t index, const Pb__LogEntry *m, Pb__AdminReply *reply)
{
	const char *name = q->ask->name != NULL ? q->ask->name : "";
	const struct rollout *r =
		name[0] != '\0' ? state_rollout(control_state(q->server), name) : NULL;
	Pb__HistoryView *v;
	struct told told;

	if (!tell(q, index, wire_bytes(m->envelope), &told) || !is_about(r, &told, name))
		return;
	v = query_alloc(q, sizeof(*v));
	*v = (Pb__HistoryView)PB__HISTORY_VIEW__INIT;
	v->index = index;
	v->time_ms = m->time_ms;
	v->who = told.who;
	v->what = told.what;
	v->why = told.why;
	reply->history[reply->n_history++] = v;
}

/* What the entry takes of the arena is given back when it makes no line. */
static int read_entry(struct query *q, uint64_t index, struct bytes entry, Pb__AdminReply *reply)
{
	size_t used = q->arena->used, before = reply->n_history;
	int err = 0;
	/* The map's bytes are gone when the transaction is. */
	uint8_t *copy = query_alloc(q, entry.n);
	const Pb__LogEntry *m;

	memcpy(copy, entry.p, entry.n);
	m = wire_read(
		&pb__log_entry__descriptor, bytes_of(copy, entry.n), &wire_signed, q->arena, &err);
	if (m != NULL)
		add_line(q, index, m, reply);
	if (reply->n_history == before)
		q->arena->used = used;
	return err;
}

static void turn_round(Pb__AdminReply *reply)
{
	for (size_t i = 0, k = reply->n_history; i + 1 < k; i++) {
		Pb__HistoryView *v = reply->history[i];
		reply->history[i] = reply->history[--k];
		reply->history[k] = v;
	}
}

/* So many lines below `from`: an answer has an end too. */
#define HISTORY_MAX 1000u

static uint64_t page_end(const struct query *q, const struct state *s)
{
	return q->ask->has_from && q->ask->from < s->log.size ? q->ask->from : s->log.size;
}

int query_history(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	struct store_txn t;
	struct bytes entry;
	int err = 0;

	if (q->ask->name != NULL && q->ask->name[0] != '\0' &&
		state_rollout(s, q->ask->name) == NULL) {
		q->text = query_printf(q, "rollout %s: there is none of this name", q->ask->name);
		return ERR_NOT_FOUND;
	}
	reply->history = query_alloc(q, HISTORY_MAX * sizeof(*reply->history));
	store_begin(q->server->store, &t, false);
	for (uint64_t i = page_end(q, s); err == 0 && i > 0 && reply->n_history < HISTORY_MAX; i--)
		if (entry_get(&t, i - 1, &entry))
			err = read_entry(q, i - 1, entry, reply);
	err = err != 0 ? err : t.err;
	store_abort(&t);
	turn_round(reply);
	return err;
}
