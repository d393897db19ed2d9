/* SPDX-License-Identifier: Apache-2.0 */
/* What public incidents would have cost along the plans as they are shipped. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/gate/figure.h"
#include "bench/gate/rollouts.h"
#include "tests/sim/incidents/incidents.h"

static void one(enum incident i, const Pb__PlanSpec *weekly, const Pb__PlanSpec *stable, unsigned n)
{
	double *hurt = figure_values(n);
	unsigned stopped = 0;
	char name[80];

	for (unsigned k = 0; k < n; k++) {
		struct incident_end e = incident_run(i, weekly, stable, k + 1);
		stopped += e.stopped;
		hurt[k] = e.hurt;
	}
	(void)snprintf(name, sizeof(name), "incident_%s_stopped", incident_name(i));
	figure_share_shown(name, stopped, n);
	(void)snprintf(name, sizeof(name), "incident_%s_hurt", incident_name(i));
	figure_shown(name, figure_median(hurt, n), "phones, median");
	free(hurt);
}

void bench_incidents(unsigned runs)
{
	struct planfile *weekly = plan_read("weekly"), *stable = plan_read("stable");

	for (unsigned i = 0; i < INCIDENT__COUNT; i++)
		one((enum incident)i, planfile_spec(weekly), planfile_spec(stable), runs);
	planfile_free(weekly);
	planfile_free(stable);
}
