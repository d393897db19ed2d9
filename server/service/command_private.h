/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of command checking share; nobody else includes it. */
#pragma once

#include "server/service/state.h"

/* Writes the line for a person and returns `err`. */
__attribute__((format(printf, 3, 4))) int command_refuse(
	char *text, int err, const char *format, ...);
/* Refuses a build at or below its product's floor. */
WARN_UNUSED int command_floor(const struct state *s, const char *product, const char *build_id,
	uint64_t counter, char *text);
/* The rollout a command names, unless the log has more about it than its signer saw. */
WARN_UNUSED int command_rollout(const struct state *s, ProtobufCBinaryData id,
	const struct command *c, const struct rollout **out, char *text);

/* One for each thing that may be asked for; `text` when it is refused. */
WARN_UNUSED int check_publish(
	const struct state *s, const struct command *c, struct arena *a, char *text);
WARN_UNUSED int check_propose(
	const struct state *s, const struct command *c, struct arena *a, char *text);
WARN_UNUSED int check_approve(
	const struct state *s, const struct command *c, struct arena *a, char *text);
