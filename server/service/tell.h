/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in words. */
#pragma once

#include "server/service/query.h"

/* The command in an envelope; NULL when it cannot be read. */
const Pb__AdminCommand *tell_read(struct query *q, struct bytes envelope);
/* "halt 2.4.1", "2 devices of phone-a to core". */
const char *tell_what(struct query *q, const Pb__AdminCommand *m);
/* The rollout it is about, NULL when it is about none. */
const struct rollout *tell_rollout(const struct state *s, const Pb__AdminCommand *m);
