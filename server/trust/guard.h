/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things the signer does not leave to huidud: whether the clock is to be believed, and how much is
 * signed at a time.  Functions of their arguments.  Private to this folder.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GUARD_JUMP_MS (5 * 60000ull)
/* Timestamps are signed every day; phones that hear one from the future are deaf until then. */
#define GUARD_GAP_MS (14 * 86400000ull)

enum guard_kind {
	GUARD_METADATA, /* and decisions */
	GUARD_DEVICES,  /* grants and time statements */
	GUARD__COUNT
};

struct guard {
	/* Both clocks at the last signature of this process; 0: none yet. */
	uint64_t wall_ms, boot_ms;
	/* Thousandths of a signature that may be made at once, as of a time of the boot clock. */
	uint64_t tokens[GUARD__COUNT], filled_ms;
};

void guard_init(struct guard *g, uint64_t boot_ms);
/*
 * False when the wall clock has left the boot clock by more than five minutes since the last
 * signature.  With none yet, when it stands more than that before `signed_ms`, when the last one was
 * made by any process (0: never), or more than two weeks after.
 */
bool guard_clock(const struct guard *g, uint64_t wall_ms, uint64_t boot_ms, uint64_t signed_ms);
/* From here on the two are compared. */
void guard_mark(struct guard *g, uint64_t wall_ms, uint64_t boot_ms);
/* Takes room for so many signatures of each kind; false, and none taken, when there is not as much. */
bool guard_take(struct guard *g, const uint64_t n[GUARD__COUNT], uint64_t boot_ms);
