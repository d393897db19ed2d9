/* SPDX-License-Identifier: Apache-2.0 */
/* One run of many phones: what the command line asks for, and what it takes. */
#pragma once

#include "bench/fleet/phone.h"

struct run {
	struct fleet fleet;
	struct net_options net;
	struct phone *phones;
	unsigned n, spread_ms;
	unsigned wish[3]; /* phones that opt in to core, honour, dev */
	const char *root_path, *status_path, *dump_path, *polls_path;
	struct event_base *base;
	uint64_t started_ms, next_status_ms, end_ms;
};

#define RUN_DEFAULTS                                                                               \
	{                                                                                          \
		.n = 1000, .spread_ms = 1000, .net = { .connections = 64 },                        \
		.fleet = { .poll_min_s = 1,                                                        \
			.model = { .state = 88172645463325253ull,                                  \
				.day_ms = 86400e3,                                                 \
				.crashes_per_day = 0.01 } },                                       \
	}

/* Ends the program with a line when they make no sense. */
void run_options(struct run *r, int argc, char **argv);
