/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the state for people: each fills its part of an AdminReply from the arena. */
#pragma once

#include "server/service/control_private.h"

struct query {
	struct server *server;
	struct arena *arena;
	uint64_t now_ms;
	const Pb__AdminQuery *ask;
	const char *text; /* of a refusal */
};

/* Never NULL: an answer that does not fit its arena is a bug, and ends the server. */
void *query_alloc(struct query *q, size_t n);
char *query_printf(struct query *q, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each returns 0 or an ERR_ with q->text set. */
WARN_UNUSED int query_rollouts(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_proposal(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_history(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_device(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_rings(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_builds(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_gate(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_pending(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_log(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_trust(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_files(struct query *q, Pb__AdminReply *reply);
WARN_UNUSED int query_replay(struct query *q, Pb__AdminReply *reply);

WARN_UNUSED int query_erase(struct query *q, Pb__AdminReply *reply);

/* The rollout that is asked for by its name. */
WARN_UNUSED int query_find(struct query *q, const struct rollout **out);
Pb__RolloutView *query_rollout_view(struct query *q, const struct rollout *r);

/* The name of a build of that hash; NULL: none is known. */
const char *query_build_name(struct query *q, uint64_t hash);

/* ---- query_foreign.c ---- */

/* NULL when it is a device of ours. */
Pb__ForeignView *query_foreign(struct query *q, struct store_txn *t, const uint8_t id[ID_LEN]);
/* Of a device that is here, from "hawkbit/dev-0001": its protocol, and what it calls itself. */
bool query_foreign_id(struct query *q, const char *name, uint8_t id[ID_LEN]);

/* The names of those keys. */
size_t query_names(struct query *q, const struct signers *who, const char ***out);
