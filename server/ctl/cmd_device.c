/* SPDX-License-Identifier: Apache-2.0 */
/* device why: support's favourite. */
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/table.h"

#define DAY_MS 86400000ull

static void foreign_json(struct json *j, const Pb__ForeignView *f)
{
	json_object(j, "foreign");
	json_str(j, "protocol", f->protocol);
	json_str(j, "name", f->name);
	json_str(j, "state", f->state);
	json_bool(j, "cancelling", f->cancelling);
	json_u64(j, "action", f->action);
	if (f->build != NULL)
		json_str(j, "build", f->build);
	if (f->since_ms != 0)
		json_time(j, "since", f->since_ms);
	json_str(j, "why", f->why);
	json_end_object(j);
}

static void why_json(struct buf *out, const Pb__DeviceView *d)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.device/1");
	json_hex(&j, "device", wire_bytes(d->device_id));
	json_str(&j, "product", d->product);
	json_str(&j, "ring", ring_word(d->ring));
	json_str(&j, "wish", ring_word(d->wish));
	json_time(&j, "enrolled", d->enrolled_day * DAY_MS);
	json_u64(&j, "last_seq", d->last_seq);
	if (d->last_build != NULL)
		json_str(&j, "last_build", d->last_build);
	if (d->foreign != NULL)
		foreign_json(&j, d->foreign);
	json_array(&j, "offers");
	for (size_t i = 0; i < d->n_offers; i++) {
		const Pb__DeviceOffer *o = d->offers[i];
		json_object(&j, NULL);
		json_str(&j, "release", o->release);
		json_u64(&j, "bucket", o->bucket);
		json_u64(&j, "upper_ppm", o->upper);
		json_str(&j, "arm", o->arm);
		json_str(&j, "why", o->why);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void offer_text(
	struct buf *out, const struct term *t, const Pb__DeviceView *d, const Pb__DeviceOffer *o)
{
	put(out, t, STYLE_BOLD, "  %-9s", o->release);
	buf_printf(out, " %s\n", o->why);
	buf_printf(out, "            bucket %s of 1,000,000;", show_count(o->bucket).s);
	buf_printf(out, " %s is open to %s; arm %s\n", ring_word(d->ring), show_share(o->upper).s,
		o->arm);
}

static void foreign_text(struct buf *out, const struct term *t, const Pb__ForeignView *f)
{
	struct buf text = { 0 };

	buf_printf(&text, "%s %s: %s", f->protocol, f->name, f->why);
	if (f->since_ms != 0)
		buf_printf(&text, " (since %s)", show_minute(f->since_ms).s);
	text_wrap(out, t, STYLE_PLAIN, 2, buf_text(&text));
	buf_release(&text);
}

static void why_text(struct buf *out, const struct term *t, const Pb__DeviceView *d)
{
	char hex[2 * ID_LEN + 1] = "";

	if (d->device_id.len == ID_LEN)
		(void)hex_encode(hex, d->device_id.data, ID_LEN);
	put(out, t, STYLE_BOLD, "Device %s", hex);
	buf_printf(out, "\n  %s on %s; last report %u\n", d->product,
		d->last_build != NULL ? d->last_build : "a build it has not reported", d->last_seq);
	if (d->foreign != NULL)
		foreign_text(out, t, d->foreign);
	buf_printf(out, "  ring      %s", ring_word(d->ring));
	if (d->wish < d->ring)
		buf_printf(out, "; waiting for a seat in %s", ring_word(d->wish));
	buf_printf(out, "\n  enrolled  %.10s\n", show_minute(d->enrolled_day * DAY_MS).s);
	for (size_t i = 0; i < d->n_offers; i++)
		offer_text(out, t, d, d->offers[i]);
	if (d->n_offers == 0)
		buf_str(out, "  nothing is on offer for its product and ring\n");
}

int cmd_device_why(struct ctl *c)
{
	const char *id = c->args.words.v[0];
	bool is_name = strchr(id, '/') != NULL;
	uint8_t raw[ID_LEN];
	struct buf out = { 0 };
	struct reply r;
	int err;

	if (!is_name && !hex_decode(raw, ID_LEN, id))
		return fail(EXIT_USAGE, "huiductl device why ID, as the device shows it",
			"'%s' is no device: an id is 32 hex digits, or PROTOCOL/NAME", id);
	err = ctl_query(c, PB__QUERY_KIND__QUERY_DEVICE, id, &r);
	if (err != 0)
		return err;
	if (r.m->device == NULL)
		err = fail(EXIT_NOT_FOUND, "ask the device for its id again",
			"no device %s is enrolled", id);
	else if (ctl_json(c))
		why_json(&out, r.m->device);
	else
		why_text(&out, &c->term, r.m->device);
	reply_release(&r);
	return err != 0 ? err : ctl_print(&out);
}
