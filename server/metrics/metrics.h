/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges, one table, in the Prometheus text format 0.0.4 or OpenMetrics 1.0.
 * Adding is for any thread and takes no lock; every series is there from the start, at 0.
 */
#pragma once

#include "server/base/buf.h"

enum metric {
#define METRIC(id, name, kind, label, help) METRIC_##id,
#include "server/metrics/metric.def"
#undef METRIC
	METRIC__COUNT
};

void metric_add(enum metric m, uint64_t n);
void metric_set(enum metric m, uint64_t value);
uint64_t metric_get(enum metric m);

/* All of it, after asking the system about this process. */
void metrics_write(struct buf *out, bool openmetrics);
