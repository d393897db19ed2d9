/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a build's description once keys have signed it.  Exit codes, spoken. */
#pragma once

#include "server/ctl/targets.h"

/* As the server will: enough release keys.  `*out` lives in the arena. */
WARN_UNUSED int publish_verify(
	struct ctl *c, struct bytes envelope, struct arena *a, const Pb__Targets **out);

/* Publishes it, in a command signed by `key`, and says so. */
WARN_UNUSED int publish_send(
	struct ctl *c, struct bytes envelope, const Pb__Targets *t, const struct held_key *key);

/* Writes it to --out, and says who signed and who comes next. */
WARN_UNUSED int publish_save(struct ctl *c, struct bytes envelope, struct arena *a);
