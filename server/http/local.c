/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/local.h"

#include <signal.h>
#include <stdio.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/http/frame.h"
#include "server/http/loop.h"
#include "server/metrics/metrics.h"
#include "server/service/admin.h"
#include "server/service/control.h"
#include "server/service/reload.h"

#define TICK_MS      500u
#define DEADLINE_MS  30000u
#define CLIENTS_MAX  64u
#define SCRAPERS_MAX 16u

struct local {
	struct local_options options;
	struct event_base *base;
	struct http_server *metrics;
	struct frame_server *frames;
	struct admin admin;
	struct buf reply;
	struct event tick, signer, term, interrupt, hangup;
	int result;
};

static void on_frame(struct frame_call *call)
{
	struct local *l = call->user;

	admin_answer(&l->admin, call->payload, clock_ms(), &l->reply);
	struct bytes part = buf_bytes(&l->reply);
	frame_reply(call, &part, 1);
}

/* Prometheus says which of the two formats it wants. */
static void on_metrics(struct http_call *call)
{
	struct local *l = call->user;
	struct bytes accept = http_header(call, "Accept");
	static const char wish[] = "application/openmetrics-text";
	bool openmetrics =
		accept.n > 0 && memmem(accept.p, accept.n, wish, sizeof(wish) - 1) != NULL;
	struct buf text = { 0 };

	device_front_count(l->options.devices);
	metrics_write(&text, openmetrics);
	struct bytes part = buf_bytes(&text);
	struct http_answer answer = {
		.status = 200,
		.type = openmetrics ? "application/openmetrics-text; version=1.0.0; "
				      "charset=utf-8"
				    : "text/plain; version=0.0.4; charset=utf-8",
		.part = &part,
		.n_parts = 1,
	};
	http_reply(call, &answer);
	buf_release(&text);
}

static const struct http_route metrics_routes[] = {
	{ "GET", "/metrics", false, 0, on_metrics },
};

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct local *l = arg;

	(void)fd;
	(void)what;
	control_tick(l->options.server, clock_ms());
	loop_add_ms(&l->tick, TICK_MS);
}

static void stop(struct local *l, int result)
{
	l->result = result;
	(void)event_base_loopbreak(l->base);
}

/* From here on the signals have their usual effect again: a second one ends at once. */
static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct local *l = arg;

	(void)what;
	log_info("%s: stopping; what is under way has 10 s, a second signal ends at once",
		fd == SIGTERM ? "SIGTERM" : "SIGINT");
	loop_del(&l->term);
	loop_del(&l->interrupt);
	stop(l, 0);
}

static int read_tls(
	const struct local *l, const struct config *c, struct tls_fresh **out, char *error)
{
	struct tls_files files = { c->tls.cert, c->tls.key, c->tls.tickets, c->tls.clients };

	return tls_read(l->options.tls, &files, out, error);
}

/* Read, checked, and then all of it in force; or nothing. */
static int reload(struct local *l, char *error)
{
	struct tls_fresh *tls = NULL;
	struct reload *fresh = NULL;
	int err = reload_read(l->options.server, l->options.config, &fresh, error);

	if (err == 0 && l->options.tls != NULL)
		err = read_tls(l, reload_config(fresh), &tls, error);
	if (err != 0) {
		reload_drop(fresh);
		return err;
	}
	err = reload_take(l->options.server, fresh, clock_ms());
	if (err != 0)
		(void)snprintf(error, HTTP_ERROR_MAX, "%s", err_str(err));
	if (err == 0 && tls != NULL)
		tls_take(l->options.tls, tls);
	else
		tls_drop(tls);
	return err;
}

static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	struct local *l = arg;
	char error[HTTP_ERROR_MAX];
	int err = reload(l, error);

	(void)fd, (void)what;
	metric_add(err == 0 ? METRIC_RELOADS : METRIC_RELOADS_FAILED, 1);
	metric_set(METRIC_RELOADED, err == 0);
	if (err != 0)
		log_error("SIGHUP: %s; the configuration stays as it was", error);
	else
		log_info("SIGHUP: %s is in force", l->options.config);
	if (err == 0)
		metric_set(METRIC_RELOADED_AT, clock_ms() / 1000);
}

static void on_signer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_error("signer: died; nothing can be signed");
	stop(arg, ERR_SIGNER);
}

static int open_metrics(struct local *l, char error[HTTP_ERROR_MAX])
{
	struct http_options options = { .route = metrics_routes,
		.n_routes = 1,
		.limits = { .connections_max = SCRAPERS_MAX },
		.user = l };
	int port;

	if (l->options.metrics[0] == '\0')
		return 0;
	l->metrics = http_server_new(l->base, &options);
	port = http_server_listen(l->metrics, l->options.metrics, NULL, error);
	if (port >= 0)
		log_info("metrics: http://%.*s:%d/metrics",
			(int)(strrchr(l->options.metrics, ':') - l->options.metrics),
			l->options.metrics, port);
	return port < 0 ? port : 0;
}

static int open_admin(struct local *l, char error[HTTP_ERROR_MAX])
{
	struct frame_options options = { .path = l->options.admin,
		.max_bytes = ADMIN_FRAME_MAX,
		.clients_max = CLIENTS_MAX,
		.deadline_ms = DEADLINE_MS,
		.handler = on_frame,
		.user = l };

	return frame_server_open(l->base, &options, &l->frames, error);
}

static void watch(struct local *l, struct event *e, int fd, short what, event_callback_fn fn)
{
	(void)event_assign(e, l->base, fd, what, fn, l);
	loop_add(e, NULL);
}

int local_open(const struct local_options *options, struct local **out, char error[HTTP_ERROR_MAX])
{
	struct local *l = mem_zalloc(sizeof(*l));
	int err;

	l->options = *options;
	l->base = loop_new();
	admin_open(&l->admin, options->server);
	(void)event_assign(&l->tick, l->base, -1, 0, on_tick, l);
	loop_add_ms(&l->tick, TICK_MS);
	watch(l, &l->signer, options->signer_fd, EV_READ, on_signer);
	watch(l, &l->term, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal);
	watch(l, &l->interrupt, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal);
	watch(l, &l->hangup, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup);
	metric_set(METRIC_RELOADED, 1);
	metric_set(METRIC_RELOADED_AT, clock_ms() / 1000);
	err = open_admin(l, error);
	if (err == 0)
		err = open_metrics(l, error);
	if (err != 0) {
		local_close(l);
		return err;
	}
	device_front_answer(options->devices, l->base);
	*out = l;
	return 0;
}

int local_run(struct local *l)
{
	if (event_base_dispatch(l->base) != 0)
		return ERR_STORE;
	return l->result;
}

void local_close(struct local *l)
{
	if (l == NULL)
		return;
	loop_del(&l->tick);
	loop_del(&l->signer);
	loop_del(&l->term);
	loop_del(&l->interrupt);
	loop_del(&l->hangup);
	if (l->frames != NULL)
		frame_server_close(l->frames);
	if (l->metrics != NULL)
		http_server_free(l->metrics);
	admin_release(&l->admin);
	buf_release(&l->reply);
	event_base_free(l->base);
	free(l);
}
