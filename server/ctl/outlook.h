/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What so many phones can tell, and when: before a stage is waited for in vain.
 *
 * The unit is the expected number of canary devices that crash at the control's rate (E0).  A build
 * as good as the control gains tolerance - 1 - ln(tolerance) nats for each; a build that crashes
 * twice as often gains so much evidence against it that about 14 are enough in the median, 10 at
 * the least.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define OUTLOOK_TWICE 9.8 /* E0 below which a ratio of 2 is as good as never seen */

struct outlook_facts {
	double tolerance;        /* of the crash ratio; 0: none is asked for */
	double baseline_per_day; /* share of the control's devices that crash in a day; > 0 */
	double devices;          /* in the canary, once all are taken in */
	double shown, needed;    /* nats that the ratio is below the tolerance */
	uint64_t age_ms, soak_ms, max_soak_ms; /* max_soak 0: not known */
};

struct outlook {
	bool blind;          /* cannot tell a build that crashes twice as often by max_soak */
	double crashes;      /* E0 until max_soak; 0: not known */
	uint64_t verdict_ms; /* from now, if the build is good: the median; UINT64_MAX: never */
	bool too_late;       /* that comes after max_soak: a person will be called before */
};

/* Expected E0 until a build as good as the control is shown to be below the tolerance, > 1. */
double outlook_events(double tolerance);
struct outlook outlook_of(const struct outlook_facts *f);
