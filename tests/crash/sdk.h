/* SPDX-License-Identifier: Apache-2.0 */
/* A phone with the real SDK whose state lies in two files, DIR/phone/0 and 1, and its download in a third. */
#pragma once

#include <huidu/huidu.h>

#include "tests/lib/deployment.h"

#define SDK_PRODUCT "phone-a"

struct sdk {
	struct deployment *d;
	huidu_t *h;
	char dir[96];
	char build_id[64], other[64];
	uint64_t release_counter, other_counter;
	bool restarting;
	int error; /* the last it named */
	char said[128];
	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

/* On the build that runs: "" and 0: the factory's.  0, or what the library says. */
WARN_UNUSED int sdk_start(struct sdk *p, struct deployment *d, const char *build, uint64_t counter);
void sdk_stop(struct sdk *p);
/* All that is due now: p->error. */
void sdk_settle(struct sdk *p);
/* The same, and asks now. */
void sdk_poll(struct sdk *p);
