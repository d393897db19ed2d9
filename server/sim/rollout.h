/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole rollout on a made-up fleet, in virtual time: the plan's steps, the admission, the gate and
 * the build's capital are the server's own; only phones and people are made up.  The stages of one
 * run are drawn independently: that a control phone of one stage is a canary of a later one, and its
 * crash counts in both, is left out.
 */
#pragma once

#include "server/core/capital.h"
#include "server/sim/book.h"

#define SIM_BEGAN_MS 1700000000000ull /* every rollout starts then */

struct sim_setup {
	const Pb__PlanSpec
		*spec; /* that plan_check() passed; 0 in a duration of silence: the usual */
	struct sim_world world;
	uint64_t look_ms; /* batches close and the gate looks so often */
	/* A paused rollout is resumed so much later; INFINITY: it is only watched. */
	double person_h, patience_h; /* and so long */
	double tolerance_h; /* the same where only numbers were wanting: not too few, not too bad */
	/* May be NULL: all rows, and all that single devices did. */
	void (*row)(void *to, uint32_t step, uint32_t book, const struct evidence_row *row);
	void (*event)(void *to, uint32_t step, uint32_t book, const struct book_event *e);
	void *to;
};

/* Stuck: neither passed nor stopped in half a year. */
enum sim_end { SIM_COMPLETE, SIM_HALTED, SIM_PAUSED, SIM_STUCK };

struct sim_result {
	enum sim_end end;
	bool stopped;            /* paused or halted by the gate, once at least */
	enum gate_reason reason; /* of the first stop */
	uint32_t stop_step;
	double stop_h;
	struct sim_hurt at_stop;
	uint32_t pauses;    /* on evidence against the build */
	uint32_t undecided; /* for any other reason: a person had to look */
	uint32_t halt_step;
	double halt_h;
	double done_h; /* the last stage has passed, holdbacks apart; 0: it has not */
	uint32_t steps_passed;
	double offered_h
		[LADDER_STEPS_MAX]; /* from opening a step to its last first poll; 0: never */
	struct sim_hurt hurt;       /* at the end */
	uint64_t offered;           /* phones */
	double max_log_k;
	uint32_t looks;
};

/* Usual: looks every hour, a person comes after 4 h. */
struct sim_setup sim_setup(const Pb__PlanSpec *spec, uint32_t fleet);
/* Same setup, same seed: same result. */
struct sim_result sim_run(const struct sim_setup *setup, uint64_t seed);
