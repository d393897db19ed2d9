/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slow start on two levels: how many devices of an open share are taken in, like TCP's window.
 * Bricks are not found by statistics but by not handing out more than came back: offers that did not
 * end in a boot are at most max(20, those that did), and devices whose silence has not been judged at
 * most max(500, four times those that were heard of).  A failure makes no room for the next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADMIT_WINDOW 20u  /* unresolved offers a stage starts with */
#define ADMIT_YOUNG  500u /* devices before the first milestone */

struct admit_facts {
	uint32_t granted;   /* offers handed out so far, in this stage */
	uint32_t boot_ok;   /* of these, those that booted */
	uint32_t judged;    /* of those granted, silence was judged */
	uint32_t heard;     /* of these, not silent */
	uint32_t expected;  /* devices in the share, as far as known; >= 1 */
	uint32_t cap;       /* the plan's `devices`; 0: none */
	uint32_t admit_ppm; /* as it is */
	bool idle;          /* offers were left over for a whole poll interval */
};

struct admit {
	/* Neither ever shrinks. */
	uint32_t allowed;   /* offers that may have been handed out in all */
	uint32_t admit_ppm; /* devices whose second bucket is below it are asked */
};

struct admit admit_next(const struct admit_facts *f);
