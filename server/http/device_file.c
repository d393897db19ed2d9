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

void device_artifact(struct http_call *call)
{
	static const struct http_header for_ever = { "Cache-Control",
		"public, max-age=31536000, immutable" };
	struct http_answer answer = {
		.type = "application/octet-stream", .header = &for_ever, .n_headers = 1
	};
	char hex[2 * SHA256_LEN + 1] = "", etag[2 * SHA256_LEN + 3];
	uint8_t sha256[SHA256_LEN];
	uint64_t length;
	int file, err = ERR_NOT_FOUND;

	if (call->rest.n == 2 * SHA256_LEN)
		memcpy(hex, call->rest.p, call->rest.n);
	if (hex_decode(sha256, SHA256_LEN, hex))
		err = http_room(call) ? artifact_open(device_desk(call)->server->artifacts, sha256,
						&file, &length)
				      : -EMFILE;
	if (err == -EMFILE || err == -ENFILE)
		device_refuse(call, err);
	else if (err != 0)
		device_missing(call);
	if (err != 0)
		return;
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

void device_limit_downloads(struct device_front *f)
{
	const struct config *c = f->server->config;

	f->total_bytes_s = c->bandwidth.total_bytes_s;
	f->each_bytes_s = c->bandwidth.device_bytes_s;
	http_front_bandwidth(f->http, f->total_bytes_s, f->each_bytes_s);
}
