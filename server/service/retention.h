/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single devices did in a rollout is kept no longer than it may be needed: arms and hits go when
 * the rollout is over; stages, rows, signatures and the log stay, so that every verdict can be
 * computed again.
 *
 * Superseded is over at once, complete when the last step's watch is.  A halted rollout may be approved
 * and go on: its records stay for `retention`, and when it goes on after that, its devices enter their
 * arms anew.  Control's thread.
 */
#pragma once

#include "server/service/control.h"

struct retention {
	/* By rollout: all was removed since it came into the state it is in, at this time; 0: not yet. */
	uint64_t *clean_ms;
	size_t n;
};

/* When its devices' records go; UINT64_MAX: not while it is in this state. */
uint64_t retention_due_ms(const struct rollout *r, uint64_t keep_ms);
/* Removes some thousand of those that are due.  Call at each tick. */
void retention_run(struct control *c, uint64_t now_ms);
void retention_release(struct retention *r);
