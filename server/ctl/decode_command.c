/* SPDX-License-Identifier: Apache-2.0 */
/* What people ordered, in words. */
#include "proto/admin.pb-c.h"
#include "server/ctl/decode_private.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/targets.h"

static void say_targets(struct decode *d, struct buf *out, ProtobufCBinaryData envelope)
{
	int err;
	const Pb__Targets *t = targets_peek(wire_bytes(envelope), d->a, &err);

	buf_printf(out, "publish %s for %s", t != NULL ? t->build_id : "?",
		t != NULL ? t->product : "?");
}

static void say_seat(struct buf *out, const Pb__SeatAct *m)
{
	buf_printf(out, "%s %zu device%s %s %s of %s", m->remove ? "take" : "invite",
		m->n_device_ids, m->n_device_ids == 1 ? "" : "s", m->remove ? "out of" : "to",
		ring_word((uint32_t)m->ring), m->product);
}

static void say_import(struct buf *out, const Pb__Import *m)
{
	buf_printf(out, "import %u device%s of ", m->rows, m->rows == 1 ? "" : "s");
	for (size_t i = 0; i < m->n_products; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", m->products[i]);
}

/* Who countersigns has the same file, or does not know what he signs. */
static void show_import(struct buf *out, const Pb__Import *m)
{
	char hex[2 * SHA256_LEN + 1] = "?";

	if (m->sha256.len == SHA256_LEN)
		(void)hex_encode(hex, m->sha256.data, SHA256_LEN);
	buf_printf(
		out, "Seats      core %u, honour %u, dev %u at most\n", m->core, m->honour, m->dev);
	buf_printf(out, "Dates      %s\n",
		m->dates ? "as the rows give them: old ids vote" : "today: the ids are young");
	buf_printf(out, "Rows       %s\n", hex);
	buf_str(out, "Check it   huiductl fleet import FILE --dry-run, which says the same hash\n");
}

/* "halt 2.4.1" */
static void say_command(struct decode *d, struct buf *out, const Pb__AdminCommand *m)
{
	static const char *const act[] = { "?", "start", "pause", "halt" };
	struct shown room;

	if (m->publish != NULL)
		say_targets(d, out, m->publish->targets);
	else if (m->propose != NULL)
		buf_printf(out, "propose %s", m->propose->release);
	else if (m->approve != NULL)
		buf_printf(out, "approve %s", decode_rollout(d, m->approve->rollout_id, &room));
	else if (m->act != NULL)
		buf_printf(out, "%s %s", (unsigned)m->act->act < 4 ? act[m->act->act] : "?",
			decode_rollout(d, m->act->rollout_id, &room));
	else if (m->seat != NULL)
		say_seat(out, m->seat);
	else if (m->withdraw != NULL && m->withdraw->has_rollout_id)
		buf_printf(out, "withdraw %s", decode_rollout(d, m->withdraw->rollout_id, &room));
	else if (m->withdraw != NULL)
		buf_printf(out, "withdraw command %s", decode_hex(m->withdraw->command, 16).s);
	else if (m->confirm != NULL)
		buf_str(out,
			m->confirm->what == PB__CONFIRM_WHAT__CONFIRM_CLOCK
				? "confirm that the server's clock is right"
				: "confirm ?");
	else if (m->import != NULL)
		say_import(out, m->import);
	else
		buf_str(out, "?");
}

static void show_propose(struct decode *d, struct buf *out, const Pb__Propose *m)
{
	const Pb__PlanSpec *spec = decode_read(d, &pb__plan_spec__descriptor, m->spec);

	for (size_t i = 0; i < m->n_builds; i++)
		buf_printf(out, "Build      %s for %s\n", m->builds[i]->build_id,
			m->builds[i]->product);
	if (spec != NULL)
		ladder_show(out, d->term, spec, 0);
}

void decode_command(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__AdminCommand *m = decode_read(d, &pb__admin_command__descriptor, in);
	int err;
	const Pb__Targets *t;

	if (m == NULL)
		return;
	buf_str(out, "Command    ");
	say_command(d, out, m);
	buf_printf(out, ", in %s\n", m->repository);
	if (m->reason != NULL)
		buf_printf(out, "Reason     %s\n", m->reason);
	for (size_t i = 0; m->seat != NULL && i < m->seat->n_device_ids; i++)
		buf_printf(out, "Device     %s\n", decode_hex(m->seat->device_ids[i], 32).s);
	if (m->propose != NULL)
		show_propose(d, out, m->propose);
	if (m->import != NULL)
		show_import(out, m->import);
	t = m->publish != NULL ? targets_peek(wire_bytes(m->publish->targets), d->a, &err) : NULL;
	if (t != NULL)
		targets_show(out, d->term, t);
	for (size_t i = 0; m->approve != NULL && i < m->approve->n_plans; i++) {
		const Pb__Envelope *plan =
			envelope_read(wire_bytes(m->approve->plans[i]), d->a, &err);
		if (plan != NULL)
			decode_plan(d, out, plan->payload);
	}
	buf_printf(out, "Issued     %s UTC", decode_when(m->issued_at).s);
	buf_printf(out, ", good until %s\n", decode_when(m->expires).s);
	buf_printf(out, "Log seen   %llu entries, root %s...\n", (unsigned long long)m->audit_size,
		decode_hex(m->audit_root, 16).s);
}

void decode_command_line(struct decode *d, struct buf *out, ProtobufCBinaryData in)
{
	const Pb__AdminCommand *m = decode_read(d, &pb__admin_command__descriptor, in);

	if (m == NULL)
		return;
	say_command(d, out, m);
	if (m->reason != NULL)
		buf_printf(out, ": %s", m->reason);
}
