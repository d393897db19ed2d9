/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/link.h"

#include "server/http/device_private.h"

#define HOST_MAX 255u

static bool is_host(struct bytes host)
{
	for (size_t i = 0; i < host.n; i++) {
		uint8_t b = host.p[i];
		if (!((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') ||
			    (b != '\0' && strchr(".-_:[]", b) != NULL)))
			return false;
	}
	return host.n > 0 && host.n <= HOST_MAX;
}

int link_base(const struct http_call *call, struct buf *out)
{
	const char *url = device_desk(call)->image->settings.compat->url;
	struct bytes host = http_header(call, "Host");

	if (*url != '\0')
		buf_str(out, url);
	else if (is_host(host))
		buf_printf(out, "%s://%.*s", device_front_of(call)->plain ? "http" : "https",
			(int)host.n, (const char *)host.p);
	else
		return ERR_MALFORMED;
	return 0;
}
