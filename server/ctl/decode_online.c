/* SPDX-License-Identifier: Apache-2.0 */
/* What the server's own keys sign, in words. */
#include "server/ctl/decode_private.h"
#include "server/ctl/ladder_show.h"

void decode_director(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Director *m = decode_read(d, &pb__director__descriptor, in);
	struct shown room;

	if (m == NULL)
		return;
	buf_printf(out, "Directive  %llu for %s in %s, of %s\n", (unsigned long long)m->version,
		m->product, ring_word(m->ring), m->repository);
	for (size_t i = 0; i < m->n_offers; i++) {
		const Pb__Offer *o = m->offers[i];
		buf_printf(out, "Offer      %s %s, buckets %s",
			o->action == 2 ? "go back to" : "install", o->targets->name,
			show_range(o->selector->lower, o->selector->upper).s);
		for (size_t k = 0; k < o->selector->n_from_build_ids; k++)
			buf_printf(out, "%s%s", k == 0 ? "; devices on " : ", ",
				o->selector->from_build_ids[k]);
		buf_printf(out, "\n           step %u of rollout %s\n", o->step + 1,
			decode_rollout(d, o->rollout_id, &room));
	}
	if (m->n_offers == 0)
		buf_str(out, "Offer      none\n");
	for (size_t i = 0; i < m->n_halted_build_ids; i++)
		buf_printf(out, "Halted     %s\n", m->halted_build_ids[i]);
	buf_printf(out, "Expires    %s UTC\n", decode_when(m->expires).s);
}

void decode_snapshot(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Snapshot *m = decode_read(d, &pb__snapshot__descriptor, in);

	if (m == NULL)
		return;
	buf_printf(out, "Snapshot   %llu for %s, of %s\n", (unsigned long long)m->version,
		m->product, m->repository);
	for (size_t i = 0; i < m->n_directors; i++)
		buf_printf(out, "Names      %s, version %llu, %s\n", m->directors[i]->name,
			(unsigned long long)m->directors[i]->version,
			decode_hex(m->directors[i]->sha256, 16).s);
	buf_printf(out, "Expires    %s UTC\n", decode_when(m->expires).s);
}

void decode_timestamp(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Timestamp *m = decode_read(d, &pb__timestamp__descriptor, in);

	if (m == NULL)
		return;
	buf_printf(out, "Timestamp  %llu for %s, of %s\n", (unsigned long long)m->version,
		m->product, m->repository);
	buf_printf(out, "Names      %s, version %llu, %s\n", m->snapshot->name,
		(unsigned long long)m->snapshot->version, decode_hex(m->snapshot->sha256, 16).s);
	buf_printf(out, "Issued     %s UTC\n", decode_when(m->issued_at).s);
	buf_printf(out, "Offers     may be begun until %s UTC\n", decode_when(m->offers_until).s);
	buf_printf(out, "Expires    %s UTC\n", decode_when(m->expires).s);
}

static const char *decision_word(Pb__DecisionKind kind)
{
	static const char *const word[] = {
		[PB__DECISION_KIND__DECISION_PROMOTE] = "promote",
		[PB__DECISION_KIND__DECISION_PAUSE] = "pause",
		[PB__DECISION_KIND__DECISION_HALT] = "halt",
		[PB__DECISION_KIND__DECISION_COMPLETE] = "complete",
		[PB__DECISION_KIND__DECISION_FILL] = "fill seats",
	};
	size_t k = (size_t)kind;

	return k < sizeof(word) / sizeof(word[0]) && word[k] != NULL ? word[k] : "unknown";
}

void decode_decision(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Decision *m = decode_read(d, &pb__decision__descriptor, in);
	struct shown room;

	if (m == NULL)
		return;
	buf_printf(out, "Decision   %s", decision_word(m->kind));
	if (m->has_rollout_id)
		buf_printf(out, ", rollout %s, step %u", decode_rollout(d, m->rollout_id, &room),
			m->step + 1);
	if (m->fill != NULL)
		buf_printf(out, ": %u in %s of line %s", m->fill->seats, ring_word(m->fill->ring),
			m->fill->line);
	buf_str(out, "\n");
	if (m->why != NULL)
		buf_printf(out, "Why        %s\n", m->why);
}

void decode_grant(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__RingGrant *m = decode_read(d, &pb__ring_grant__descriptor, in);

	if (m == NULL)
		return;
	buf_printf(out, "Grant      device %s has a seat in %s of %s\n",
		decode_hex(m->device_id, 32).s, ring_word(m->ring), m->product);
	buf_printf(out, "Issued     %s UTC", decode_when(m->issued_at).s);
	buf_printf(out, ", expires %s\n", decode_when(m->expires).s);
}

void decode_time(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__TimeStatement *m = decode_read(d, &pb__time_statement__descriptor, in);

	if (m != NULL)
		buf_printf(out, "Time       it is %s UTC, in %s\n", decode_when(m->time_s).s,
			m->repository);
}

void decode_decision_line(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Decision *m = decode_read(d, &pb__decision__descriptor, in);
	struct shown room;

	if (m != NULL)
		buf_printf(out, "%s %s%s%s", decision_word(m->kind),
			m->has_rollout_id ? decode_rollout(d, m->rollout_id, &room) : "",
			m->why != NULL ? ": " : "", m->why != NULL ? m->why : "");
}

void decode_director_line(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__Director *m = decode_read(d, &pb__director__descriptor, in);

	if (m != NULL)
		buf_printf(out, "directive %llu for %s in %s, %zu offer%s",
			(unsigned long long)m->version, m->product, ring_word(m->ring), m->n_offers,
			m->n_offers == 1 ? "" : "s");
}
