/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/rollout.h"

#include <assert.h>

#define TO(state) ((unsigned char)(1 + (state)))

static const unsigned char arrow[ROLLOUT__COUNT][ROLLOUT_EVENT__COUNT] = {
	[ROLLOUT_PROPOSED] = {
		[ROLLOUT_APPROVE] = TO(ROLLOUT_APPROVED),
		[ROLLOUT_HALT] = TO(ROLLOUT_HALTED),
		[ROLLOUT_WITHDRAW] = TO(ROLLOUT_SUPERSEDED),
	},
	[ROLLOUT_APPROVED] = {
		[ROLLOUT_START] = TO(ROLLOUT_RUNNING),
		[ROLLOUT_HALT] = TO(ROLLOUT_HALTED),
		[ROLLOUT_WITHDRAW] = TO(ROLLOUT_SUPERSEDED),
	},
	[ROLLOUT_RUNNING] = {
		[ROLLOUT_PROMOTE] = TO(ROLLOUT_RUNNING),
		[ROLLOUT_PAUSE] = TO(ROLLOUT_PAUSED),
		[ROLLOUT_HALT] = TO(ROLLOUT_HALTED),
		[ROLLOUT_FINISH] = TO(ROLLOUT_COMPLETE),
		[ROLLOUT_SUPERSEDE] = TO(ROLLOUT_SUPERSEDED),
	},
	[ROLLOUT_PAUSED] = {
		[ROLLOUT_RESUME] = TO(ROLLOUT_RUNNING),
		[ROLLOUT_HALT] = TO(ROLLOUT_HALTED),
		[ROLLOUT_SUPERSEDE] = TO(ROLLOUT_SUPERSEDED),
	},
	[ROLLOUT_HALTED] = {
		[ROLLOUT_RESUME] = TO(ROLLOUT_RUNNING),
	},
	[ROLLOUT_COMPLETE] = {
		[ROLLOUT_HALT] = TO(ROLLOUT_HALTED),
	},
};

static const char *const name[ROLLOUT__COUNT] = {
	[ROLLOUT_PROPOSED] = "proposed",
	[ROLLOUT_APPROVED] = "approved",
	[ROLLOUT_RUNNING] = "running",
	[ROLLOUT_PAUSED] = "paused",
	[ROLLOUT_HALTED] = "halted",
	[ROLLOUT_COMPLETE] = "complete",
	[ROLLOUT_SUPERSEDED] = "superseded",
};

bool rollout_next(enum rollout_state *state, enum rollout_event event)
{
	unsigned to = arrow[*state][event];

	if (to == 0)
		return false;
	*state = (enum rollout_state)(to - 1);
	return true;
}

const char *rollout_str(enum rollout_state state)
{
	assert((unsigned)state < ROLLOUT__COUNT);
	return name[state];
}
