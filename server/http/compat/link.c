/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/link.h"

#include <stdio.h>

#include "server/http/device_private.h"

static bool is_host(struct bytes host)
{
	for (size_t i = 0; i < host.n; i++) {
		uint8_t b = host.p[i];
		if (!((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') ||
			    (b != '\0' && strchr(".-_:[]", b) != NULL)))
			return false;
	}
	return host.n > 0 && host.n <= LINK_HOST_MAX;
}

int link_base(const struct http_call *call, char out[LINK_BASE_MAX])
{
	const char *url = device_desk(call)->image->settings.compat->url;
	struct bytes host = http_header(call, "Host");

	if (*url != '\0')
		memcpy(out, url, strlen(url) + 1); /* url_is_folder() */
	else if (is_host(host))
		(void)snprintf(out, LINK_BASE_MAX, "%s://%.*s",
			device_front_of(call)->plain ? "http" : "https", (int)host.n,
			(const char *)host.p);
	else
		return ERR_MALFORMED;
	return 0;
}

void link_folder(struct buf *out, const char *base, const uint8_t sha256[SHA256_LEN])
{
	char hex[2 * SHA256_LEN + 1];

	buf_printf(out, "%s/file/%s/", base, hex_encode(hex, sha256, SHA256_LEN));
}

static void send_file(struct http_call *call)
{
	const uint8_t *slash = memchr(call->rest.p, '/', call->rest.n);
	size_t n = slash != NULL ? (size_t)(slash - call->rest.p) : call->rest.n;

	device_send_artifact(call, bytes_of(call->rest.p, n), true);
}

const struct http_route link_routes[LINK_ROUTES] = {
	{ "GET", "/file/", true, 0, send_file },
};
