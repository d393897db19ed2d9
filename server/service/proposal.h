/* SPDX-License-Identifier: Apache-2.0 */
/* From a proposal in the log to the plans that approvers sign. */
#pragma once

#include "server/service/state.h"

/*
 * Draws seeds and steps for a rollout whose release, line, builds, spec_bytes, id, proposed_ms and
 * audit_root are set, and writes the payloads of its plans' next version.
 */
void proposal_draw(const struct state *s, struct rollout *r);
/* The payloads of the version after the one in force, with no signature yet. */
void proposal_renew(const struct state *s, struct rollout *r);
/* When that version will expire. */
uint64_t proposal_expires_s(const struct rollout *r);
