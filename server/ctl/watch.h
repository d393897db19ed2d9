/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again and again: on a terminal in place, on a pipe one line per change. */
#pragma once

#include "server/ctl/ctl.h"

#define WATCH_EVERY_MS 500u

/* Draws rollouts as `rollout get` does. */
void watch_draw(struct ctl *c, const Pb__AdminReply *m, struct buf *out);
/* Until Ctrl-C: EXIT_INTERRUPTED.  `name` may be NULL: all that are under way. */
WARN_UNUSED int watch_rollouts(struct ctl *c, const char *name);
/*
 * Until the rollout is complete (0), halted (EXIT_HALTED) or superseded
 * (EXIT_CONFLICT), or `timeout_ms` have passed (EXIT_TIMED_OUT); 0: no limit.  One look
 * when `once`.
 */
WARN_UNUSED int watch_status(struct ctl *c, const char *name, uint64_t timeout_ms, bool once);
