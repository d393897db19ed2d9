/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of `./dev bench gate`: one JSON object a line on stdout, flushed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Kept when value <= target (or >=).  A value that is not a number is a figure not reached. */
void figure_at_most(const char *name, double value, const char *unit, double target);
void figure_at_least(const char *name, double value, const char *unit, double target);
/* Nothing is asked of it. */
void figure_shown(const char *name, double value, const char *unit);
/* A share of runs, in percent; the unit tells how many runs. */
void figure_share_at_most(const char *name, unsigned hits, unsigned runs, double target);
void figure_share_at_least(const char *name, unsigned hits, unsigned runs, double target);
void figure_share_shown(const char *name, unsigned hits, unsigned runs);

/* Room for n values, free() it; out of memory ends the program. */
double *figure_values(size_t n);
/* Sorts `v`; of an even number the mean of the middle two; n >= 1. */
double figure_median(double *v, size_t n);
/* CPU time of this process. */
double figure_cpu_us(void);
