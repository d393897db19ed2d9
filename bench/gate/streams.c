/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate-streams [--quick | --full] [TARGET...]: the figures of the gate's single streams, on the
 * real core and simulated fleets.  --quick (the default) is for every day, --full has the runs that
 * targets ask for; with names (T1, T2, ...) only those.  Exits 0 when all was run; whether a target
 * is met stands in each line.
 */
#include "bench/gate/streams.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	void (*run)(unsigned runs);
	unsigned quick, full;
} figures[] = {
	{ "T1", delay_good_builds, 2000, 40000 },
	{ "T2", delay_over_sprt, 1000, 10000 },
	{ "T5", dispersion_good_builds, 1000, 20000 },
	{ "T6", delay_confidence, 600, 10000 },
	{ "T7", delay_promotion, 500, 10000 },
	{ "T9", habits_good_builds, 1000, 20000 },
	{ "T9", habits_bad_builds, 300, 2000 },
	{ "T10", novelty_bug, 1000, 10000 },
	{ "T10", novelty_good_builds, 2000, 20000 },
	{ "T13", exact_replay, 10, 100 },
	{ "T14", exact_cost, 21, 101 },
};

static bool named(const char *name, char **names)
{
	for (char **n = names; *n; n++)
		if (strcmp(*n, name) == 0)
			return true;
	return *names == NULL;
}

static bool known(const char *name)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strcmp(figures[i].name, name) == 0)
			return true;
	return false;
}

static int usage(void)
{
	(void)fputs("usage: gate-streams [--quick | --full] [TARGET...]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool full = argc > 1 && strcmp(argv[1], "--full") == 0;
	char **names = argv + 1 + (full || (argc > 1 && strcmp(argv[1], "--quick") == 0));

	for (char **n = names; *n; n++)
		if (!known(*n))
			return usage();
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (named(figures[i].name, names))
			figures[i].run(full ? figures[i].full : figures[i].quick);
	return 0;
}
