/* SPDX-License-Identifier: Apache-2.0 */
/* What the device front counts, as metrics. */
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"

static const struct {
	enum http_count count;
	enum metric metric;
} counted[] = {
	{ HTTP_BAD_REQUEST, METRIC_REFUSED_HTTP },
	{ HTTP_HEADERS_TOO_LARGE, METRIC_REFUSED_HTTP },
	{ HTTP_NOT_FOUND, METRIC_REFUSED_HTTP },
	{ HTTP_BAD_METHOD, METRIC_REFUSED_HTTP },
	{ HTTP_ENCODED, METRIC_REFUSED_HTTP },
	{ HTTP_TOO_LARGE, METRIC_REFUSED_HTTP },
	{ HTTP_TIMEOUT_HANDSHAKE, METRIC_REFUSED_TIMEOUT },
	{ HTTP_TIMEOUT_HEADERS, METRIC_REFUSED_TIMEOUT },
	{ HTTP_TIMEOUT_BODY, METRIC_REFUSED_TIMEOUT },
	{ HTTP_TIMEOUT_REQUEST, METRIC_REFUSED_TIMEOUT },
	{ HTTP_TIMEOUT_FILE, METRIC_REFUSED_TIMEOUT },
	{ HTTP_TLS_FAILED, METRIC_REFUSED_TLS },
	{ HTTP_CONNECTIONS_MAX, METRIC_REFUSED_CONNECTIONS },
	{ HTTP_EMFILE, METRIC_REFUSED_CONNECTIONS },
	{ HTTP_FILE_BYTES, METRIC_ARTIFACT_BYTES },
};

void device_front_count(const struct device_front *f)
{
	uint64_t sum[METRIC__COUNT] = { 0 };

	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		sum[counted[i].metric] += http_front_count(f->http, counted[i].count);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		metric_set(counted[i].metric, sum[counted[i].metric]);
	metric_set(METRIC_CONNECTIONS,
		http_front_count(f->http, HTTP_ACCEPTED) - http_front_count(f->http, HTTP_CLOSED));
}
