/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/feed.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/http/compat/link.h"
#include "server/http/device_private.h"
#include "server/service/feed.h"

static const struct config_feed *find_feed(const struct config_compat *c, struct bytes name)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (strlen(c->feeds[i].name) == name.n &&
			memcmp(c->feeds[i].name, name.p, name.n) == 0)
			return &c->feeds[i];
	return NULL;
}

/* All seven keys: an entry without one is passed over. */
static void write_build(
	struct json *j, const char *base, const struct config_feed *f, const struct image_build *b)
{
	struct buf file = { 0 }, url = { 0 };

	buf_printf(&file, "%s.zip", b->name);
	link_folder(&url, base, b->sha256);
	buf_str(&url, buf_text(&file));
	json_object(j, NULL);
	json_u64(j, "datetime", b->published_ms / 1000);
	json_str(j, "filename", buf_text(&file));
	json_hex(j, "id", bytes_of(b->sha256, SHA256_LEN));
	json_str(j, "romtype", f->type);
	json_u64(j, "size", b->length);
	json_str(j, "url", buf_text(&url));
	json_str(j, "version", *f->version != '\0' ? f->version : b->name);
	json_end_object(j);
	buf_release(&file);
	buf_release(&url);
}

static void write_list(struct buf *out, const char *base, const struct config_feed *f,
	const struct image_product *p, const struct feed_ask *ask)
{
	const struct image_build *list[OFFERS_MAX];
	size_t n = feed_choose(p, ask, list);
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_array(&j, "response");
	for (size_t i = 0; i < n; i++)
		write_build(&j, base, f, list[i]);
	json_end_array(&j);
	json_end_object(&j);
}

/* A halt is no later seen than the list is kept. */
static void reply(struct http_call *call, struct buf *body)
{
	static const struct http_header headers[] = {
		{ "Cache-Control", "public, max-age=60" },
		{ "X-Feed", "its readers report nothing: no canary, no evidence" },
	};
	struct bytes part = buf_bytes(body);
	struct http_answer answer = { .status = 200,
		.type = "application/json",
		.part = &part,
		.n_parts = 1,
		.header = headers,
		.n_headers = 2 };

	http_reply(call, &answer);
}

static void serve(struct http_call *call, const struct config_feed *f, struct bytes build)
{
	const struct image_product *p = image_find(device_desk(call)->image, f->product);
	struct feed_ask ask = {
		.ring = (enum ring)f->ring, .runs = build, .now_s = clock_ms() / 1000
	};
	char base[LINK_BASE_MAX];
	struct buf body = { 0 };
	int err = p != NULL ? link_base(call, base) : ERR_NOT_FOUND;

	if (err == 0) {
		write_list(&body, base, f, p, &ask);
		reply(call, &body);
	} else {
		device_refuse(call, err);
	}
	buf_release(&body);
}

static void feed(struct http_call *call)
{
	const struct image *image = device_desk(call)->image;
	const uint8_t *slash = memchr(call->rest.p, '/', call->rest.n);
	size_t n = slash != NULL ? (size_t)(slash - call->rest.p) : call->rest.n;
	size_t behind = slash != NULL ? n + 1 : n;
	const struct config_feed *f;

	if (image == NULL) {
		http_reply_error(call, 503);
		return;
	}
	f = find_feed(image->settings.compat, bytes_of(call->rest.p, n));
	if (f == NULL)
		http_reply_error(call, 404);
	else
		serve(call, f, bytes_of(call->rest.p + behind, call->rest.n - behind));
}

const struct http_route feed_routes[FEED_ROUTES] = {
	{ "GET", "/feed/", true, 0, feed },
};
