/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of huidu-agent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct settings {
	const char *server, *ca, *root, *repository, *product, *build, *state, *install, *health,
		*token, *voucher;
	uint64_t counter, rollback_index, poll_min_s, poll_max_s, hold_notice_s, build_time_s;
	uint64_t wish; /* enum huidu_ring */
	bool anonymous, once;
};

/*
 * False, with a line on stderr, when something is missing or wrong; --help ends the
 * process.
 */
bool settings_read(struct settings *s, int argc, char **argv);
