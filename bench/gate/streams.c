/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate-streams [--quick | --full]: the figures of the gate's single streams, on the real core and
 * simulated fleets.  --quick (the default) is for every day, --full has the runs that targets ask
 * for.  Exits 0 when all was run; whether a target is met stands in each line.
 */
#include "bench/gate/streams.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	void (*run)(unsigned runs);
	unsigned quick, full;
} figures[] = {
	{ delay_good_builds, 2000, 20000 },
	{ delay_over_sprt, 1000, 4000 },
	{ dispersion_good_builds, 1000, 10000 },
	{ delay_confidence, 1000, 10000 },
	{ delay_promotion, 500, 4000 },
	{ habits_good_builds, 1000, 10000 },
	{ novelty_bug, 1000, 10000 },
	{ novelty_good_builds, 2000, 10000 },
	{ exact_replay, 10, 100 },
	{ exact_cost, 21, 101 },
};

static int usage(void)
{
	(void)fputs("usage: gate-streams [--quick | --full]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool full = argc == 2 && strcmp(argv[1], "--full") == 0;

	if (argc > 2 || (argc == 2 && !full && strcmp(argv[1], "--quick") != 0))
		return usage();
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		figures[i].run(full ? figures[i].full : figures[i].quick);
	return 0;
}
