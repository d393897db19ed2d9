/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/named.h"

#include "proto/admin.pb-c.h"
#include "proto/envelope.h"

bool named_in_entry(struct bytes entry, const uint8_t id[ID_LEN], struct arena *a)
{
	const Pb__AdminCommand *m = NULL;
	const Pb__Envelope *e = NULL;
	enum envelope_type type;
	const Pb__LogEntry *l;
	int err;

	a->used = 0;
	l = wire_read(&pb__log_entry__descriptor, entry, &wire_signed, a, &err);
	if (l != NULL)
		e = envelope_read(wire_bytes(l->envelope), a, &err);
	if (e != NULL && envelope_type_of(e, &type) && type == ENVELOPE_COMMAND)
		m = wire_read(&pb__admin_command__descriptor, wire_bytes(e->payload), &wire_command,
			a, &err);
	for (size_t i = 0; m != NULL && m->seat != NULL && i < m->seat->n_device_ids; i++)
		if (bytes_eq(wire_bytes(m->seat->device_ids[i]), bytes_of(id, ID_LEN)))
			return true;
	return false;
}
