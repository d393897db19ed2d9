/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for simulations of single streams: more distributions on server/sim's generator.  One run
 * is one seed; whatever was seen in a run is seen again in it.
 */
#pragma once

#include <stdbool.h>

#include "server/sim/chance.h"

struct random {
	struct chance chance;
};

/* `run` is the seed: near numbers give unrelated sequences. */
void random_seed(struct random *r, uint64_t run);
uint64_t random_u64(struct random *r);
/* Above 0, below 1. */
double random_uniform(struct random *r);
bool random_chance(struct random *r, double p);
/* 0 .. n - 1; n >= 1, far below 2^32. */
uint32_t random_below(struct random *r, uint32_t n);
/* Mean 1; divide by the rate. */
double random_exponential(struct random *r);
/* Mean `shape`, variance `shape`; shape > 0. */
double random_gamma(struct random *r, double shape);
/* At least `least`; P(X > x) = (least / x)^shape. */
double random_pareto(struct random *r, double shape, double least);
/* Exact for every mean >= 0 and n, p; O(log) beyond small ones. */
uint64_t random_poisson(struct random *r, double mean);
uint64_t random_binomial(struct random *r, uint64_t n, double p);
