/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libevent with the errors that cannot be dealt with taken out: memory, broken
 * descriptors.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

/* An inbox comes before all else in a turn. */
enum loop_priority { LOOP_INBOX, LOOP_NORMAL, LOOP__COUNT };

/*
 * A base for one thread, without locks and deaf to the environment.  Ends the process
 * when there is none to be had.  Free with event_base_free.
 */
struct event_base *loop_new(void);
void loop_add(struct event *e, const struct timeval *timeout);
void loop_add_ms(struct event *e, uint32_t timeout_ms);
/* Also when it is not there. */
void loop_del(struct event *e);
