/* SPDX-License-Identifier: Apache-2.0 */
/* Whole rollouts, many of them. */
#pragma once

#include "server/ctl/planfile.h"
#include "server/sim/rollout.h"

#define FLEET 1000000u

/* The plan of bench/gate/plans/ or config/plans/; ends the program when it is bad. */
struct planfile *plan_read(const char *name);

/* Runs with seeds from 1 on; free() it. */
struct sim_result *runs_of(const struct sim_setup *setup, unsigned n);
unsigned runs_halted(const struct sim_result *r, unsigned n);
unsigned runs_paused(const struct sim_result *r, unsigned n); /* on evidence */
unsigned runs_stopped_before(const struct sim_result *r, unsigned n, uint32_t step);
/* Of what `value` takes from each; NAN when it is of none. */
double runs_median(
	const struct sim_result *r, unsigned n, double (*value)(const struct sim_result *));

void bench_good(unsigned runs);   /* no build is stopped for nothing, and how long that takes */
void bench_bad(unsigned runs);    /* the table of bad builds, and the bug that shows late */
void bench_bricks(unsigned runs); /* what slow start saves */
void bench_delay(unsigned runs);  /* against the test that knows the ratio */
void bench_incidents(unsigned runs);
