/* SPDX-License-Identifier: Apache-2.0 */
/* All that the gate's verdicts on one rollout rest on, for somebody who wants to compute them. */
#include "server/base/mem.h"
#include "server/service/query.h"
#include "server/store/entry.h"

#define ROWS_A_PAGE 10000u

static void add_rows(struct query *q, const struct rollout *r, Pb__ReplayView *v)
{
	uint8_t prefix[4], from[12], *p = query_alloc(q, ROWS_A_PAGE * ROW_BYTES);
	uint64_t first = q->ask->has_from ? q->ask->from : 0;
	struct store_cursor c;
	struct store_txn t;
	size_t used = 0;

	put_be32(prefix, r->no);
	store_begin(q->server->store, &t, false);
	v->rows = row_count(&t, r->no);
	store_seek_from(&c, &t, STORE_ROW, bytes_of(prefix, 4), row_key(r->no, first, from));
	while (store_next(&c)) {
		if (used == ROWS_A_PAGE * ROW_BYTES || c.key.n + c.value.n != ROW_BYTES) {
			store_cursor_close(&c);
			break;
		}
		memcpy(p + used, c.key.p, c.key.n);
		memcpy(p + used + c.key.n, c.value.p, c.value.n);
		used += ROW_BYTES;
	}
	store_abort(&t);
	v->data = wire_data(p, used);
}

/* The rollout's acts and the gate's decisions, by their place in the log. */
static bool read_event(
	struct query *q, const struct rollout *r, struct bytes entry, Pb__ReplayEvent *out)
{
	enum envelope_type type;
	int err;
	const Pb__LogEntry *l =
		wire_read(&pb__log_entry__descriptor, entry, &wire_signed, q->arena, &err);
	const Pb__Envelope *e =
		l == NULL ? NULL : envelope_read(wire_bytes(l->envelope), q->arena, &err);

	if (e == NULL || !envelope_type_of(e, &type))
		return false;
	out->time_ms = l->time_ms;
	for (size_t i = 0; i < r->n_resumes; i++)
		if (r->resumes[i] == out->index)
			out->has_resumed = out->resumed = 1;
	if (type == ENVELOPE_DECISION) {
		const Pb__Decision *d = wire_read(&pb__decision__descriptor, wire_bytes(e->payload),
			&wire_signed, q->arena, &err);
		if (d == NULL || !d->has_rollout_id ||
			!bytes_eq(wire_bytes(d->rollout_id), bytes_of(r->id, ID_LEN)))
			return false;
		out->has_decision = 1;
		out->decision = e->payload;
		return true;
	}
	if (type == ENVELOPE_COMMAND) {
		const Pb__AdminCommand *m = wire_read(&pb__admin_command__descriptor,
			wire_bytes(e->payload), &wire_signed, q->arena, &err);
		if (m == NULL || m->act == NULL ||
			!bytes_eq(wire_bytes(m->act->rollout_id), bytes_of(r->id, ID_LEN)))
			return out->resumed;
		out->has_act = 1;
		out->act = m->act->act;
		return true;
	}
	return false;
}

static void add_events(struct query *q, const struct rollout *r, Pb__ReplayView *v)
{
	const struct state *s = control_state(q->server);
	struct store_txn t;
	struct bytes entry;
	size_t cap = 0;

	v->events = NULL;
	store_begin(q->server->store, &t, false);
	for (uint64_t i = r->no; i < s->log.size && entry_get(&t, i, &entry); i++) {
		Pb__ReplayEvent *e = query_alloc(q, sizeof(*e));
		uint8_t *copy = query_alloc(q, entry.n);
		*e = (Pb__ReplayEvent)PB__REPLAY_EVENT__INIT;
		e->index = i;
		memcpy(copy, entry.p, entry.n);
		if (!read_event(q, r, bytes_of(copy, entry.n), e))
			continue;
		if (v->n_events == cap) {
			Pb__ReplayEvent **more = query_alloc(q, (2 * cap + 16) * sizeof(*more));
			if (cap > 0)
				memcpy(more, v->events, cap * sizeof(*more));
			v->events = more;
			cap = 2 * cap + 16;
		}
		v->events[v->n_events++] = e;
	}
	store_abort(&t);
}

int query_replay(struct query *q, Pb__AdminReply *reply)
{
	const struct rollout *r;
	Pb__ReplayView *v = query_alloc(q, sizeof(*v));
	int err = query_find(q, &r);

	if (err != 0)
		return err;
	*v = (Pb__ReplayView)PB__REPLAY_VIEW__INIT;
	v->release = r->release;
	v->spec = wire_data(r->spec_bytes.data, r->spec_bytes.len);
	v->proposed_at = r->proposed_ms / 1000;
	add_rows(q, r, v);
	add_events(q, r, v);
	reply->replay = v;
	return 0;
}
