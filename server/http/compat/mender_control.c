/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map that a device of Mender asks for before it installs, reboots and commits: what was halted it
 * is to give up there, also where it would say nothing and so hear no 409.
 */
#include "server/http/compat/mender_private.h"
#include "server/http/device_private.h"

static const char behind[] = "/update_control_map";

static void reply_map(struct http_call *call, struct bytes id, enum mender_action action)
{
	char text[MENDER_UUID];
	struct mender_control control = { .id = text };
	struct buf body = { 0 };

	memcpy(text, id.p, id.n);
	text[id.n] = '\0';
	for (unsigned i = 0; i < MENDER_STATE__COUNT; i++)
		control.state[i].action = action;
	mender_write_control(&body, &control);
	exchange_reply(call, "application/json", &body);
}

static void answer(struct exchange *e)
{
	const struct mender_call *c = (const struct mender_call *)e;
	const struct foreign *f = &e->x.turn.next;
	struct bytes id = bytes_str(c->deployment);

	if (e->x.turn.tell == FOREIGN_CANCEL)
		reply_map(e->call, id, MENDER_FAIL);
	else if (foreign_is_busy(f) && f->action == e->ask.said.action)
		reply_map(e->call, id, MENDER_LEFT_OUT);
	else
		http_reply_error(e->call, 404); /* which ends the map */
}

static const struct exchange_kind control_kind = { answer, exchange_refuse, NULL };

/* "ID/update_control_map" */
static bool read_path(struct bytes path, const struct bearer *b, uint32_t *action)
{
	size_t n = MENDER_UUID - 1;

	return path.n == n + strlen(behind) && memcmp(path.p + n, behind, strlen(behind)) == 0 &&
		mender_read_deployment(bytes_of(path.p, n), b->id, action);
}

void mender_get_control(struct http_call *call)
{
	struct bearer bearer;
	struct mender_call *c;
	uint32_t action;

	if (mender_recognise(call, &bearer) == NULL)
		return;
	if (!read_path(call->rest, &bearer, &action)) {
		http_reply_error(call, 404);
		return;
	}
	c = mender_new_call(call, &bearer, &control_kind);
	memcpy(c->deployment, call->rest.p, MENDER_UUID - 1); /* zeroed behind */
	c->e.ask.said.word = FOREIGN_FETCH_CANCEL;
	c->e.ask.said.action = action;
	exchange_begin(&c->e);
}
