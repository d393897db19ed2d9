/* SPDX-License-Identifier: Apache-2.0 */
/* ring invite, ring remove, clock confirm: what people say besides rollouts. */
#include "proto/names.h"
#include "server/base/mem.h"
#include "server/core/ring.h"
#include "server/ctl/cmds.h"
#include "server/ctl/sign.h"

struct seats {
	uint8_t id[ARGS_MAX][ID_LEN];
	ProtobufCBinaryData list[ARGS_MAX];
	Pb__SeatAct act;
};

static int read_seats(struct ctl *c, bool remove, struct seats *out)
{
	const struct arg_list *w = &c->args.words;
	enum ring ring;

	if (!ring_parse(w->v[0], &ring) || ring == RING_STABLE)
		return fail(EXIT_USAGE, "huiductl ring show",
			"'%s': seats are in core, honour and dev", w->v[0]);
	if (c->args.product == NULL || !name_ok(c->args.product))
		return fail(EXIT_USAGE, "huiductl ring invite core DEVICE --product P",
			"--product is missing: the hardware model of these devices");
	for (size_t i = 1; i < w->n; i++) {
		if (!hex_decode(out->id[i - 1], ID_LEN, w->v[i]))
			return fail(EXIT_USAGE, "huiductl device why ID, as the device shows it",
				"'%s' is no device: an id is 32 hex digits", w->v[i]);
		out->list[i - 1] = wire_data(out->id[i - 1], ID_LEN);
	}
	out->act = (Pb__SeatAct)PB__SEAT_ACT__INIT;
	out->act.product = c->args.product;
	out->act.ring = (Pb__Ring)ring;
	out->act.device_ids = out->list;
	out->act.n_device_ids = w->n - 1;
	out->act.has_remove = remove;
	out->act.remove = remove;
	return 0;
}

static int change_seats(struct ctl *c, bool remove)
{
	struct seats *s = mem_zalloc(sizeof(*s));
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	int err = ctl_root(c);

	if (err == 0)
		err = read_seats(c, remove, s);
	if (err == 0) {
		/* Core takes two tester managers: the second has three days. */
		if (s->act.ring == (Pb__Ring)RING_CORE &&
			strcmp(c->root->root->profile, "solo") != 0)
			command.expires = SHARED_LIFE_S;
		command.seat = &s->act;
		command.reason = c->args.reason;
		c->next = "huiductl ring show; huiductl pending";
		err = send_simple(c, &command, HAND(TESTER) | HAND(RELEASE),
			remove ? "signed: out of the ring" : "signed: invited");
	}
	free(s);
	return err;
}

int cmd_ring_invite(struct ctl *c)
{
	return change_seats(c, false);
}

int cmd_ring_remove(struct ctl *c)
{
	return change_seats(c, true);
}

int cmd_clock_confirm(struct ctl *c)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	Pb__Confirm confirm = PB__CONFIRM__INIT;

	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	command.confirm = &confirm;
	command.reason = c->args.reason;
	c->next = "huiductl doctor, which compares the clocks";
	return send_simple(
		c, &command, HAND(RELEASE) | HAND(APPROVER), "the server's clock is confirmed");
}
