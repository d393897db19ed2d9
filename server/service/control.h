/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that decides: it folds the log, runs the gate, has metadata signed, and makes the
 * image.  It may block for the writer, the signer and the workers; polls do not wait for it.
 *
 * Every change goes the same way: checked against the state, appended to the log (durable), applied
 * to the state, signed, stored, put into an image, taken by every worker, answered.
 */
#pragma once

#include "server/service/server.h"
#include "server/service/state.h"
#include "server/trust/rootfile.h"
#include "server/trust/signer.h"

struct control;

/*
 * Folds the log (a new one begins with the root; an older one must have had it), follows the stages
 * that are open or watched and publishes.  `signer` and `root` must outlive it.  Sets server->control.
 */
WARN_UNUSED int control_open(struct server *s, struct signer *signer, const struct rootfile *root,
	uint64_t now_ms, char *error);
void control_close(struct server *s);

/*
 * A person's command; `text` (at least STATE_TEXT) gets the line for them when it was refused, and
 * when there is something to say though it was not.
 */
WARN_UNUSED int control_command(
	struct server *s, struct bytes envelope, uint64_t now_ms, char *text);
/* The next root. */
WARN_UNUSED int control_root(struct server *s, struct bytes envelope, uint64_t now_ms, char *text);
/* What is due: batches, the gate, admission, seats, the timestamp.  Call once a second or so. */
void control_tick(struct server *s, uint64_t now_ms);

/*
 * While the configuration is replaced, in a job of the writer that control waits for: phones that were
 * told the longer of two poll intervals are not silent yet.
 */
void control_slacken(struct server *s, const struct config *fresh);
/* After it was replaced: the image follows, on every worker. */
void control_reloaded(struct server *s, uint64_t now_ms);

const struct state *control_state(const struct server *s);
