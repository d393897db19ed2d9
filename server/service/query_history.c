/* SPDX-License-Identifier: Apache-2.0 */
/* The log, told to a person: who did what, when, and why. */
#include "server/service/query.h"
#include "server/store/entry.h"

/* One entry, decoded. */
struct told {
	const char *who, *what, *why;
	const struct rollout *rollout; /* it is about; may be NULL */
};

static const char *name_of(const struct state *s, const Pb__Envelope *e)
{
	for (size_t i = 0; e->n_signatures > 0 && i < s->root->n_keys; i++) {
		uint8_t keyid[SHA256_LEN];
		const Pb__Key *key = s->root->keys[i];
		if (envelope_keyid(crypto_openssl(), key, keyid) == 0 &&
			bytes_eq(wire_bytes(e->signatures[0]->keyid), bytes_of(keyid, SHA256_LEN)))
			return key->name != NULL ? key->name : "?";
	}
	return "?";
}

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

static void tell_publish(struct query *q, const Pb__Publish *m, struct told *out)
{
	int err;
	const Pb__Envelope *e = envelope_read(wire_bytes(m->targets), q->arena, &err);
	const Pb__Targets *t = e == NULL
		? NULL
		: wire_read(&pb__targets__descriptor, wire_bytes(e->payload), &wire_signed,
			  q->arena, &err);

	if (t != NULL)
		out->what = query_printf(q, "publish %s for %s", t->build_id, t->product);
}

static void tell_propose(struct query *q, uint64_t index, const Pb__Propose *m, struct told *out)
{
	const struct state *s = control_state(q->server);

	for (size_t i = 0; i < s->n_rollouts; i++)
		if (s->rollouts[i]->no == index)
			out->rollout = s->rollouts[i];
	out->what = query_printf(q, "propose %s by plan %s", m->release,
		out->rollout != NULL ? out->rollout->spec->name : "?");
}

static void tell_command(struct query *q, uint64_t index, struct bytes payload, struct told *out)
{
	static const char *const verb[] = {
		[PB__ACT__ACT_START] = "start",
		[PB__ACT__ACT_PAUSE] = "pause",
		[PB__ACT__ACT_HALT] = "halt",
	};
	const struct state *s = control_state(q->server);
	int err;
	const Pb__AdminCommand *m =
		wire_read(&pb__admin_command__descriptor, payload, &wire_signed, q->arena, &err);

	if (m == NULL)
		return;
	out->why = m->reason;
	if (m->publish != NULL) {
		tell_publish(q, m->publish, out);
	} else if (m->propose != NULL) {
		tell_propose(q, index, m->propose, out);
	} else if (m->approve != NULL) {
		out->rollout = state_rollout_id(s, m->approve->rollout_id.data);
		out->what = query_printf(
			q, "approve %s", out->rollout != NULL ? out->rollout->release : "?");
	} else if (m->act != NULL) {
		out->rollout = state_rollout_id(s, m->act->rollout_id.data);
		out->what = query_printf(q, "%s %s", verb[m->act->act],
			out->rollout != NULL ? out->rollout->release : "?");
	}
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

static void tell(struct query *q, uint64_t index, struct bytes envelope, struct told *out)
{
	const struct state *s = control_state(q->server);
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, q->arena, &err);

	*out = (struct told){ .who = "?", .what = "?" };
	if (e == NULL || !envelope_type_of(e, &type))
		return;
	out->who = name_of(s, e);
	if (type == ENVELOPE_COMMAND)
		tell_command(q, index, wire_bytes(e->payload), out);
	else if (type == ENVELOPE_DECISION)
		tell_decision(q, wire_bytes(e->payload), out);
	else if (type == ENVELOPE_DIRECTOR)
		out->what = NULL; /* follows from what is told of */
	else
		out->what = query_printf(q, "root %llu, profile %s",
			(unsigned long long)s->root->version, s->root->profile);
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

	tell(q, index, wire_bytes(m->envelope), &told);
	if (told.what == NULL || !is_about(r, &told, name))
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

/* So many entries from the end: an answer has an end too. */
#define HISTORY_MAX 2000u

int query_history(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	uint64_t first = s->log.size > HISTORY_MAX ? s->log.size - HISTORY_MAX : 0;
	struct store_txn t;
	struct bytes entry;
	int err = 0;

	if (q->ask->name != NULL && q->ask->name[0] != '\0' &&
		state_rollout(s, q->ask->name) == NULL) {
		q->text = query_printf(q, "rollout %s: there is none of this name", q->ask->name);
		return ERR_NOT_FOUND;
	}
	reply->history = query_alloc(q, (s->log.size - first) * sizeof(*reply->history));
	store_begin(q->server->store, &t, false);
	for (uint64_t i = first; err == 0 && entry_get(&t, i, &entry); i++) {
		/* The map's bytes are gone when the transaction is. */
		uint8_t *copy = query_alloc(q, entry.n);
		memcpy(copy, entry.p, entry.n);
		const Pb__LogEntry *m = wire_read(&pb__log_entry__descriptor,
			bytes_of(copy, entry.n), &wire_signed, q->arena, &err);
		if (m != NULL)
			add_line(q, i, m, reply);
	}
	err = err != 0 ? err : t.err;
	store_abort(&t);
	return err;
}
