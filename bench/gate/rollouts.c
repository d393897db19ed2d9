/* SPDX-License-Identifier: Apache-2.0 */
/* gate-rollouts [--quick | --full | --incidents]: whole rollouts on the real core. */
#include "bench/gate/rollouts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/gate/figure.h"
#include "server/base/mem.h"

struct planfile *plan_read(const char *name)
{
	static const char *const folder[] = { PLANS "/bench/gate/plans", PLANS "/config/plans" };
	char error[YAML_ERROR_MAX] = "";
	struct planfile *p = NULL;

	for (size_t i = 0; i < 2 && p == NULL; i++) {
		char *path = mem_printf("%s/%s.yaml", folder[i], name);
		if (planfile_load(path, &p, error) != 0)
			p = NULL;
		free(path);
	}
	if (p == NULL) {
		(void)fprintf(stderr, "gate-rollouts: %s\n", error);
		exit(2);
	}
	return p;
}

struct sim_result *runs_of(const struct sim_setup *setup, unsigned n)
{
	struct sim_result *r = mem_zalloc(n * sizeof(*r));

	for (unsigned i = 0; i < n; i++)
		r[i] = sim_run(setup, i + 1);
	return r;
}

unsigned runs_halted(const struct sim_result *r, unsigned n)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += r[i].end == SIM_HALTED;
	return hits;
}

unsigned runs_paused(const struct sim_result *r, unsigned n)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += r[i].pauses > 0 || r[i].end == SIM_HALTED;
	return hits;
}

unsigned runs_stopped_before(const struct sim_result *r, unsigned n, uint32_t step)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += r[i].stopped && r[i].stop_step < step;
	return hits;
}

double runs_median(
	const struct sim_result *r, unsigned n, double (*value)(const struct sim_result *))
{
	double *v = figure_values(n), out;
	size_t k = 0;

	for (unsigned i = 0; i < n; i++) {
		double x = value(&r[i]);
		if (!isnan(x))
			v[k++] = x;
	}
	out = k > 0 ? figure_median(v, k) : NAN;
	free(v);
	return out;
}

int main(int argc, char **argv)
{
	bool full = argc > 1 && strcmp(argv[1], "--full") == 0;

	if (argc > 1 && strcmp(argv[1], "--incidents") == 0) {
		bench_incidents(40);
		return 0;
	}
	if (argc > 2 || (argc > 1 && !full && strcmp(argv[1], "--quick") != 0)) {
		(void)fprintf(stderr, "gate-rollouts [--quick | --full | --incidents]\n");
		return 2;
	}
	bench_good(full ? 10000 : 500);
	bench_bricks(full ? 500 : 40);
	bench_bad(full ? 200 : 20);
	bench_delay(full ? 2000 : 300);
	if (full)
		bench_incidents(40);
	return 0;
}
