/* SPDX-License-Identifier: Apache-2.0 */
/* Builds' files. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"

/*
 * Of the file's hash; "" when it is to be had here, as it is for the CDN itself: RFC 8586, and what
 * proxies say of old.
 */
static const char *cdn(const struct http_call *call)
{
	const struct image *image = device_desk(call)->image;
	bool comes_from_it = http_header(call, "CDN-Loop").n > 0 || http_header(call, "Via").n > 0;

	return image != NULL && !comes_from_it ? image->settings.cdn : "";
}

/* Found (302): of a GET it is what every client follows, and caches do not keep it. */
static void send_elsewhere(struct http_call *call, const char *name)
{
	char *url = mem_printf("%s/%s", cdn(call), name);
	struct http_header location = { "Location", url };
	struct http_answer answer = { .status = 302, .header = &location, .n_headers = 1 };

	http_reply(call, &answer);
	free(url);
}

static bool has_hash(struct bytes hex, uint8_t sha256[SHA256_LEN])
{
	char text[2 * SHA256_LEN + 1] = "";

	if (hex.n == 2 * SHA256_LEN)
		memcpy(text, hex.p, hex.n);
	return hex_decode(sha256, SHA256_LEN, text);
}

static void send_file(
	struct http_call *call, const uint8_t sha256[SHA256_LEN], int file, uint64_t length)
{
	static const struct http_header for_ever = { "Cache-Control",
		"public, max-age=31536000, immutable" };
	char hex[2 * SHA256_LEN + 1], etag[2 * SHA256_LEN + 3];
	struct http_answer answer = {
		.type = "application/octet-stream", .header = &for_ever, .n_headers = 1
	};

	metric_add(METRIC_ARTIFACTS, 1);
	if (*cdn(call) != '\0') {
		(void)close(file); /* nothing was read */
		send_elsewhere(call, hex_encode(hex, sha256, SHA256_LEN));
		return;
	}
	/* However the path spells it. */
	(void)snprintf(etag, sizeof(etag), "\"%s\"", hex_encode(hex, sha256, SHA256_LEN));
	answer.etag = etag;
	http_reply_file(call, &answer, file, length);
}

void device_send_artifact(struct http_call *call, struct bytes hex, bool insists)
{
	uint8_t sha256[SHA256_LEN];
	uint64_t length;
	int file, err = ERR_NOT_FOUND;

	if (has_hash(hex, sha256))
		err = http_room(call) ? artifact_open(device_desk(call)->server->artifacts, sha256,
						&file, &length)
				      : -EMFILE;
	if (err == 0)
		send_file(call, sha256, file, length);
	else if (err != -EMFILE && err != -ENFILE)
		device_missing(call);
	else if (insists)
		http_hang_up(call);
	else
		device_refuse(call, err);
}

void device_artifact(struct http_call *call)
{
	device_send_artifact(call, call->rest, false);
}

void device_limit_downloads(struct device_front *f)
{
	const struct config *c = f->server->config;

	f->total_bytes_s = c->bandwidth.total_bytes_s;
	f->each_bytes_s = c->bandwidth.device_bytes_s;
	http_front_bandwidth(f->http, f->total_bytes_s, f->each_bytes_s);
}
