/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as phones with the real SDK make them. */
#include "deployment.h"

#include <string.h>

static void enrol_done(struct job *job)
{
	if (job->err == 0)
		enrol_taken((struct enrol *)job);
}

static int take_enrol(struct deployment *d, struct bytes body, struct buf *out)
{
	uint8_t reply[ENROL_REPLY_MAX];
	size_t n = 0;
	struct enrol_ask ask = { .body = body, .now_ms = d->now_ms, .mono_ms = d->now_ms };
	struct enrol e;
	int err = enrol_open(&d->desk, &ask, &e, reply, &n);

	if (err == 0 && n == 0) {
		e.job.done = enrol_done;
		err = writer_call(&d->server.writer, &e.job);
		if (err == 0)
			err = enrol_reply(&d->desk, &e, reply, &n);
	}
	buf_add(out, reply, n);
	return err;
}

static void report_done(struct job *job)
{
	if (job->err == 0)
		report_taken((struct report *)job);
}

static int take_report(struct deployment *d, const struct request *r)
{
	struct report report;
	int err = report_of(&d->desk, r, d->now_ms, &report);

	report.job.done = report_done;
	return err != 0 ? err : writer_call(&d->server.writer, &report.job);
}

static int take_poll(struct deployment *d, struct bytes body, struct buf *out)
{
	struct poll_answer answer;
	struct poll_ask ask;
	struct request r;
	int err = request_open(&d->desk, REQUEST_POLL, body, d->now_ms, &r);

	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err == 0 && r.report != NULL)
		err = take_report(d, &r);
	if (err != 0)
		return err;
	poll_answer(&d->desk, &ask, d->now_ms, &answer);
	for (size_t i = 0; i < POLL_PARTS; i++)
		buf_add(out, answer.part[i].p, answer.part[i].n);
	return 0;
}

static int take_events(struct deployment *d, struct bytes body, struct buf *out)
{
	struct request r;
	int err = request_open(&d->desk, REQUEST_REPORT, body, d->now_ms, &r);

	(void)out;
	return err != 0 ? err : take_report(d, &r);
}

static const struct door {
	const char *path;
	int (*answer)(struct deployment *d, struct bytes body, struct buf *out);
} doors[] = {
	{ "/v1/enroll", take_enrol },
	{ "/v1/poll", take_poll },
	{ "/v1/report", take_events },
};

int deployment_answer(struct deployment *d, const char *path, struct bytes body, struct buf *out)
{
	int err = ERR_NOT_FOUND;

	d->arena.used = 0;
	(void)desk_refresh(&d->desk);
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(path, doors[i].path) == 0)
			err = doors[i].answer(d, body, out);
	while (writer_drain(&d->server.writer))
		;
	return err;
}
