/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/exchange.h"

#include <stdlib.h>

#include "server/base/clock.h"
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"

#define TRIES 3u /* an offer, and what is left of it by then */

/* One thing has been said, or could not be. */
static void finish(struct exchange *e, int err)
{
	if (e->kind->next != NULL && e->kind->next(e, &err)) {
		e->tries = 0;
		exchange_begin(e);
		return;
	}
	if (err != 0)
		e->kind->refuse(e->call, err);
	else
		e->kind->answer(e);
	free(e);
}

/*
 * A poll that changed something is answered by what is so now, in the image that is served now: what
 * was offered may have been halted meanwhile.
 */
static void resumed(struct http_call *call, void *arg)
{
	struct exchange *e = arg;
	int err = e->x.job.err;
	bool polls = e->ask.said.word == FOREIGN_POLL, known = e->x.word != NULL;

	(void)call; /* it is e->call */
	if (err == 0 && polls && !e->x.is_new) {
		exchange_begin(e);
		return;
	}
	if (err != 0 && polls && known && err != ERR_BAD_MAC) {
		/* It cannot be written now: what is not remembered is not offered. */
		if (e->x.turn.tell != FOREIGN_CANCEL)
			e->x.turn.tell = FOREIGN_NOTHING;
		err = 0;
	}
	finish(e, err);
}

static void done(struct job *job)
{
	struct exchange *e = (struct exchange *)job;

	if (job->err == 0)
		foreign_taken(&e->x);
	http_resume(e->call, resumed, e);
}

/* A deferred call is answered from its own thread, in a moment. */
static void submit(struct exchange *e)
{
	struct desk *d = device_desk(e->call);
	int err;

	e->tries++;
	e->x.job.done = done;
	http_defer(e->call);
	err = e->tries > TRIES ? ERR_BUSY : writer_submit(&d->server->writer, &e->x.job);
	if (err == 0)
		return;
	e->x.job.err = err;
	http_resume(e->call, resumed, e);
}

void exchange_begin(struct exchange *e)
{
	struct desk *d = device_desk(e->call);
	bool write;
	int err;

	e->ask.product = image_number(d->image, e->product);
	e->ask.now_ms = clock_ms();
	e->ask.mono_ms = clock_mono_ms();
	err = foreign_begin(d, &e->ask, &e->x, &write);
	if (err != 0 || !write)
		finish(e, err);
	else if (e->x.word != NULL || !device_sheds(e->call, SHED_ENROL))
		submit(e);
	else
		free(e);
}

/* ---- answers ---- */

void exchange_status(struct http_call *call, unsigned status)
{
	struct http_answer answer = { .status = status };

	http_reply(call, &answer);
}

void exchange_reply(struct http_call *call, const char *type, struct buf *body)
{
	struct bytes part = buf_bytes(body);
	struct http_answer answer = { .status = 200, .type = type, .part = &part, .n_parts = 1 };

	http_reply(call, &answer);
	buf_release(body);
}

void exchange_refuse(struct http_call *call, int err)
{
	if (err != ERR_BAD_MAC) {
		device_refuse(call, err);
		return;
	}
	metric_add(METRIC_REFUSED_UNAUTHORISED, 1);
	exchange_status(call, 401);
}
