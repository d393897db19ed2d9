/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fold share; nobody else includes it. */
#pragma once

#include "server/service/state.h"

/* One entry on its way in. */
struct entry {
	uint64_t index, time_ms;
	uint8_t leaf[SHA256_LEN];
	struct arena *arena;
};

/* The entry changed the rollout's state. */
void fold_note(struct rollout *r, const struct entry *e, const char *why);

/* ---- fold_plan.c: what people sign before anything is served ---- */

WARN_UNUSED int fold_publish(struct state *s, const struct entry *e, const Pb__Publish *m);
WARN_UNUSED int fold_propose(struct state *s, const struct entry *e, const Pb__Propose *m,
	const char *who, const char *why);
WARN_UNUSED int fold_approve(
	struct state *s, const struct entry *e, const Pb__Approve *m, const char *why);

/* ---- pending.c ---- */

/* Keeps the command under its id, in place of an envelope with fewer signatures. */
void pending_keep(struct state *s, const uint8_t id[SHA256_LEN], struct bytes envelope,
	const char *by, uint64_t expires_s);
void pending_drop(struct state *s, const uint8_t id[SHA256_LEN]);
void pending_expire(struct state *s, uint64_t now_ms);
void pending_free(struct pending *p);
/* A rollout runs again: its ring is its own, or that of a newer one which is open there: then it ends. */
void fold_resume(struct state *s, struct rollout *r, const struct entry *e);
