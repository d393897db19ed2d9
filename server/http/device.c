/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/compat/compat.h"
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"
#include "server/service/enrol.h"
#include "server/service/poll.h"
#include "server/service/report.h"

#define BODY_MAX      16384u
#define POLL_BODY_MAX 4096u
#define ASK_BODY_MAX  1024u

static const char protobuf[] = "application/x-protobuf";

/* ---- refusals ---- */

/* What an error means to a client, and which counter it goes to; the last line is for all others. */
static const struct refusal {
	int err;
	unsigned status;
	enum metric metric;
	const char *text;
} refusals[] = {
	{ ERR_BAD_MAC, 401, METRIC_REFUSED_UNAUTHORISED, "unknown device or wrong MAC\n" },
	{ ERR_BAD_SIGNATURE, 401, METRIC_REFUSED_BAD_PROOF, "the proof is wrong\n" },
	{ ERR_STALE, 401, METRIC_REFUSED_STALE, "the challenge is too old\n" },
	{ ERR_CLOSED, 403, METRIC_REFUSED_CLOSED,
		"the server takes only devices that it was told of\n" },
	{ ERR_TOO_MANY, 429, METRIC_REFUSED_FLOOD, "too often: try again later\n" },
	{ ERR_NOT_FOUND, 404, METRIC_REFUSED_UNKNOWN_PRODUCT, "no such product\n" },
	{ ERR_WRONG_PRODUCT, 409, METRIC_REFUSED_WRONG_PRODUCT, "enrolled as another product\n" },
	{ ERR_TOO_BIG, 413, METRIC_REFUSED_TOO_LARGE, "too large\n" },
	{ ERR_NO_ROOM, 413, METRIC_REFUSED_TOO_LARGE, "too large\n" },
	{ ERR_BUSY, 503, METRIC_REFUSED_BUSY, "busy\n" },
	{ ERR_STORE, 503, METRIC_REFUSED_STORE, "cannot be stored now\n" },
	{ ERR_CORRUPT, 503, METRIC_REFUSED_STORE, "cannot be stored now\n" },
	{ -EMFILE, 503, METRIC_REFUSED_NO_ROOM, "busy\n" },
	{ -ENFILE, 503, METRIC_REFUSED_NO_ROOM, "busy\n" },
	{ -ENOSPC, 503, METRIC_REFUSED_STORE, "cannot be stored now\n" },
	{ ERR_SIGNER, 503, METRIC_REFUSED_SIGNER, "cannot be signed now\n" },
	{ ERR_CLOCK, 503, METRIC_REFUSED_SIGNER, "cannot be signed now\n" },
	{ ERR_CRYPTO, 500, METRIC_REFUSED_INTERNAL, "internal error\n" },
	{ 0, 400, METRIC_REFUSED_MALFORMED, "malformed\n" },
};

void device_refuse(struct http_call *call, int err)
{
	const struct refusal *r = refusals;

	while (r->err != 0 && r->err != err)
		r++;
	struct bytes text = bytes_str(r->text);
	struct http_answer answer = {
		.status = r->status,
		.type = "text/plain",
		.part = &text,
		.n_parts = 1,
		.retry_after_s = r->status == 503 || r->status == 429 ? device_retry_s(call) : 0,
		.close = true,
	};
	metric_add(r->metric, 1);
	http_reply(call, &answer);
}

void device_missing(struct http_call *call)
{
	metric_add(METRIC_REFUSED_MISSING, 1);
	http_reply_error(call, 404);
}

void device_reply(struct http_call *call, const struct bytes *part, size_t n)
{
	struct http_answer answer = { .status = 200, .type = protobuf, .part = part, .n_parts = n };

	http_reply(call, &answer);
}

/* ---- poll and report ---- */

static void answer_poll(struct http_call *call, const struct poll_ask *ask, uint64_t now_ms)
{
	struct poll_answer a;

	poll_answer(device_desk(call), ask, now_ms, &a);
	device_reply(call, a.part, POLL_PARTS);
}

/* A report on its way to the disk; with a poll that waits for it, or alone. */
struct waiting_report {
	struct report report; /* first: its job is what the writer has */
	struct http_call *call;
	bool is_poll;
	struct poll_ask ask;
};

static void report_resumed(struct http_call *call, void *arg)
{
	struct waiting_report *w = arg;

	if (w->report.job.err == ERR_BUSY)
		device_shed_report(call);
	else if (w->report.job.err != 0)
		device_refuse(call, w->report.job.err);
	else if (w->is_poll)
		answer_poll(call, &w->ask, clock_ms());
	else
		device_reply(call, NULL, 0);
	free(w);
}

static void report_done(struct job *job)
{
	struct waiting_report *w = (struct waiting_report *)job;

	if (job->err == 0)
		report_taken(&w->report);
	http_resume(w->call, report_resumed, w);
}

/* Answers after the commit; `ask` is NULL when there is no poll with it. */
static void take_report(struct http_call *call, const struct request *r, const struct poll_ask *ask)
{
	struct desk *d = device_desk(call);
	struct waiting_report *w = mem_alloc(sizeof(*w));
	int err = report_of(d, r, clock_ms(), &w->report);

	w->report.job.done = report_done;
	w->call = call;
	w->is_poll = ask != NULL;
	if (ask != NULL)
		w->ask = *ask;
	if (err == 0) {
		http_defer(call);
		err = writer_submit(&d->server->writer, &w->report.job);
		if (err == 0)
			return;
		w->report.job.err = err;
		http_resume(call, report_resumed, w);
		return;
	}
	device_refuse(call, err);
	free(w);
}

static void poll(struct http_call *call)
{
	struct request r;
	struct poll_ask ask;
	uint64_t now_ms = clock_ms();
	int err = request_open(device_desk(call), REQUEST_POLL, call->body, now_ms, &r);

	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err != 0)
		device_refuse(call, err);
	else if (r.report != NULL)
		take_report(call, &r, &ask);
	else if (ask.urgent || !device_sheds(call, SHED_BACKGROUND))
		answer_poll(call, &ask, now_ms);
}

static void report(struct http_call *call)
{
	struct request r;
	int err = request_open(device_desk(call), REQUEST_REPORT, call->body, clock_ms(), &r);

	if (err != 0)
		device_refuse(call, err);
	else
		take_report(call, &r, NULL);
}

/* ---- enrol ---- */

struct waiting_enrol {
	struct enrol enrol; /* first: its job is what the writer has */
	struct http_call *call;
};

static void enrol_resumed(struct http_call *call, void *arg)
{
	struct waiting_enrol *w = arg;
	uint8_t body[ENROL_REPLY_MAX];
	size_t n = 0;
	int err = w->enrol.job.err;

	if (err == 0)
		err = enrol_reply(device_desk(call), &w->enrol, body, &n);
	struct bytes part = bytes_of(body, n);
	if (err != 0)
		device_refuse(call, err);
	else
		device_reply(call, &part, 1);
	crypto_wipe(body, sizeof(body));
	free(w);
}

static void enrol_done(struct job *job)
{
	struct waiting_enrol *w = (struct waiting_enrol *)job;

	if (job->err == 0)
		enrol_taken(&w->enrol);
	http_resume(w->call, enrol_resumed, w);
}

static void enrol(struct http_call *call)
{
	struct desk *d = device_desk(call);
	struct waiting_enrol *w;
	uint8_t body[ENROL_REPLY_MAX], network[ADDRESS_NETWORK];
	struct enrol_ask ask = {
		.body = call->body,
		.network = bytes_of(network, address_network(call->peer, network)),
		.now_ms = clock_ms(),
		.mono_ms = clock_mono_ms(),
	};
	struct bytes part;
	size_t n;
	int err;

	if (device_sheds(call, SHED_ENROL))
		return;
	w = mem_alloc(sizeof(*w));
	err = enrol_open(d, &ask, &w->enrol, body, &n);
	part = bytes_of(body, n);
	if (err != 0 || n > 0) {
		if (err != 0)
			device_refuse(call, err);
		else
			device_reply(call, &part, 1);
		free(w);
		return;
	}
	w->enrol.job.done = enrol_done;
	w->call = call;
	http_defer(call);
	err = enrol_submit(&w->enrol);
	if (err == 0)
		return;
	w->enrol.job.err = err;
	http_resume(call, enrol_resumed, w);
}

/* ---- health ---- */

static void health(struct http_call *call)
{
	struct bytes text = bytes_str("ready\n");
	struct http_answer answer = {
		.status = 200, .type = "text/plain", .part = &text, .n_parts = 1
	};

	const struct device_front *f = call->user;

	if (device_desk(call)->image == NULL || atomic_load(&f->stopping))
		http_reply_error(call, 503);
	else
		http_reply(call, &answer);
}

static const struct http_route own_routes[] = {
	{ "POST", "/v1/poll", false, POLL_BODY_MAX, poll },
	{ "POST", "/v1/report", false, BODY_MAX, report },
	{ "POST", "/v1/enroll", false, BODY_MAX, enrol },
	{ "POST", "/v1/grant", false, ASK_BODY_MAX, device_grant },
	{ "POST", "/v1/time", false, ASK_BODY_MAX, device_time },
	{ "GET", "/v1/artifact/", true, 0, device_artifact },
	{ "GET", "/v1/log/checkpoint", false, 0, device_checkpoint },
	{ "GET", "/v1/log/tile/", true, 0, device_tile },
	{ "GET", "/v1/health", false, 0, health },
};

#define OWN_ROUTES (sizeof(own_routes) / sizeof(own_routes[0]))

/* Ours, and behind them other servers'. */
static size_t make_routes(struct device_front *f)
{
	f->routes = mem_alloc(sizeof(own_routes) + COMPAT_ROUTES * sizeof(*f->routes));
	memcpy(f->routes, own_routes, sizeof(own_routes));
	return OWN_ROUTES + compat_routes(f->server->config, f->routes + OWN_ROUTES);
}

/* ---- life ---- */

static void take_image(void *user, unsigned worker, void *arg)
{
	struct device_front *f = user;

	(void)arg;
	(void)desk_refresh(&f->desks[worker]);
}

static void adopt(void *ctx)
{
	struct device_front *f = ctx;
	const struct config *c = f->server->config;

	http_front_each(f->http, take_image, NULL);
	if (c->bandwidth.total_bytes_s != f->total_bytes_s ||
		c->bandwidth.device_bytes_s != f->each_bytes_s)
		device_limit_downloads(f);
}

static unsigned count_workers(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return c->workers > 0 ? c->workers : cores > 0 ? (unsigned)cores : 1;
}

int device_front_open(struct server *s, const char *address, struct tls *tls,
	struct device_front **out, char error[HTTP_ERROR_MAX])
{
	struct device_front *f = mem_zalloc(sizeof(*f));
	struct http_options options = {
		.user = f,
		.looked = device_looked,
	};
	int port, err = 0;

	options.proxy = f->proxies = device_proxies(s->config);
	options.n_proxies = s->config->n_proxies;
	f->server = s;
	f->plain = s->config->plain;
	options.n_routes = make_routes(f);
	options.route = f->routes;
	f->workers = count_workers(s->config);
	f->desks = mem_zalloc(f->workers * sizeof(*f->desks));
	f->loads = mem_zalloc(f->workers * sizeof(*f->loads));
	for (unsigned i = 0; err == 0 && i < f->workers; i++)
		err = desk_open(&f->desks[i], s);
	f->asks = asks_new(s);
	f->http = http_front_new(&options, f->workers);
	device_limit_downloads(f);
	if (err != 0) {
		(void)snprintf(error, HTTP_ERROR_MAX, "devices: %s", err_str(err));
	} else {
		port = http_front_listen(f->http, address, tls, error);
		err = port < 0 ? port : 0;
		f->port = (unsigned)port;
	}
	if (err != 0) {
		device_front_free(f);
		return err;
	}
	s->adopt = adopt;
	s->adopt_ctx = f;
	*out = f;
	return 0;
}

int device_front_start(struct device_front *f)
{
	device_limit(f); /* now that all else is open */
	return http_front_start(f->http);
}

void device_front_stop(struct device_front *f)
{
	atomic_store(&f->stopping, true);
	f->server->adopt = NULL;
	asks_end(f->asks); /* this thread is the one that would answer */
	http_front_stop(f->http);
	asks_close(f->asks); /* who posted last may have been about to wake it */
}

void device_front_free(struct device_front *f)
{
	if (f == NULL)
		return;
	http_front_free(f->http);
	asks_free(f->asks);
	for (unsigned i = 0; i < f->workers; i++)
		desk_release(&f->desks[i]);
	free(f->desks);
	free(f->routes);
	free(f->proxies);
	free(f->loads);
	free(f);
}

void device_front_answer(struct device_front *f, struct event_base *base)
{
	asks_begin(f->asks, base);
}

unsigned device_front_port(const struct device_front *f)
{
	return f->port;
}
