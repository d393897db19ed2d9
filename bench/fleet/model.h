/* SPDX-License-Identifier: Apache-2.0 */
/* How simulated phones behave: all of it drawn from one seed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MODEL_BUILDS 16

struct model_build {
	char id[64];
	double crash_ratio;  /* of the base rate */
	double boot_failure; /* share of installs that fall back to the old slot */
	double brick;        /* share of installs after which the phone is silent for ever */
};

struct model {
	uint64_t state;         /* of the random numbers */
	double day_ms;          /* how long a simulated day lasts */
	double crashes_per_day; /* base rate, mean over phones */
	struct model_build builds[MODEL_BUILDS];
	unsigned n_builds;
};

/* [0, 1), xorshift64* */
double model_random(struct model *m);
/* Mean 1, Pareto with shape 2: few phones have most of the crashes. */
double model_frailty(struct model *m);
/* Milliseconds to the next crash of a phone on this build. */
double model_next_crash_ms(struct model *m, double frailty, const char *build);
#define MODEL_SIGNATURE 32
/*
 * Where the phone crashed: in one of many places that all builds share, few of them common; or,
 * as far as the build crashes more than the base, in one of three of its own.
 */
void model_signature(struct model *m, const char *build, uint8_t out[MODEL_SIGNATURE]);
/* The build's line, or one of a build that is like the base. */
const struct model_build *model_build(const struct model *m, const char *id);
/* "ID:crash=8,boot_fail=0.01,brick=0.02"; false when it makes no sense. */
bool model_parse(struct model *m, const char *text);
