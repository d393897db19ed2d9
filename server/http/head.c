/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/head.h"

#include <llhttp/llhttp.h>
#include <strings.h>

/* What the callbacks work on. */
struct reader {
	struct bytes block;
	struct head *head;
	const struct known *header; /* whose value comes next; NULL: none we read */
	unsigned status;            /* what to refuse with; 0 while all is well */
	bool complete;
	struct bytes target;
};

struct known {
	const char *name;
	size_t len;
	unsigned (*take)(struct head *h, struct bytes value); /* a status, or 0 */
};

static bool is_word(struct bytes value, const char *word)
{
	return value.n == strlen(word) && strncasecmp((const char *)value.p, word, value.n) == 0;
}

static struct bytes trim(struct bytes v)
{
	while (v.n > 0 && (*v.p == ' ' || *v.p == '\t'))
		v = bytes_of(v.p + 1, v.n - 1);
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

static unsigned take_host(struct head *h, struct bytes value)
{
	(void)value;
	return h->hosts++ > 0 ? 400 : 0;
}

/* "chunked, chunked", "gzip, chunked", "chunked" twice: where smuggling starts. */
static unsigned take_transfer_encoding(struct head *h, struct bytes value)
{
	if (h->chunked || !is_word(value, "chunked"))
		return 400;
	h->chunked = true;
	return 0;
}

static unsigned take_content_encoding(struct head *h, struct bytes value)
{
	h->encoded = h->encoded || !is_word(value, "identity");
	return 0;
}

static unsigned take_expect(struct head *h, struct bytes value)
{
	h->expect = true;
	return is_word(value, "100-continue") ? 0 : 417;
}

static unsigned take_range(struct head *h, struct bytes value)
{
	/* Two of them are several ranges: as if absent. */
	if (h->range.set)
		h->range = (struct range){ 0 };
	else
		(void)range_read(value, &h->range); /* what it cannot read is ignored */
	return 0;
}

static unsigned take_if_range(struct head *h, struct bytes value)
{
	(void)value;
	h->if_range = true;
	return 0;
}

static const struct known known[] = {
	{ "host", 4, take_host },
	{ "range", 5, take_range },
	{ "expect", 6, take_expect },
	{ "if-range", 8, take_if_range },
	{ "content-encoding", 16, take_content_encoding },
	{ "transfer-encoding", 17, take_transfer_encoding },
};

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
	struct reader *r = parser->data;

	r->target = bytes_of(at, n);
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
	struct reader *r = parser->data;

	if (n == 0)
		r->status = 400;
	r->header = NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (n == known[i].len && strncasecmp(at, known[i].name, n) == 0)
			r->header = &known[i];
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
	struct reader *r = parser->data;

	if (r->header != NULL && r->status == 0)
		r->status = r->header->take(r->head, trim(bytes_of(at, n)));
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct reader *r = parser->data;

	r->complete = true;
	r->head->method = parser->method;
	r->head->minor = parser->http_minor;
	r->head->keep_alive = llhttp_should_keep_alive(parser) != 0;
	r->head->length = r->head->chunked ? 0 : parser->content_length;
	return HPE_PAUSED; /* the body is not llhttp's */
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

int head_scan(struct bytes in, size_t *line)
{
	/* No method begins otherwise; TLS on a plain port ends here. */
	if (*line == 0 && in.n > 0 && *in.p != '\r' && (*in.p < 'A' || *in.p > 'Z'))
		return ERR_MALFORMED;
	while (*line < in.n) {
		const uint8_t *start = in.p + *line;
		const uint8_t *lf = memchr(start, '\n', in.n - *line);
		if (lf == NULL)
			return 0;
		size_t n = (size_t)(lf - start);
		if (n == 0 || lf[-1] != '\r')
			return ERR_MALFORMED;
		*line += n + 1;
		if (--n == 0)
			return 1;
		if (*start == ' ' || *start == '\t' || memchr(start, '\r', n) != NULL ||
			memchr(start, '\0', n) != NULL)
			return ERR_MALFORMED;
	}
	return 0;
}

static struct head_span span(const struct reader *r, struct bytes b)
{
	return (struct head_span){ (uint32_t)(b.p - r->block.p), (uint32_t)b.n };
}

/*
 * Splits the target, which may be absolute ("http://host/path"), into path and query.
 */
static unsigned split_target(struct reader *r)
{
	struct bytes t = r->target;
	const uint8_t *query;

	if (t.n == 0 || memchr(t.p, '#', t.n) != NULL)
		return 400;
	if (*t.p != '/' && *t.p != '*') {
		const uint8_t *authority = memmem(t.p, t.n, "://", 3);
		if (authority == NULL)
			return 400;
		t = bytes_of(authority + 3, t.n - (size_t)(authority + 3 - t.p));
		const uint8_t *path = memchr(t.p, '/', t.n);
		if (path == NULL) /* no path: matches no route */
			path = t.p + t.n;
		t = bytes_of(path, t.n - (size_t)(path - t.p));
	}
	query = t.n > 0 ? memchr(t.p, '?', t.n) : NULL;
	if (query != NULL) {
		size_t n = (size_t)(query - t.p);
		r->head->query = span(r, bytes_of(query + 1, t.n - n - 1));
		t.n = n;
	}
	r->head->path = span(r, t);
	return 0;
}

/*
 * METHOD SP target SP HTTP/1.x CRLF, and not a byte more; llhttp knows more protocols
 * and spaces.
 */
static unsigned check_line(const struct reader *r)
{
	const uint8_t *end = memchr(r->block.p, '\r', r->block.n);
	size_t method = strlen(head_method_str(r->head->method));
	const uint8_t *version = end - strlen(" HTTP/1.1");

	if (r->target.p != r->block.p + method + 1 || r->target.p + r->target.n != version)
		return 400;
	if (memcmp(version, " HTTP/2", 7) == 0)
		return 505;
	return memcmp(version, " HTTP/1.", 8) == 0 ? 0 : 400;
}

unsigned head_read(struct bytes block, struct head *out)
{
	struct reader r = { .block = block, .head = out };
	llhttp_t parser;
	unsigned status;

	*out = (struct head){ 0 };
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &r;
	if (llhttp_execute(&parser, (const char *)block.p, block.n) != HPE_PAUSED || !r.complete)
		return 400;
	status = check_line(&r);
	if (status == 0)
		status = r.status;
	if (status == 0)
		status = split_target(&r);
	if (status != 0)
		return status;
	/* HTTP/1.0 knows no chunks, HTTP/1.1 needs a Host. */
	return out->minor == 0 ? (out->chunked ? 400 : 0) : (out->hosts == 0 ? 400 : 0);
}

int head_method(const char *name)
{
	for (unsigned i = HTTP_DELETE; i <= HTTP_SOURCE; i++)
		if (strcmp(head_method_str(i), name) == 0)
			return (int)i;
	return -1;
}

const char *head_method_str(unsigned method)
{
	return llhttp_method_name((llhttp_method_t)method);
}

struct bytes head_find(struct bytes block, const char *name)
{
	size_t len = strlen(name);
	const uint8_t *end = block.p + block.n, *lf;

	for (; (lf = memchr(block.p, '\n', block.n)) != NULL;
		block = bytes_of(lf + 1, (size_t)(end - lf - 1))) {
		size_t n = (size_t)(lf - block.p) - 1; /* without CR */
		if (n > len && block.p[len] == ':' &&
			strncasecmp((const char *)block.p, name, len) == 0)
			return trim(bytes_of(block.p + len + 1, n - len - 1));
	}
	return bytes_of("", 0);
}
