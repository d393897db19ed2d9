/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker does when it is late or busy: which requests it refuses, and how much later it asks
 * phones to come again.
 *
 * Refusing follows the lateness of the loop.  Pressure rises while it is late, look after look, and
 * falls, more slowly, while it is not; so a part of the requests is refused, as large as it must be,
 * and nothing flaps.  Background polls are refused first; when all of them are and the loop is still
 * late, enrolments.  Nothing else ever is: reports have the writer's queue, a phone in the middle of
 * an update and a person who waits are few, and a download that has begun must end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SHED_LATE_MS  250u /* so late, requests are refused; at half of it, none more than before */
#define SHED_STALL_MS 1000u /* late once by less is a stall: then nothing waits any more */
#define SHED_STRETCH  2u    /* doublings of the interval of polls, at most */
#define SHED_LONGEST_MS                                                                            \
	57600000ull /* 16 h: with both ends' jitter still within a timestamp's day */

enum shed_class { SHED_BACKGROUND, SHED_ENROL, SHED__COUNT };

/* All 0 at first. */
struct shed {
	uint32_t pressure_ppm;            /* a million for each class */
	uint32_t busy_ppm;                /* smoothed */
	bool was_late;                    /* at the last look */
	unsigned stretch;                 /* how often the interval is doubled */
	uint64_t looked_ms, stretched_ms; /* the last look; the last change of `stretch` */
	uint64_t in_time_ms;              /* when pressure last rose from nothing */
};

/* What was seen since the last look; in time that was not looked at there was nothing to do. */
struct shed_look {
	uint64_t now_ms;   /* monotonic */
	uint32_t seen_ms;  /* so long until now was looked at */
	uint32_t lag_ms;   /* how late the loop is */
	uint32_t busy_ppm; /* of the time the thread had the processor */
	bool turned_away;  /* connections, because the queue before accept was too long */
};

void shed_look(struct shed *s, const struct shed_look *look);
/* `dice` is a random number below a million. */
bool shed_refuses(const struct shed *s, enum shed_class what, uint32_t dice);
/* Doublings that this interval can take. */
unsigned shed_stretch(const struct shed *s, uint64_t interval_ms);
/* Neither late nor busy, nor was it a moment ago: there is nothing to look for. */
bool shed_is_calm(const struct shed *s);
