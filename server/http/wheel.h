/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of many things, one each: setting, moving and clearing cost a few pointers.
 * A deadline that moves later costs one store.  Time is passed in; deadlines are kept
 * to WHEEL_TICK_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_MS 50u
#define WHEEL_SLOTS   1024u

/* Inside what has the deadline; all zero before first use. */
struct wheel_node {
	struct wheel_node *next, **at; /* at: who points here; NULL when not in the wheel */
	uint64_t tick;                 /* when it is looked at, at the latest */
	uint64_t deadline_ms;
};

struct wheel {
	struct wheel_node *slot[WHEEL_SLOTS];
	struct wheel_node *due; /* of ticks that have passed; not all need have expired */
	uint64_t tick;          /* the next one to look at */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* In the past is fine: it expires at the next look. */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms);
void wheel_clear(struct wheel_node *n);
/* One whose deadline has come, out of the wheel now, or NULL.  Call until NULL. */
struct wheel_node *wheel_expired(struct wheel *w, uint64_t now_ms);
