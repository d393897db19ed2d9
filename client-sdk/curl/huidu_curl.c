/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/curl/huidu_curl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define CONNECT_S     10L
#define SLOW_BYTES_S  1024L
#define SLOW_S        60L
#define SHORT_S       120L /* everything but a file, in all */
#define REDIRECTS_MAX 3L
#define HTTP_OK       200
#define HTTP_PARTIAL  206

struct huidu_curl {
	CURL *easy;
	struct curl_slist *post_headers;
	char *server, *ca_file;
	const char *scheme;
	long least_bytes_s, least_over_s;

	/* Of the request under way: */
	huidu_t *h;
	const struct huidu_request *request;
	char *body;
	size_t len, room;
	uint64_t streamed;
	int error;   /* why we stopped reading */
	bool enough; /* the status says all */
};

static const char *scheme_of(const char *server)
{
	static const char *const schemes[] = { "https", "http" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);
		if (strncasecmp(server, schemes[i], n) == 0 && strncmp(server + n, "://", 3) == 0 &&
			server[n + 3] != '\0')
			return schemes[i];
	}
	return NULL;
}

static struct curl_slist *post_headers(void)
{
	struct curl_slist *one = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
	/* Without "100 Continue" a poll is one round trip. */
	struct curl_slist *both = one == NULL ? NULL : curl_slist_append(one, "Expect:");

	if (both == NULL)
		curl_slist_free_all(one);
	return both;
}

struct huidu_curl *huidu_curl_new(const char *server, const char *ca_file)
{
	const char *scheme = scheme_of(server);
	struct huidu_curl *c;

	if (scheme == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		goto out;
	c->scheme = scheme;
	c->least_bytes_s = SLOW_BYTES_S;
	c->least_over_s = SLOW_S;
	c->easy = curl_easy_init();
	c->post_headers = post_headers();
	c->server = strdup(server);
	c->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
	if (c->easy != NULL && c->post_headers != NULL && c->server != NULL &&
		(c->ca_file != NULL) == (ca_file != NULL)) {
		size_t n = strlen(c->server);
		/* Paths begin with one. */
		if (c->server[n - 1] == '/')
			c->server[n - 1] = '\0';
		return c;
	}
out:
	huidu_curl_free(c);
	return NULL;
}

void huidu_curl_least_rate(struct huidu_curl *c, uint32_t bytes_s, uint32_t over_s)
{
	c->least_bytes_s = (long)bytes_s;
	c->least_over_s = (long)over_s;
}

void huidu_curl_free(struct huidu_curl *c)
{
	if (c != NULL) {
		curl_easy_cleanup(c->easy);
		curl_slist_free_all(c->post_headers);
		free(c->server);
		free(c->ca_file);
		free(c->body);
		free(c);
	}
	curl_global_cleanup();
}

static int stream(struct huidu_curl *c, long status, const char *data, size_t n)
{
	if (status != HTTP_OK && status != HTTP_PARTIAL) {
		c->enough = true;
		return 0;
	}
	c->streamed += n;
	if (c->streamed > c->request->max_response)
		return HUIDU_ETOOBIG;
	return huidu_data(c->h, (int)status, data, n);
}

static int collect(struct huidu_curl *c, const char *data, size_t n)
{
	if (n > c->request->max_response - c->len)
		return HUIDU_ETOOBIG;
	if (c->room < c->request->max_response) {
		char *body = realloc(c->body, c->request->max_response);
		if (body == NULL)
			return HUIDU_ENOMEM;
		c->body = body;
		c->room = c->request->max_response;
	}
	memcpy(c->body + c->len, data, n);
	c->len += n;
	return 0;
}

/* Taking less than what is given ends the transfer. */
static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct huidu_curl *c = ctx;
	long status = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status); /* is known */
	if (c->request->stream)
		c->error = stream(c, status, data, size * n);
	else
		c->error = collect(c, data, size * n);
	return c->error == 0 && !c->enough ? size * n : 0;
}

/* The first failure counts; it can only be that memory is out. */
struct setter {
	CURL *easy;
	CURLcode error;
};

static void set_long(struct setter *s, CURLoption option, long value)
{
	if (s->error == CURLE_OK)
		s->error = curl_easy_setopt(s->easy, option, value);
}

static void set_pointer(struct setter *s, CURLoption option, const void *value)
{
	if (s->error == CURLE_OK)
		s->error = curl_easy_setopt(s->easy, option, value);
}

static void set_common(struct huidu_curl *c, struct setter *s)
{
	/* A redirect may go up, never down. */
	const char *schemes = strcmp(c->scheme, "https") == 0 ? "https" : "http,https";

	set_pointer(s, CURLOPT_PROTOCOLS_STR, schemes);
	set_pointer(s, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	if (c->ca_file != NULL)
		set_pointer(s, CURLOPT_CAINFO, c->ca_file);
	set_long(s, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	set_pointer(s, CURLOPT_USERAGENT, "huidu/" HUIDU_VERSION);
	set_long(s, CURLOPT_NOSIGNAL, 1);
	set_long(s, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	set_long(s, CURLOPT_LOW_SPEED_LIMIT, c->least_bytes_s);
	set_long(s, CURLOPT_LOW_SPEED_TIME, c->least_over_s);
	set_pointer(s, CURLOPT_WRITEDATA, c);
	if (s->error == CURLE_OK)
		s->error = curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
}

static void set_request(struct huidu_curl *c, struct setter *s)
{
	const struct huidu_request *r = c->request;
	char range[32];

	if (!r->stream)
		set_long(s, CURLOPT_TIMEOUT, SHORT_S);
	if (r->body != NULL) {
		set_pointer(s, CURLOPT_HTTPHEADER, c->post_headers);
		set_pointer(s, CURLOPT_POSTFIELDS, r->body);
		set_long(s, CURLOPT_POSTFIELDSIZE, (long)r->body_len);
		return;
	}
	set_long(s, CURLOPT_FOLLOWLOCATION, 1);
	set_long(s, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	/* Not CURLOPT_RESUME_FROM: that takes a 200 for an error. */
	(void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)r->range_from);
	if (r->range_from > 0)
		set_pointer(s, CURLOPT_RANGE, range);
}

static int prepare(struct huidu_curl *c)
{
	struct setter s = { c->easy, CURLE_OK };
	size_t n = strlen(c->server) + strlen(c->request->path) + 1;
	char *url = malloc(n);

	if (url == NULL)
		return HUIDU_ENOMEM;
	(void)snprintf(url, n, "%s%s", c->server, c->request->path);
	curl_easy_reset(c->easy); /* connections stay */
	set_pointer(&s, CURLOPT_URL, url);
	set_common(c, &s);
	set_request(c, &s);
	free(url); /* curl has its own copy */
	return s.error == CURLE_OK ? 0 : HUIDU_ENOMEM;
}

static uint32_t retry_after(struct huidu_curl *c)
{
	curl_off_t s = 0;

	if (curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &s) != CURLE_OK || s < 0)
		return 0;
	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static int status_of(struct huidu_curl *c, CURLcode code)
{
	long status = 0;

	if (c->error != 0)
		return c->error;
	/* It had begun: too slow, which is worth another name than not there. */
	if (code == CURLE_OPERATION_TIMEDOUT)
		return c->len + c->streamed > 0 ? HUIDU_ESLOW : -ETIMEDOUT;
	if (code != CURLE_OK && !c->enough)
		return HUIDU_EUNREACHABLE;
	if (curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
		return HUIDU_EUNREACHABLE;
	return (int)status;
}

int huidu_curl_http(struct huidu_curl *c, huidu_t *h, const struct huidu_request *request)
{
	int status;

	c->h = h;
	c->request = request;
	c->len = 0;
	c->streamed = 0;
	c->error = 0;
	c->enough = false;
	status = prepare(c);
	if (status != 0)
		return status;
	status = status_of(c, curl_easy_perform(c->easy));
	huidu_response(h, status, retry_after(c), c->body, c->len);
	return 0;
}
