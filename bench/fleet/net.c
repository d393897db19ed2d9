/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/fleet/net.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <llhttp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define TIMEOUT_S 20

struct ask {
	TAILQ_ENTRY(ask) in;
	huidu_t *device; /* NULL: forgotten */
	uint64_t *due_ms;
	char *head; /* request line, headers and body */
	size_t head_len;
	size_t max_response;
	int stream, is_get;
};
TAILQ_HEAD(asks, ask);

struct link {
	struct net *net;
	struct bufferevent *io; /* NULL: not connected */
	struct ask *ask;        /* NULL: idle */
	llhttp_t parser;
	int used; /* answered something: worth a second try when it closes */
	int in_retry_after, stop;
	char digits[16];
	size_t n_digits;
	unsigned char *body;
	size_t body_len, body_cap;
};

struct net {
	struct event_base *base;
	struct net_options options;
	struct sockaddr_storage address;
	int address_len;
	SSL_CTX *ctx;
	SSL_SESSION *session; /* the newest ticket, for all */
	llhttp_settings_t settings;
	struct asks waiting;
	struct link *links;
	struct net_counts counts;
};

static void die(const char *what)
{
	(void)fprintf(stderr, "fleet: %s\n", what);
	exit(2);
}

static void ask_free(struct ask *a)
{
	free(a->head);
	free(a);
}

static void serve(struct net *n);

/* ---- answers ---- */

static void link_close(struct link *l)
{
	if (l->io != NULL)
		bufferevent_free(l->io);
	l->io = NULL;
	l->used = 0;
}

/* The request is answered; the device may send its next one from inside. */
static void finish(struct link *l, int status)
{
	struct ask *a = l->ask;
	unsigned retry = 0;

	l->ask = NULL;
	l->digits[l->n_digits] = '\0';
	retry = (unsigned)strtoul(l->digits, NULL, 10);
	if (status < 0)
		l->net->counts.failed++;
	if (a->device != NULL) {
		*a->due_ms = 0;
		huidu_response(a->device, status, retry, l->body, l->body_len);
	}
	ask_free(a);
}

static int on_status(llhttp_t *p)
{
	struct link *l = p->data;

	l->body_len = l->n_digits = 0;
	l->stop = 0;
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct link *l = p->data;

	l->in_retry_after = n == 11 && strncasecmp(at, "Retry-After", 11) == 0;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct link *l = p->data;

	for (size_t i = 0; l->in_retry_after && i < n; i++)
		if (l->n_digits + 1 < sizeof(l->digits))
			l->digits[l->n_digits++] = at[i];
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct link *l = p->data;
	struct ask *a = l->ask;

	l->net->counts.bytes += n;
	if (a->stream && (p->status_code == 200 || p->status_code == 206)) {
		if (a->device != NULL && l->stop == 0)
			l->stop = huidu_data(a->device, p->status_code, at, n);
		return l->stop;
	}
	if (l->body_len + n > a->max_response)
		return -1;
	if (l->body_len + n > l->body_cap) {
		l->body_cap = 2 * (l->body_len + n);
		l->body = realloc(l->body, l->body_cap);
		if (l->body == NULL)
			die("out of memory");
	}
	memcpy(l->body + l->body_len, at, n);
	l->body_len += n;
	return 0;
}

static int on_complete(llhttp_t *p)
{
	struct link *l = p->data;
	int keep = llhttp_should_keep_alive(p) && !l->net->options.reconnect;

	finish(l, p->status_code);
	l->used = 1;
	if (!keep)
		return HPE_PAUSED;
	return 0;
}

static void on_read(struct bufferevent *io, void *arg)
{
	struct link *l = arg;
	struct evbuffer *in = bufferevent_get_input(io);
	int closing = 0;

	while (evbuffer_get_length(in) > 0 && !closing && l->ask != NULL) {
		size_t n = evbuffer_get_contiguous_space(in);
		const char *p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
		closing = llhttp_execute(&l->parser, p, n) != HPE_OK;
		(void)evbuffer_drain(in, n);
	}
	if (!closing)
		closing = l->ask == NULL && evbuffer_get_length(in) > 0;
	if (closing) {
		link_close(l);
		if (l->ask != NULL)
			finish(l, l->stop != 0 ? l->stop : -EPROTO);
	}
	serve(l->net);
}

static void on_event(struct bufferevent *io, short what, void *arg)
{
	struct link *l = arg;
	struct ask *again = l->ask;
	int used = l->used;

	(void)io;
	if (what & BEV_EVENT_CONNECTED) {
		SSL *ssl = bufferevent_openssl_get_ssl(io);
		l->net->counts.handshakes++;
		if (ssl != NULL && SSL_session_reused(ssl))
			l->net->counts.resumed++;
		return;
	}
	link_close(l);
	/* A kept connection may have been closed while we wrote: once more on a new one. */
	if (again != NULL && used) {
		l->ask = NULL;
		TAILQ_INSERT_HEAD(&l->net->waiting, again, in);
	} else if (again != NULL) {
		finish(l, what & BEV_EVENT_TIMEOUT ? -ETIMEDOUT : -ECONNRESET);
	}
	serve(l->net);
}

/* ---- requests ---- */

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct net *n = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(n->session);
	n->session = session;
	return 1; /* ours now */
}

static int connect_link(struct link *l)
{
	struct net *n = l->net;
	struct timeval timeout = { TIMEOUT_S, 0 };
	SSL *ssl = NULL;

	if (n->ctx != NULL) {
		ssl = SSL_new(n->ctx);
		if (ssl == NULL)
			die("out of memory");
		if (n->session != NULL)
			(void)SSL_set_session(ssl, n->session);
		(void)SSL_set_tlsext_host_name(ssl, n->options.host);
		(void)SSL_set1_host(ssl, n->options.host);
		l->io = bufferevent_openssl_socket_new(
			n->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	} else {
		l->io = bufferevent_socket_new(n->base, -1, BEV_OPT_CLOSE_ON_FREE);
	}
	if (l->io == NULL)
		die("out of memory");
	bufferevent_setcb(l->io, on_read, NULL, on_event, l);
	(void)bufferevent_set_timeouts(l->io, &timeout, &timeout);
	(void)bufferevent_enable(l->io, EV_READ | EV_WRITE);
	return bufferevent_socket_connect(l->io, (struct sockaddr *)&n->address, n->address_len);
}

static void start(struct link *l, struct ask *a)
{
	l->ask = a;
	l->net->counts.requests++;
	if (l->io == NULL && connect_link(l) != 0) {
		link_close(l);
		finish(l, -ECONNREFUSED);
		return;
	}
	llhttp_init(&l->parser, HTTP_RESPONSE, &l->net->settings);
	l->parser.data = l;
	(void)bufferevent_write(l->io, a->head, a->head_len);
}

/* Gives waiting requests to idle connections; connected ones first. */
static void serve(struct net *n)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < n->options.connections; i++) {
			struct link *l = &n->links[i];
			struct ask *a = TAILQ_FIRST(&n->waiting);
			if (a == NULL)
				return;
			if (l->ask != NULL || (pass == 0 && l->io == NULL))
				continue;
			TAILQ_REMOVE(&n->waiting, a, in);
			if (a->device == NULL)
				ask_free(a);
			else
				start(l, a);
		}
}

void net_send(struct net *n, huidu_t *device, uint64_t *due_ms, const struct huidu_request *r)
{
	struct ask *a = calloc(1, sizeof(*a));
	char range[64] = "";
	int len;

	if (a == NULL)
		die("out of memory");
	if (r->range_from > 0)
		(void)snprintf(range, sizeof(range), "Range: bytes=%llu-\r\n",
			(unsigned long long)r->range_from);
	a->device = device;
	a->due_ms = due_ms;
	a->max_response = r->max_response;
	a->stream = r->stream;
	a->is_get = r->body == NULL;
	len = asprintf(&a->head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
		r->method, r->path, n->options.host, r->body_len, range,
		n->options.reconnect ? "Connection: close\r\n" : "");
	if (len < 0)
		die("out of memory");
	a->head_len = (size_t)len + r->body_len;
	a->head = realloc(a->head, a->head_len + 1);
	if (a->head == NULL)
		die("out of memory");
	if (r->body_len > 0)
		memcpy(a->head + len, r->body, r->body_len);
	TAILQ_INSERT_TAIL(&n->waiting, a, in);
	serve(n);
}

void net_forget(struct net *n, const huidu_t *device)
{
	struct ask *a;

	/* A device has one request at most. */
	TAILQ_FOREACH(a, &n->waiting, in)
	if (a->device == device) {
		a->device = NULL;
		return;
	}
	for (unsigned i = 0; i < n->options.connections; i++)
		if (n->links[i].ask != NULL && n->links[i].ask->device == device)
			n->links[i].ask->device = NULL;
}

/* ---- life ---- */

static void resolve(struct net *n)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	char port[16];

	(void)snprintf(port, sizeof(port), "%u", n->options.port);
	if (getaddrinfo(n->options.host, port, &hints, &found) != 0)
		die("the server's name is not known");
	memcpy(&n->address, found->ai_addr, found->ai_addrlen);
	n->address_len = (int)found->ai_addrlen;
	freeaddrinfo(found);
}

static void open_tls(struct net *n)
{
	n->ctx = SSL_CTX_new(TLS_client_method());
	if (n->ctx == NULL || SSL_CTX_load_verify_locations(n->ctx, n->options.ca, NULL) != 1)
		die("the CA file cannot be read");
	SSL_CTX_set_verify(n->ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_min_proto_version(n->ctx, TLS1_3_VERSION);
	(void)SSL_CTX_set_session_cache_mode(
		n->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(n->ctx, on_ticket);
	(void)SSL_CTX_set_app_data(n->ctx, n);
}

struct net *net_new(struct event_base *base, const struct net_options *options)
{
	struct net *n = calloc(1, sizeof(*n));

	if (n == NULL)
		die("out of memory");
	n->base = base;
	n->options = *options;
	n->links = calloc(options->connections, sizeof(*n->links));
	if (n->links == NULL)
		die("out of memory");
	for (unsigned i = 0; i < options->connections; i++)
		n->links[i].net = n;
	TAILQ_INIT(&n->waiting);
	llhttp_settings_init(&n->settings);
	n->settings.on_message_begin = on_status;
	n->settings.on_header_field = on_field;
	n->settings.on_header_value = on_value;
	n->settings.on_body = on_body;
	n->settings.on_message_complete = on_complete;
	resolve(n);
	if (options->ca != NULL)
		open_tls(n);
	return n;
}

void net_free(struct net *n)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&n->waiting)) != NULL) {
		TAILQ_REMOVE(&n->waiting, a, in);
		ask_free(a);
	}
	for (unsigned i = 0; i < n->options.connections; i++) {
		link_close(&n->links[i]);
		if (n->links[i].ask != NULL)
			ask_free(n->links[i].ask);
		free(n->links[i].body);
	}
	SSL_SESSION_free(n->session);
	SSL_CTX_free(n->ctx);
	free(n->links);
	free(n);
}

struct net_counts net_counts(const struct net *n)
{
	return n->counts;
}
