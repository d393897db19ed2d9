/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "server/base/mem.h"
#include "server/http/conn.h"
#include "server/http/proxy.h"

#define BODY_ROOM 16384u
#define FILE_COST 4u /* of a turn's share, for each piece of a file */

static bool gone(struct conn *c)
{
	conn_enter(c, PHASE_GONE);
	return false;
}

/*
 * Makes room behind what was read: by moving it to the front, or into a larger input.
 */
static void make_room(struct conn *c)
{
	struct http_server *s = c->server;
	size_t held = c->end - c->at;

	if (c->in == NULL)
		c->in = server_input(s, 0);
	if (c->end < c->in->cap)
		return;
	if (c->at > 0) {
		memmove(c->in->data, c->in->data + c->at, held);
	} else {
		struct input *larger = server_input(s, 2 * c->in->cap);
		memcpy(larger->data, c->in->data, held);
		server_input_give(s, c->in);
		c->in = larger;
	}
	c->at = 0;
	c->end = held;
}

/* Reads once.  True when something came. */
static bool fill(struct conn *c)
{
	size_t room;
	ssize_t n;

	if (!c->can_read || !conn_may(c, 1))
		return false;
	make_room(c);
	room = c->in->cap - c->end;
	n = stream_read(&c->stream, c->in->data + c->end, room);
	/*
	 * A socket that gave less is empty.  But a reset may have come with what it gave, and libevent
	 * tells that as no more than something to read.  Who has sent a whole request will be noticed
	 * when it is answered; from others it is read on.
	 */
	c->can_read = n > 0;
	if (n > 0) {
		c->end += (size_t)n;
		return true;
	}
	return n == -EAGAIN ? false : gone(c);
}

/* For who neither writes nor reads on, and would be told of it so. */
static bool is_reset(const struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0;
}

/* The first bytes were a proxy's; what it serves begins behind them. */
static bool proxy_done(struct conn *c, enum proxy_said said)
{
	c->since_ms = c->server->now_ms;
	if (said == PROXY_ADDRESS && !server_admit(c->server, &c->peer, &c->place))
		return gone(c);
	conn_enter(c, c->stream.ssl != NULL ? PHASE_HANDSHAKE : PHASE_HEAD);
	return true;
}

/* Looks without reading, until all is there: the byte behind it is TLS's. */
static bool step_proxy(struct conn *c)
{
	struct http_server *s = c->server;
	enum proxy_said said = PROXY_NOTHING;
	ssize_t n, got;

	if (!c->can_read || !conn_may(c, 1))
		return false;
	got = recv(c->stream.fd, s->scratch, PROXY_MAX, MSG_PEEK);
	c->can_read = false;
	if (got <= 0)
		return got < 0 && errno == EAGAIN ? false : gone(c);
	n = proxy_read(bytes_of(s->scratch, (size_t)got), &c->peer, &said);
	if (n == 0 && !c->ended)
		return is_reset(c) ? gone(c) : false;
	if (n <= 0) {
		server_count(s, HTTP_PROXY);
		server_complain(s, c->call.peer, "proxy", "does not begin with a PROXY header");
		return gone(c);
	}
	c->can_read = true;
	return recv(c->stream.fd, s->scratch, (size_t)n, 0) == n ? proxy_done(c, said) : gone(c);
}

static bool step_handshake(struct conn *c)
{
	struct http_server *s = c->server;
	const char *why;
	int rc = stream_handshake(&c->stream, &why);

	if (rc == -EAGAIN)
		return false;
	if (rc != 0) {
		server_count(s, HTTP_TLS_FAILED);
		if (why != NULL)
			server_complain(s, c->call.peer, "tls handshake", why);
		return gone(c);
	}
	server_count(s, HTTP_HANDSHAKES);
	if (SSL_session_reused(c->stream.ssl))
		server_count(s, HTTP_RESUMED);
	c->since_ms = s->now_ms;
	conn_enter(c, PHASE_HEAD);
	return true;
}

static bool refuse(struct conn *c, unsigned status, bool whole)
{
	conn_enter(c, PHASE_ANSWER);
	reply_refuse(c, status, whole);
	if (whole) {
		c->at += c->line;
		c->line = 0;
	}
	return true;
}

static struct bytes part(const struct conn *c, struct head_span span)
{
	return bytes_of(c->in->data + c->at + span.at, span.n);
}

/*
 * The request is whole: the handler's turn.  `body_n` bytes of body follow the headers.
 */
static bool dispatch(struct conn *c, size_t body_n)
{
	struct http_call *call = &c->call;
	const uint8_t *start = c->in->data + c->at;
	size_t skip = c->route->prefix ? strlen(c->route->path) : 0;

	conn_enter(c, PHASE_ANSWER);
	server_count(c->server, HTTP_CALLS);
	call->rest = part(c, c->head.path);
	call->rest = bytes_of(call->rest.p + skip, c->route->prefix ? call->rest.n - skip : 0);
	call->query = part(c, c->head.query);
	call->headers = bytes_of(start, c->line);
	call->body = bytes_of(start + c->line, body_n);
	c->answered = false;
	c->route->handler(call);
	assert(c->answered || c->waiting);
	/* What nobody may look at any more. */
	call->rest = call->query = call->headers = call->body = bytes_of(NULL, 0);
	c->at += c->used;
	c->line = 0;
	return true;
}

/*
 * Whether the request is taken, decided on its headers: 0 or the status to refuse with.
 */
static unsigned judge(struct conn *c)
{
	struct bytes path = part(c, c->head.path);
	bool known;

	c->route = routes_find(&c->server->routes, c->head.method, path, &known);
	if (c->route == NULL)
		return known ? 405 : 404;
	if (c->head.encoded)
		return 415;
	return c->head.length > c->route->max_body ? 413 : 0;
}

static bool await_body(struct conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t n = sizeof(go_on) - 1;

	c->chunks = (struct chunks){ .max = c->route->max_body };
	conn_enter(c, PHASE_BODY);
	/*
	 * Nothing else is being sent, so a socket that cannot take this is a broken
	 * one.
	 */
	if (c->head.expect && c->head.minor > 0 && c->end == c->at + c->line)
		n = stream_write(&c->stream, go_on, sizeof(go_on) - 1);
	return n == sizeof(go_on) - 1 ? true : gone(c);
}

/* The header block is whole. */
static bool begin(struct conn *c)
{
	unsigned status = head_read(bytes_of(c->in->data + c->at, c->line), &c->head);
	bool bodiless = c->head.length == 0 && !c->head.chunked;

	if (status != 0)
		return refuse(c, status, false);
	c->keep = c->head.keep_alive;
	c->call.head = c->head.method == c->server->routes.head;
	c->used = c->line;
	status = judge(c);
	if (status != 0)
		return refuse(c, status, bodiless);
	return bodiless ? dispatch(c, 0) : await_body(c);
}

static bool step_head(struct conn *c)
{
	size_t max = c->server->options.limits.headers_max;
	int rc = 0;

	if (c->at < c->end) {
		struct bytes got = bytes_of(c->in->data + c->at, c->end - c->at);
		rc = head_scan(got, &c->line);
		if (rc < 0)
			return refuse(c, 400, false);
		if ((rc > 0 ? c->line : got.n) > max)
			return refuse(c, 431, false);
	}
	if (rc > 0 && c->line > 2)
		return begin(c);
	if (rc > 0) { /* an empty line before the request */
		c->at += c->line;
		c->line = 0;
		return true;
	}
	if (!fill(c))
		return false;
	if (c->phase == PHASE_IDLE) {
		c->since_ms = c->server->now_ms;
		conn_enter(c, PHASE_HEAD);
	}
	return true;
}

/* Unpacks what came, in place: behind it the next bytes are read. */
static bool step_chunks(struct conn *c)
{
	uint8_t *body = c->in->data + c->at + c->line;
	size_t have = c->line + c->chunks.n; /* of the request, unpacked */
	ssize_t used;

	c->chunks.to = body;
	used = chunks_read(&c->chunks, body + c->chunks.n, c->end - c->at - have);
	if (used < 0)
		return refuse(c, used == ERR_TOO_BIG ? 413 : 400, false);
	if (c->chunks.done) {
		c->used = have + (size_t)used;
		return dispatch(c, c->chunks.n);
	}
	c->end = c->at + c->line + c->chunks.n;
	return fill(c);
}

static bool step_body(struct conn *c)
{
	if (c->head.chunked)
		return step_chunks(c);
	c->used = c->line + c->head.length;
	if (c->end - c->at < c->used)
		return fill(c);
	return dispatch(c, c->head.length);
}

/* The answer is sent: the next request, or the end. */
static bool finish(struct conn *c)
{
	c->call.head = false;
	if (stream_is_drained(&c->stream))
		c->can_read = false;
	if (c->keep) {
		c->since_ms = c->server->now_ms;
		conn_enter(c, c->at < c->end ? PHASE_HEAD : PHASE_IDLE);
		return c->at == c->end || conn_may(c, 1);
	}
	stream_end(&c->stream);
	if (c->at == c->end)
		return gone(c);
	/*
	 * Refused: the request, or what came behind it, was not used up, and more may
	 * be on its way.  Closing now would reset the connection and take the answer
	 * with it.
	 */
	(void)shutdown(c->stream.fd, SHUT_WR); /* fails when the peer is gone: so be it */
	conn_enter(c, PHASE_LINGER);
	return true;
}

static bool left(struct conn *c)
{
	server_count(c->server, HTTP_LEFT);
	return gone(c);
}

static bool step_answer(struct conn *c)
{
	if (c->waiting)
		return false;
	if (!reply_flush(c))
		return false;
	return c->broken ? left(c) : finish(c);
}

static bool step_file(struct conn *c)
{
	if (!reply_flush(c))
		return false;
	if (c->broken)
		return left(c);
	while (c->file_left > 0) {
		if (!download_may(c))
			return is_reset(c) ? left(c) : false;
		if (!conn_may(c, FILE_COST))
			return false;
		ssize_t n = stream_send_file(
			&c->stream, c->file, &c->file_at, c->download.may, c->server->scratch);
		if (n == -EAGAIN)
			return false;
		if (n < 0)
			return left(c);
		c->file_left -= (size_t)n;
		c->download.may -= (size_t)n;
		c->download.sent += (size_t)n;
		server_add(c->server, HTTP_FILE_BYTES, (uint64_t)n);
	}
	conn_close_file(c);
	stream_cork(&c->stream, false);
	return finish(c);
}

static bool step_linger(struct conn *c)
{
	ssize_t n;

	if (!c->can_read || !conn_may(c, 1))
		return false;
	n = recv(c->stream.fd, c->server->scratch, SERVER_SCRATCH, 0);
	c->can_read = n > 0;
	return n > 0 || (n < 0 && errno == EAGAIN) ? n > 0 : gone(c);
}

bool step(struct conn *c)
{
	static bool (*const steps[PHASE__COUNT])(struct conn *) = {
		[PHASE_PROXY] = step_proxy,
		[PHASE_HANDSHAKE] = step_handshake,
		[PHASE_IDLE] = step_head,
		[PHASE_HEAD] = step_head,
		[PHASE_BODY] = step_body,
		[PHASE_ANSWER] = step_answer,
		[PHASE_FILE] = step_file,
		[PHASE_LINGER] = step_linger,
	};

	return c->phase != PHASE_GONE && steps[c->phase](c);
}
