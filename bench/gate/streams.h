/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of single streams, each a function of the number of runs; a run is a seed, so that a
 * figure is the same whenever it is made.  T1 to T14 name the gate's targets.
 */
#pragma once

#define STREAMS_ALPHA 0.01 /* false halts allowed */
#define STREAMS_BETA  0.05 /* false promotions allowed */

/* delay.c: report by report, in units of crashes that the control predicts for the canary. */
void delay_good_builds(unsigned runs); /* T1 */
void delay_over_sprt(unsigned runs);   /* T2 */
void delay_confidence(unsigned runs);  /* T6 */
void delay_promotion(unsigned runs);   /* T7 */
/* dispersion.c: devices that are not alike and crash in episodes. */
void dispersion_good_builds(unsigned runs); /* T5 */
/* habits.c: who polls first, time of day, an outage, the first hours of a new build. */
void habits_good_builds(unsigned runs); /* T9 */
void habits_bad_builds(unsigned runs);  /* T9: what the settle stratum costs */
/* novelty.c: signatures that nobody has seen. */
void novelty_bug(unsigned runs);         /* T10 */
void novelty_good_builds(unsigned runs); /* T10 */
/* exact.c: no chance in it. */
void exact_replay(unsigned runs); /* T13 */
void exact_cost(unsigned runs);   /* T14 */
