/* SPDX-License-Identifier: Apache-2.0 */
/* A rollout as people and scripts see it. */
#pragma once

#include "server/base/json.h"
#include "server/ctl/ctl.h"

/* As the gate has them: build capital at which it pauses, and stops. */
#define ROLLOUT_ODDS_TEXT  "pause at 20 : 1, halt at 100 : 1"
#define ROLLOUT_CAUTION_LN 2.995732273553991 /* ln 20 */

struct state_look {
	const char *word;
	enum icon icon;
	enum style style;
};
/* Of ROLLOUT_ and STAGE_ states; never NULL. */
const struct state_look *rollout_look(Pb__RolloutState state);
const struct state_look *stage_look(Pb__StageState state);
/* When its soak began: with the stage, or when people let it go on. */
uint64_t stage_since_ms(const Pb__StageView *v);

/*
 * The one rollout that `name` means; on 0 `r` holds it and is to be released.  An exit
 * code, spoken, otherwise.
 */
WARN_UNUSED int rollout_find(
	struct ctl *c, const char *name, struct reply *r, const Pb__RolloutView **out);

/* The whole screen of one rollout; `now_ms` is the server's. */
void rollout_screen(
	struct buf *out, const struct term *t, const Pb__RolloutView *v, uint64_t now_ms);
/* One line, without its end. */
void rollout_line(struct buf *out, const Pb__RolloutView *v);
/* A table, one row each. */
void rollout_table(struct buf *out, const struct term *t, const Pb__AdminReply *m);
/* One document. */
void rollout_json(struct buf *out, const Pb__AdminReply *m);
/* One of them, within another document. */
void rollout_json_one(struct json *j, const char *key, const Pb__RolloutView *v);
/* The same document as long as nothing but times has moved on. */
void rollout_shape(struct buf *out, const Pb__AdminReply *m);
