/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-processes: evidence that may be looked at all the time.
 *
 * Under its null hypothesis an e-process is a non-negative supermartingale that starts at 1, so the
 * chance that it ever reaches 1/a is at most a (Ville).  All values here are natural logs.  A batch
 * says how many devices of each arm had their first event, and how many of each were at risk when
 * the batch was opened; batches with an empty arm say nothing and are skipped.
 *
 * Formulas: two-sample (a) as the conditional likelihood mixture of ter Schure et al. 2024;
 * confidence sequence (b) as its two-sided mixture; guardrails (c) binomial mixtures; signatures
 * (e) with e-BH of Wang and Ramdas 2022.  Checked against tests/vectors/gate.json to 1e-9.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct batch {
	double xc, xk; /* first events: canary, control */
	double ec, ek; /* devices at risk, frozen when the batch was opened */
};

/* ---- (a) against "the ratio of canary to control is at most r0" ---- */

#define EPROC_HALT_POINTS 12

/* Sums over batches, one for each alternative; { 0 } is no evidence. */
struct eproc_halt {
	double l[EPROC_HALT_POINTS];
};

void eproc_halt_add(struct eproc_halt *e, const struct batch *b, double r0);
double eproc_halt_log(const struct eproc_halt *e);
/*
 * The mixture over days on which a build may have turned bad: day 0 weighs .8, day d .2/(d(d+1)).
 * `before[d]` is what `total` was when day d began (before[0] is zero); days >= 1.
 */
double eproc_restart_log(
	const struct eproc_halt *total, const struct eproc_halt *before, size_t days);

/* ---- (b) the ratio's confidence sequence ---- */

#define EPROC_CS_POINTS 129

struct eproc_cs {
	double ll[EPROC_CS_POINTS]; /* log likelihood at each grid point */
	double tol_ll, tol_score;   /* and at the tolerance, with its derivative */
};

/* `tolerance` is the same in every call for one `cs`; > 0. */
void eproc_cs_add(struct eproc_cs *cs, const struct batch *b, double tolerance);
/*
 * Log evidence against "the ratio is the tolerance".  The stage may pass when this reaches
 * ln(1/beta) and eproc_cs_below() says the best estimate lies below the tolerance.
 */
double eproc_cs_log(const struct eproc_cs *cs);
bool eproc_cs_below(const struct eproc_cs *cs);

struct eproc_interval {
	double mle, lower, upper; /* ratios; exp(-12) and exp(12) mean open */
	double log_mix;
};
/* For people and tests: by bisection, from the whole list of batches. */
struct eproc_interval eproc_cs_interval(const struct batch *b, size_t n, double alpha);
/* Log likelihood of the ratio exp(theta), relative to ratio 1. */
double eproc_loglik(const struct batch *b, size_t n, double theta);
/*
 * Log evidence against "the ratio is 1", of one batch.  With devices that enrolled as events and
 * the shares of the hash as the numbers at risk this is the sample-ratio check.
 */
double eproc_split_log(const struct batch *b);

/* ---- (c) x failures in n attempts against a limit q0 ---- */

/* q0 in (0, 1]; from .95 on it is no limit, and nothing is evidence against it. */
double eproc_limit_log(double x, double n, double q0);
/* The other side: evidence that the rate is below q0 in (0, 1). */
double eproc_safe_log(double x, double n, double q0);

/* ---- (e) new signatures ---- */

#define EPROC_SIGNATURE_POINTS 4

/* One signature over many batches; { 0 } is no evidence. */
struct eproc_signature {
	double l[EPROC_SIGNATURE_POINTS];
};

void eproc_signature_add(struct eproc_signature *e, const struct batch *b);
double eproc_signature_value(const struct eproc_signature *e); /* natural log */
/* The same of a single batch. */
double eproc_signature_log(const struct batch *b);
/* Of all, in order of first sighting in either arm. */
double eproc_signatures_log(const double *loges, size_t n);
/* How many are discoveries at false discovery rate `delta`: those at least *threshold. */
size_t eproc_ebh(const double *loges, size_t n, double delta, double *threshold);

/* ---- averages: streams of a stage, stages of a build ---- */

/* log(sum w_i exp(l_i) + 1 - sum w_i); weights sum to at most 1, the rest is kept as cash. */
double eproc_average_log(const double *logs, const double *weights, size_t n);
