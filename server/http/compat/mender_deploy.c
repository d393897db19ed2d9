/* SPDX-License-Identifier: Apache-2.0 */
/* What a device of Mender is offered, and what it says comes of it. */
#include <stdlib.h>

#include "server/base/log.h"
#include "server/http/compat/mender_private.h"
#include "server/http/device_private.h"

#define LINK_MS 86400000u /* so long a link is said to be good */

/* ---- their ids ---- */

/* Of a device and its action; both can be read from it. */
static void make_deployment(const uint8_t id[ID_LEN], uint32_t action, char out[MENDER_UUID])
{
	uint8_t uuid[ID_LEN];

	memcpy(uuid, id, ID_LEN - 4);
	put_be32(uuid + ID_LEN - 4, action);
	(void)mender_uuid(uuid, out);
}

bool mender_read_deployment(struct bytes text, const uint8_t id[ID_LEN], uint32_t *action)
{
	uint8_t uuid[ID_LEN];

	if (!mender_read_uuid(text, uuid) || memcmp(uuid, id, ID_LEN - 4) != 0)
		return false;
	*action = get_be32(uuid + ID_LEN - 4);
	return *action > 0;
}

static void reply_deployment(struct mender_call *c, const struct image_build *b, const char *suffix)
{
	char id[MENDER_UUID];
	const char *type = c->device_type;
	struct buf body = { 0 }, uri = { 0 };
	/* It names no state: it goes on, and asks for its map before each step. */
	const struct mender_control control = { .id = id };
	struct mender_deployment deployment = {
		.id = id,
		.artifact_name = b->name,
		.expires_ms = c->e.ask.now_ms + LINK_MS,
		.device_type = &type,
		.n_device_types = 1,
		.control = c->control_map ? &control : NULL,
	};

	link_folder(&uri, c->base, b->sha256);
	buf_printf(&uri, "%s%s", b->name, suffix);
	deployment.uri = buf_text(&uri);
	make_deployment(c->id, c->e.x.turn.next.action, id);
	mender_write_next(&body, &deployment);
	exchange_reply(c->e.call, "application/json", &body);
	buf_release(&uri);
}

static void answer_next(struct exchange *e)
{
	struct mender_call *c = (struct mender_call *)e;
	struct desk *d = device_desk(e->call);
	const struct image_product *p = image_number(d->image, e->product);
	const struct image_build *b = p == NULL ? NULL : image_build(p, e->x.turn.next.build);
	const struct tenant *t = p == NULL ? NULL : mender_tenant(d, p->name);

	if (e->x.turn.tell == FOREIGN_DEPLOY && b != NULL && b->has_file && t != NULL)
		reply_deployment(c, b, t->config->suffix);
	else
		exchange_status(e->call, 204);
}

/* A device of another type is heard, and offered nothing. */
static bool has_type(struct desk *d, const struct image_product *p, const char *type)
{
	const struct tenant *t =
		tenants_find(d->image->settings.tenants, FOREIGN_MENDER, bytes_str(type));

	return t != NULL && strcmp(t->config->product, p->name) == 0;
}

static const struct exchange_kind next_kind = { answer_next, exchange_refuse, NULL };

/* `err` is what came of reading `asked`. */
static void ask_next(struct http_call *call, const struct mender_next *asked, int err)
{
	struct bearer bearer;
	const struct image_product *p = mender_recognise(call, &bearer);
	struct mender_call *c;

	if (p == NULL)
		return;
	c = mender_new_call(call, &bearer, &next_kind);
	if (err != 0 || asked->artifact_name[0] == '\0' || asked->device_type[0] == '\0' ||
		link_base(call, c->base) != 0) {
		mender_refuse_body(call);
		free(c);
		return;
	}
	c->control_map = asked->control_map;
	memcpy(c->device_type, asked->device_type, sizeof(c->device_type));
	c->e.ask.said.word = has_type(device_desk(call), p, asked->device_type)
		? FOREIGN_POLL
		: FOREIGN_ATTRIBUTES;
	mender_names_build(&c->e.ask.said, asked->artifact_name);
	exchange_begin(&c->e);
}

void mender_post_next(struct http_call *call)
{
	struct mender_next asked;
	int err = mender_read_next(call->body, &asked);

	ask_next(call, &asked, err);
}

void mender_get_next(struct http_call *call)
{
	struct mender_next asked;
	int err = mender_read_query(call->query, &asked);

	ask_next(call, &asked, err);
}

/* ---- status ---- */

static const struct {
	enum foreign_word word;
	bool ends; /* nothing comes of it any more: it is never told to stop */
} meaning[MENDER_STATUS__COUNT] = {
	[MENDER_UNKNOWN] = { FOREIGN_WORD__COUNT, false },
	[MENDER_DOWNLOADING] = { FOREIGN_PROGRESS, false },
	[MENDER_PAUSE_BEFORE_INSTALLING] = { FOREIGN_PROGRESS, false },
	/* The file came while it was downloading.  Said again after the reboot, it is not news. */
	[MENDER_INSTALLING] = { FOREIGN_DOWNLOADED, false },
	[MENDER_PAUSE_BEFORE_REBOOTING] = { FOREIGN_PROGRESS, false },
	[MENDER_REBOOTING] = { FOREIGN_DONE, false },
	[MENDER_PAUSE_BEFORE_COMMITTING] = { FOREIGN_PROGRESS, false },
	[MENDER_SUCCESS] = { FOREIGN_SUCCESS, true },
	[MENDER_FAILURE] = { FOREIGN_FAILURE, true },
	[MENDER_ALREADY_INSTALLED] = { FOREIGN_ALREADY, true },
};

/* 409 is Mender's way to say: stop, and take it back. */
static void answer_status(struct exchange *e)
{
	const struct mender_call *c = (const struct mender_call *)e;
	enum foreign_tell tell = e->x.turn.tell;
	bool ends = meaning[c->status].ends;

	if (tell == FOREIGN_UNKNOWN)
		http_reply_error(e->call, 404);
	else if (!ends && (tell == FOREIGN_CANCEL || tell == FOREIGN_GONE))
		http_reply_error(e->call, 409);
	else
		exchange_status(e->call, 204);
}

static const struct exchange_kind status_kind = { answer_status, exchange_refuse, NULL };

static void take_status(struct http_call *call, const struct bearer *bearer, uint32_t action)
{
	enum mender_status status;
	struct mender_call *c;

	if (mender_read_status(call->body, &status) != 0 || status == MENDER_UNKNOWN) {
		mender_refuse_body(call);
		return;
	}
	c = mender_new_call(call, bearer, &status_kind);
	c->status = status;
	c->e.ask.said.word = meaning[status].word;
	c->e.ask.said.action = action;
	exchange_begin(&c->e);
}

/* ---- log ---- */

/* What is too long to be looked into is taken, too: it would be sent again. */
static void take_log(struct http_call *call, const struct bearer *bearer)
{
	char why[MENDER_WHY], hex[2 * ID_LEN + 1];
	int err = mender_read_log(call->body, why);

	if (err != 0 && err != ERR_TOO_BIG) {
		mender_refuse_body(call);
		return;
	}
	for (char *p = why; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (err == 0)
		log_debug("mender: %s: %s", hex_encode(hex, bearer->id, ID_LEN), why);
	exchange_status(call, 204);
}

/* ---- either ---- */

/* "ID/status", "ID/log". */
void mender_put_deployment(struct http_call *call)
{
	struct bytes rest = call->rest, what;
	struct bearer bearer;
	uint32_t action;

	if (mender_recognise(call, &bearer) == NULL)
		return;
	if (rest.n < MENDER_UUID || rest.p[MENDER_UUID - 1] != '/' ||
		!mender_read_deployment(bytes_of(rest.p, MENDER_UUID - 1), bearer.id, &action)) {
		http_reply_error(call, 404);
		return;
	}
	what = bytes_of(rest.p + MENDER_UUID, rest.n - MENDER_UUID);
	if (bytes_eq(what, bytes_str("status")))
		take_status(call, &bearer, action);
	else if (bytes_eq(what, bytes_str("log")))
		take_log(call, &bearer);
	else
		http_reply_error(call, 404);
}
