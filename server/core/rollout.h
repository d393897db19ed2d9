/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a rollout: one table over (state, event).  Numbers are those of admin.proto. */
#pragma once

#include <stdbool.h>

enum rollout_state {
	ROLLOUT_PROPOSED,
	ROLLOUT_APPROVED,
	ROLLOUT_RUNNING,
	ROLLOUT_PAUSED,
	ROLLOUT_HALTED,
	ROLLOUT_COMPLETE,
	ROLLOUT_SUPERSEDED,
	ROLLOUT__COUNT
};

enum rollout_event {
	ROLLOUT_APPROVE, /* the approvers' threshold is reached */
	ROLLOUT_START,
	ROLLOUT_PROMOTE,   /* the next step opens */
	ROLLOUT_PAUSE,     /* nobody new is admitted; a person must look */
	ROLLOUT_RESUME,    /* the approvers signed a higher version of the plan */
	ROLLOUT_HALT,      /* latched: only ROLLOUT_RESUME lifts it */
	ROLLOUT_FINISH,    /* the last step has passed */
	ROLLOUT_SUPERSEDE, /* another rollout opened the ring this one was in */
	ROLLOUT_WITHDRAW,  /* taken back before it started */
	ROLLOUT_EVENT__COUNT
};

/* False, with `*state` as it was, when the event is not possible in this state. */
bool rollout_next(enum rollout_state *state, enum rollout_event event);
const char *rollout_str(enum rollout_state state);
