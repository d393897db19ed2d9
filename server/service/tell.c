/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/tell.h"

#include <stdio.h>

const Pb__AdminCommand *tell_read(struct query *q, struct bytes envelope)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, q->arena, &err);

	return e == NULL ? NULL
			 : wire_read(&pb__admin_command__descriptor, wire_bytes(e->payload),
				   &wire_signed, q->arena, &err);
}

const struct rollout *tell_rollout(const struct state *s, const Pb__AdminCommand *m)
{
	ProtobufCBinaryData id = { 0, NULL };

	if (m->approve != NULL)
		id = m->approve->rollout_id;
	else if (m->act != NULL)
		id = m->act->rollout_id;
	else if (m->withdraw != NULL && m->withdraw->has_rollout_id)
		id = m->withdraw->rollout_id;
	return id.len == ID_LEN ? state_rollout_id(s, id.data) : NULL;
}

static const char *tell_publish(struct query *q, const Pb__Publish *m)
{
	int err;
	const Pb__Envelope *e = envelope_read(wire_bytes(m->targets), q->arena, &err);
	const Pb__Targets *t = e == NULL
		? NULL
		: wire_read(&pb__targets__descriptor, wire_bytes(e->payload), &wire_signed,
			  q->arena, &err);

	if (t == NULL)
		return "publish ?";
	if (t->version == 1)
		return query_printf(q, "publish %s for %s", t->build_id, t->product);
	return query_printf(q, "publish %s for %s, signed anew (%llu)", t->build_id, t->product,
		(unsigned long long)t->version);
}

static const char *tell_propose(struct query *q, const Pb__Propose *m)
{
	int err;
	const Pb__PlanSpec *spec = wire_read(
		&pb__plan_spec__descriptor, wire_bytes(m->spec), &wire_signed, q->arena, &err);

	return query_printf(
		q, "propose %s by plan %s", m->release, spec != NULL ? spec->name : "?");
}

static const char *tell_seat(struct query *q, const Pb__SeatAct *m)
{
	const char *s = m->n_device_ids == 1 ? "" : "s";
	const char *ring =
		(unsigned)m->ring < RING__COUNT ? ring_str((enum ring)m->ring) : "an unknown ring";

	if (m->has_remove && m->remove)
		return query_printf(q, "take %zu device%s of %s out of %s", m->n_device_ids, s,
			m->product, ring);
	return query_printf(
		q, "invite %zu device%s of %s to %s", m->n_device_ids, s, m->product, ring);
}

static const char *tell_import(struct query *q, const Pb__Import *m)
{
	uint32_t seats = m->core + m->honour + m->dev;

	return query_printf(q, "import %u device%s of %s%s, %u with seats%s", m->rows,
		m->rows == 1 ? "" : "s", m->n_products > 0 ? m->products[0] : "?",
		m->n_products > 1 ? " and others" : "", seats,
		m->dates ? ", with their dates" : "");
}

static const char *tell_withdraw(struct query *q, const Pb__Withdraw *m, const struct rollout *r)
{
	char id[17] = "?";

	for (size_t i = 0; m->has_command && i < 8 && i < m->command.len; i++)
		(void)snprintf(&id[2 * i], 3, "%02x", m->command.data[i]);
	return m->has_command ? query_printf(q, "withdraw command %s", id)
			      : query_printf(q, "withdraw %s", r != NULL ? r->release : "?");
}

const char *tell_what(struct query *q, const Pb__AdminCommand *m)
{
	static const char *const verb[] = {
		[PB__ACT__ACT_START] = "start",
		[PB__ACT__ACT_PAUSE] = "pause",
		[PB__ACT__ACT_HALT] = "halt",
	};
	const struct rollout *r = tell_rollout(control_state(q->server), m);
	const char *release = r != NULL ? r->release : "?";

	if (m->publish != NULL)
		return tell_publish(q, m->publish);
	if (m->propose != NULL)
		return tell_propose(q, m->propose);
	if (m->approve != NULL)
		return query_printf(q, "approve %s", release);
	if (m->act != NULL)
		return query_printf(q, "%s %s", verb[m->act->act], release);
	if (m->seat != NULL)
		return tell_seat(q, m->seat);
	if (m->withdraw != NULL)
		return tell_withdraw(q, m->withdraw, r);
	if (m->import != NULL)
		return tell_import(q, m->import);
	return m->confirm != NULL ? "confirm that the server's clock is right" : "?";
}
