/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/file.h"

/* Kept in thousandths or millionths, shown as ones: seconds, or a ratio. */
enum kind { COUNTER, COUNTER_MS, COUNTER_US, GAUGE, GAUGE_MS, GAUGE_PPM };

static const struct {
	const char *name;
	enum kind kind;
	const char *label, *help;
} table[METRIC__COUNT] = {
#define METRIC(id, name, kind, label, help) { name, kind, label, help },
#include "server/metrics/metric.def"
#undef METRIC
};

/* Workers add to different ones most of the time; a line of its own for each keeps them apart. */
static struct {
	_Alignas(64) atomic_uint_fast64_t value;
} cell[METRIC__COUNT];

void metric_add(enum metric m, uint64_t n)
{
	atomic_fetch_add_explicit(&cell[m].value, n, memory_order_relaxed);
}

void metric_set(enum metric m, uint64_t value)
{
	atomic_store_explicit(&cell[m].value, value, memory_order_relaxed);
}

uint64_t metric_get(enum metric m)
{
	return atomic_load_explicit(&cell[m].value, memory_order_relaxed);
}

static uint64_t resident(void)
{
	unsigned long long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	(void)fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void ask_system(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) == 0)
		metric_set(METRIC_CPU_MS,
			(uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
				(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000);
	metric_set(METRIC_FDS, file_count_open());
	metric_set(METRIC_RSS, resident());
}

/* OpenMetrics names a counter's family without the suffix its series carry. */
static void write_head(struct buf *out, size_t i, bool openmetrics)
{
	bool counter = table[i].kind < GAUGE;
	int n = (int)strlen(table[i].name) - (openmetrics && counter ? 6 : 0);

	buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, table[i].name, table[i].help, n,
		table[i].name, counter ? "counter" : "gauge");
}

static void write_value(struct buf *out, size_t i)
{
	uint64_t v = metric_get((enum metric)i);
	bool label = table[i].label[0] != '\0';

	buf_printf(out, "%s%s%s%s ", table[i].name, label ? "{" : "", table[i].label,
		label ? "}" : "");
	if (table[i].kind == COUNTER_MS || table[i].kind == GAUGE_MS)
		buf_printf(
			out, "%llu.%03u\n", (unsigned long long)(v / 1000), (unsigned)(v % 1000));
	else if (table[i].kind == COUNTER_US || table[i].kind == GAUGE_PPM)
		buf_printf(out, "%llu.%06u\n", (unsigned long long)(v / 1000000),
			(unsigned)(v % 1000000));
	else
		buf_printf(out, "%llu\n", (unsigned long long)v);
}

void metrics_write(struct buf *out, bool openmetrics)
{
	ask_system();
	for (size_t i = 0; i < METRIC__COUNT; i++) {
		if (i == 0 || strcmp(table[i].name, table[i - 1].name) != 0)
			write_head(out, i, openmetrics);
		write_value(out, i);
	}
	if (openmetrics)
		buf_str(out, "# EOF\n");
}
