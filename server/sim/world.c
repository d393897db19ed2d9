/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/world.h"

#include <math.h>

/* Mean 1, variance 3.05; that of gamma with shape .3 is 3.33. */
const double sim_class_share[SIM_CLASSES] = { .55, .25, .15, .05 };
const double sim_class_rate[SIM_CLASSES] = { .0325 / .55, .75, 2.7, 7.5 };

struct sim_world sim_world(void)
{
	return (struct sim_world){
		.crash = .01,
		.loop = .0005,
		.symptom = .001,
		.new_crash = .005,
		.poll_h = 4,
		.delay = { .50, .20, .12, .08, .06, .04 },
		.away = .03,
		.never = .1,
		.away_later = .002,
		.late = .01,
		.boot = .0005,
		.install = .002,
		.rollback = .0005,
		.product = 1,
		.affected = 1,
		.until_h = INFINITY,
		.crash_ratio = 1,
		.settle_ratio = 1,
		.settle_h = 6,
	};
}

bool sim_acts(const struct sim_world *w, double age_h)
{
	return age_h >= w->from_h && age_h < w->until_h;
}

double sim_crash_ratio(const struct sim_world *w, bool affected, double age_h)
{
	double ratio = age_h >= 0 && age_h < w->settle_h ? w->settle_ratio : 1;

	return affected && age_h >= 0 && sim_acts(w, age_h) ? ratio * w->crash_ratio : ratio;
}

double sim_diurnal(const struct sim_world *w, double hour)
{
	return 1 + w->diurnal * sin(hour * 2 * 3.14159265358979323846 / 24);
}

double sim_outage(const struct sim_world *w, double hour)
{
	bool on = hour >= w->outage_from_h && hour < w->outage_from_h + w->outage_h;

	return on ? w->outage_crash : 0;
}

void sim_classes(const struct sim_world *w, double hour, double share[SIM_CLASSES])
{
	double tilt = w->eager * exp(-hour / 12);

	for (unsigned c = 0; c < SIM_CLASSES; c++)
		share[c] = sim_class_share[c] * (1 - tilt + tilt * sim_class_rate[c]);
}
