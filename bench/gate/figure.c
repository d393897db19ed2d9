/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gate/figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define UNIT_MAX 64

static void print(const char *name, double value, const char *unit, double target, bool ok)
{
	printf("{\"bench\": \"gate\", \"figure\": \"%s\", \"value\": ", name);
	if (isfinite(value))
		printf("%.5g", value);
	else
		printf("null");
	printf(", \"unit\": \"%s\", \"target\": ", unit);
	if (isfinite(target))
		printf("%.5g", target);
	else
		printf("null");
	printf(", \"ok\": %s}\n", ok ? "true" : "false");
	(void)fflush(stdout); /* whoever reads has gone, or sees it later */
}

void figure_at_most(const char *name, double value, const char *unit, double target)
{
	print(name, value, unit, target, isfinite(value) && value <= target);
}

void figure_at_least(const char *name, double value, const char *unit, double target)
{
	print(name, value, unit, target, isfinite(value) && value >= target);
}

void figure_shown(const char *name, double value, const char *unit)
{
	print(name, value, unit, NAN, true);
}

static void share_unit(char unit[UNIT_MAX], unsigned runs)
{
	(void)snprintf(unit, UNIT_MAX, "%% of %u runs", runs);
}

void figure_share_at_most(const char *name, unsigned hits, unsigned runs, double target)
{
	char unit[UNIT_MAX];

	share_unit(unit, runs);
	figure_at_most(name, 100.0 * hits / runs, unit, target);
}

void figure_share_at_least(const char *name, unsigned hits, unsigned runs, double target)
{
	char unit[UNIT_MAX];

	share_unit(unit, runs);
	figure_at_least(name, 100.0 * hits / runs, unit, target);
}

void figure_share_shown(const char *name, unsigned hits, unsigned runs)
{
	char unit[UNIT_MAX];

	share_unit(unit, runs);
	figure_shown(name, 100.0 * hits / runs, unit);
}

double *figure_values(size_t n)
{
	double *v = calloc(n, sizeof(*v));

	if (v == NULL)
		abort();
	return v;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double figure_median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : .5 * (v[n / 2 - 1] + v[n / 2]);
}

double figure_cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail on Linux */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
