/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/http/conn.h"
#include "server/http/etag.h"
#include "server/http/status.h"
#include "server/http/tls.h"

#define DECIMAL_MAX 20

/* An answer on its way into the server's scratch, and from there to the socket. */
struct writer {
	struct conn *c;
	size_t n;
};

/* Sends the scratch; what the socket does not take goes to c->out. */
static void send_scratch(struct writer *w)
{
	struct conn *c = w->c;
	const uint8_t *p = c->server->scratch;
	ssize_t n = 0;

	while (w->n > 0 && c->out.len == 0 && !c->broken) {
		n = stream_write(&c->stream, p, w->n);
		if (n == -EAGAIN)
			break;
		c->broken = n < 0;
		p += n > 0 ? n : 0;
		w->n -= n > 0 ? (size_t)n : 0;
	}
	if (!c->broken)
		buf_add(&c->out, p, w->n);
	w->n = 0;
}

/* Sends what fills the scratch; returns how much of `n` bytes that was. */
static size_t put_full(struct writer *w, const uint8_t *p, size_t n)
{
	size_t done = 0, room;

	while (n - done > (room = SERVER_SCRATCH - w->n)) {
		memcpy(w->c->server->scratch + w->n, p + done, room);
		w->n += room;
		done += room;
		send_scratch(w);
	}
	return done;
}

/* Inline, as those below: most of what is put has a length that the compiler knows. */
static inline void put(struct writer *w, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (n > SERVER_SCRATCH - w->n) {
		size_t done = put_full(w, p, n);
		p += done;
		n -= done;
	}
	if (n > 0)
		memcpy(w->c->server->scratch + w->n, p, n);
	w->n += n;
}

static inline void put_str(struct writer *w, const char *s)
{
	put(w, s, strlen(s));
}

static void put_u64(struct writer *w, uint64_t v)
{
	char digits[DECIMAL_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	put(w, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_field(struct writer *w, const char *name, const char *value)
{
	put_str(w, name);
	put(w, ": ", 2);
	put_str(w, value);
	put(w, "\r\n", 2);
}

static void put_number(struct writer *w, const char *name, uint64_t value)
{
	put_str(w, name);
	put(w, ": ", 2);
	put_u64(w, value);
	put(w, "\r\n", 2);
}

/* Status, Date, Content-Type and Connection: written anew when one of them is another. */
static void put_opening(struct writer *w, unsigned status, const char *type)
{
	struct conn *c = w->c;
	struct opening *o = &c->server->opening;
	struct bytes date = server_date(c->server);
	int n;

	if (o->status != status || o->type != type || o->keep != c->keep ||
		o->date_ms != c->server->date_ms) {
		*o = (struct opening){ status, c->keep, type, c->server->date_ms, 0, "" };
		n = snprintf(o->text, sizeof(o->text),
			"HTTP/1.1 %u %s\r\n%.*sConnection: %s\r\n%s%s%s", status,
			status_str(status), (int)date.n, (const char *)date.p,
			c->keep ? "keep-alive" : "close", type != NULL ? "Content-Type: " : "",
			type != NULL ? type : "", type != NULL ? "\r\n" : "");
		assert(n > 0 && (size_t)n < sizeof(o->text));
		o->n = (size_t)n;
	}
	put(w, o->text, o->n);
}

/* All but the empty line at the end. */
static void put_head(
	struct writer *w, const struct http_answer *a, unsigned status, uint64_t length)
{
	struct conn *c = w->c;

	assert(c->phase == PHASE_ANSWER && !c->answered && !c->waiting);
	c->answered = true;
	c->keep = c->keep && !c->server->draining && !a->close;
	put_opening(w, status, a->type);
	if (status != 204 && status != 304)
		put_number(w, "Content-Length", length);
	if (a->retry_after_s > 0)
		put_number(w, "Retry-After", a->retry_after_s);
	for (size_t i = 0; i < a->n_headers; i++)
		put_field(w, a->header[i].name, a->header[i].value);
}

struct bytes http_header(const struct http_call *call, const char *name)
{
	return head_find(call->headers, name);
}

bool http_client_name(struct http_call *call, char *out, size_t size)
{
	struct stream *s = &conn_of(call)->stream;

	return s->ssl != NULL && tls_client_name(s->ssl, out, size);
}

/* Nobody is there to be answered: a deferred call whose client left. */
static bool nobody(struct conn *c)
{
	if (c->phase != PHASE_GONE)
		return false;
	server_count(c->server, HTTP_LEFT);
	c->answered = true;
	return true;
}

void http_reply(struct http_call *call, const struct http_answer *answer)
{
	struct conn *c = conn_of(call);
	struct writer w = { .c = c };
	uint64_t length = 0;

	if (nobody(c))
		return;
	for (size_t i = 0; i < answer->n_parts; i++)
		length += answer->part[i].n;
	put_head(&w, answer, answer->status, length);
	put(&w, "\r\n", 2);
	for (size_t i = 0; i < answer->n_parts && !call->head; i++)
		put(&w, answer->part[i].p, answer->part[i].n);
	send_scratch(&w);
}

/* The status' words as a text, and a header perhaps. */
static void reply_words(struct conn *c, unsigned status, const struct http_header *header)
{
	const struct bytes part[] = { bytes_str(status_str(status)), bytes_str("\n") };
	struct http_answer answer = {
		.status = status,
		.type = "text/plain",
		.part = part,
		.n_parts = sizeof(part) / sizeof(part[0]),
		.header = header,
		.n_headers = header != NULL,
	};

	http_reply(&c->call, &answer);
}

void http_reply_error(struct http_call *call, unsigned status)
{
	reply_words(conn_of(call), status, NULL);
}

void http_hang_up(struct http_call *call)
{
	struct conn *c = conn_of(call);

	c->answered = c->broken = true;
	c->keep = false;
}

void reply_refuse(struct conn *c, unsigned status, bool whole)
{
	static const struct {
		unsigned status;
		enum http_count count;
	} counts[] = {
		{ 404, HTTP_NOT_FOUND },
		{ 405, HTTP_BAD_METHOD },
		{ 413, HTTP_TOO_LARGE },
		{ 415, HTTP_ENCODED },
		{ 431, HTTP_HEADERS_TOO_LARGE },
	};
	char methods[ROUTES_ALLOW_MAX];
	struct http_header allow = { "Allow", methods };
	enum http_count count = HTTP_BAD_REQUEST;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i].status == status)
			count = counts[i].count;
	server_count(c->server, count);
	c->keep = c->keep && whole;
	c->answered = false;
	if (status == 405)
		(void)routes_allow(&c->server->routes,
			bytes_of(c->in->data + c->at + c->head.path.at, c->head.path.n), methods);
	reply_words(c, status, status == 405 ? &allow : NULL);
}

bool reply_flush(struct conn *c)
{
	while (c->out_at < c->out.len && !c->broken) {
		ssize_t n =
			stream_write(&c->stream, c->out.data + c->out_at, c->out.len - c->out_at);
		if (n == -EAGAIN)
			return false;
		c->broken = n < 0;
		c->out_at += n > 0 ? (size_t)n : 0;
	}
	if (c->out.cap > 0)
		buf_release(&c->out);
	c->out_at = 0;
	return true;
}

/* "Content-Range: bytes 0-99/1000", or of the whole when no byte of it can be had. */
static void put_content_range(struct writer *w, uint64_t at, uint64_t n, uint64_t length)
{
	put_str(w, "Content-Range: bytes ");
	if (n > 0) {
		put_u64(w, at);
		put(w, "-", 1);
		put_u64(w, at + n - 1);
	} else {
		put(w, "*", 1);
	}
	put(w, "/", 1);
	put_u64(w, length);
	put(w, "\r\n", 2);
}

/* What of it is to be sent, in `at` and `n`, and the status that says so. */
static unsigned choose(struct conn *c, const char *etag, uint64_t *at, uint64_t *n)
{
	const struct range *range = &c->head.range;
	bool same = true;

	if (etag != NULL && etag_is_listed(http_header(&c->call, "If-None-Match"), etag)) {
		*n = 0;
		return 304;
	}
	if (c->head.if_range)
		same = etag != NULL && etag_is_same(http_header(&c->call, "If-Range"), etag);
	if (!range->set || !same || c->call.head)
		return 200;
	if (range_resolve(range, *n, at, n) == 0)
		return 206;
	server_count(c->server, HTTP_BAD_RANGE);
	*n = 0;
	return 416;
}

void http_reply_file(
	struct http_call *call, const struct http_answer *answer, int file, uint64_t length)
{
	struct conn *c = conn_of(call);
	struct writer w = { .c = c };
	uint64_t at = 0, n = length;
	unsigned status;

	c->file = file;
	c->server->n_files++;
	if (nobody(c)) {
		conn_close_file(c);
		return;
	}
	status = choose(c, answer->etag, &at, &n);
	if (n > 0 && !call->head)
		stream_cork(&c->stream, true);
	put_head(&w, answer, status, n);
	put_str(&w, "Accept-Ranges: bytes\r\n");
	if (answer->etag != NULL)
		put_field(&w, "ETag", answer->etag);
	if (status == 206 || status == 416)
		put_content_range(&w, at, n, length);
	put(&w, "\r\n", 2);
	send_scratch(&w);
	c->file_at = (off_t)at;
	c->file_left = call->head ? 0 : n;
	conn_enter(c, PHASE_FILE);
	download_begin(c);
}
