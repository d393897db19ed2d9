/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes a second: who asks is told when his bytes may go, each behind those before.  Time
 * is passed in.
 *
 * What has gone until any moment is at most the rate times the time since the first
 * reservation, and the bytes of PACE_SLACK_NS and of one reservation more.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What was not used is kept so long: timers come late. */
#define PACE_SLACK_NS 200000000ull

struct pace {
	_Atomic uint64_t next_ns; /* when all that was reserved will have gone; 0 at first */
};

/*
 * When `n` more bytes may go: now or later.  The rate may be another each time; 0: any
 * number, and `p` may be NULL.
 * Any thread.
 */
uint64_t pace_reserve(struct pace *p, uint64_t bytes_s, size_t n, uint64_t now_ns);
