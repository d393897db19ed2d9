/* SPDX-License-Identifier: Apache-2.0 */
/* What the device front counts, as metrics. */
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"

/* Each has a metric of its own, so that a graph says what is going on. */
static const struct {
	enum http_count count;
	enum metric metric;
} counted[] = {
	{ HTTP_BAD_REQUEST, METRIC_REFUSED_BAD_REQUEST },
	{ HTTP_HEADERS_TOO_LARGE, METRIC_REFUSED_HEADERS_TOO_LARGE },
	{ HTTP_TOO_LARGE, METRIC_REFUSED_BODY_TOO_LARGE },
	{ HTTP_NOT_FOUND, METRIC_REFUSED_NOT_FOUND },
	{ HTTP_BAD_METHOD, METRIC_REFUSED_METHOD },
	{ HTTP_ENCODED, METRIC_REFUSED_ENCODED },
	{ HTTP_BAD_RANGE, METRIC_REFUSED_RANGE },
	{ HTTP_TIMEOUT_HANDSHAKE, METRIC_REFUSED_TIMEOUT_HANDSHAKE },
	{ HTTP_TIMEOUT_HEADERS, METRIC_REFUSED_TIMEOUT_HEADERS },
	{ HTTP_TIMEOUT_BODY, METRIC_REFUSED_TIMEOUT_BODY },
	{ HTTP_TIMEOUT_REQUEST, METRIC_REFUSED_TIMEOUT_REQUEST },
	{ HTTP_TIMEOUT_FILE, METRIC_REFUSED_TIMEOUT_DOWNLOAD },
	{ HTTP_TLS_FAILED, METRIC_REFUSED_TLS },
	{ HTTP_CONNECTIONS_MAX, METRIC_REFUSED_CONNECTIONS },
	{ HTTP_PREFIX, METRIC_REFUSED_PREFIX },
	{ HTTP_PROXY, METRIC_REFUSED_PROXY },
	{ HTTP_EMFILE, METRIC_REFUSED_DESCRIPTORS },
	{ HTTP_EVICTED, METRIC_EVICTED_IDLE },
	{ HTTP_EVICTED_UNREADY, METRIC_EVICTED_UNREADY },
	{ HTTP_ACCEPTED, METRIC_ACCEPTED },
	{ HTTP_TURNED_AWAY, METRIC_REFUSED_SHED_CONNECTION },
	{ HTTP_FILE_BYTES, METRIC_ARTIFACT_BYTES },
};

void device_front_count(const struct device_front *f)
{
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		metric_set(counted[i].metric, http_front_count(f->http, counted[i].count));
	device_load_count(f);
	metric_set(METRIC_CONNECTIONS,
		http_front_count(f->http, HTTP_ACCEPTED) - http_front_count(f->http, HTTP_CLOSED));
}
