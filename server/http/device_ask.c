/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/time and /v1/grant: answered when control has had them signed. */
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/device_private.h"

struct waiting_ask {
	struct ask ask; /* first: it is what control has */
	struct http_call *call;
};

static void resumed(struct http_call *call, void *arg)
{
	struct waiting_ask *w = arg;
	struct bytes part = buf_bytes(&w->ask.reply);

	if (w->ask.err != 0)
		device_refuse(call, w->ask.err);
	else
		device_reply(call, &part, 1);
	buf_release(&w->ask.reply);
	free(w);
}

static void done(struct ask *ask)
{
	struct waiting_ask *w = (struct waiting_ask *)ask;

	http_resume(w->call, resumed, w);
}

/* Takes `w`. */
static void post(struct http_call *call, struct waiting_ask *w, enum ask_kind kind)
{
	struct device_front *f = call->user;
	int err;

	w->call = call;
	w->ask.kind = kind;
	w->ask.done = done;
	http_defer(call);
	err = asks_post(f->asks, &w->ask);
	if (err == 0)
		return; /* control has it, and may have answered already */
	w->ask.err = err;
	http_resume(call, resumed, w);
}

void device_time(struct http_call *call)
{
	struct waiting_ask *w = mem_zalloc(sizeof(*w));
	int err = timeproof_open(device_desk(call), call->body, w->ask.nonce);

	if (err == 0) {
		post(call, w, ASK_TIME);
		return;
	}
	device_refuse(call, err);
	free(w);
}

void device_grant(struct http_call *call)
{
	struct desk *d = device_desk(call);
	struct waiting_ask *w = mem_zalloc(sizeof(*w));
	int err = grant_open(d, call->body, clock_ms(), clock_mono_ms(), &w->ask.grant);
	struct bytes none;

	if (err == 0 && w->ask.grant.ring != RING_STABLE) {
		post(call, w, ASK_GRANT);
		return;
	}
	if (err == 0)
		err = grant_none(d, &none);
	if (err == 0)
		device_reply(call, &none, 1);
	else
		device_refuse(call, err);
	free(w);
}
