/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an approver is asked to sign, worked out again from the plan, the builds and the
 * log's root.  The server's word is taken for nothing that can be computed.
 */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/envelope.h"
#include "server/core/plan.h"

#define PROPOSAL_BUILDS_MAX 32u
#define PROPOSAL_ERROR_MAX  200u
#define PROPOSAL_ARENA      (8u * 1024u * 1024u)

struct proposal {
	const Pb__Proposal *m;
	const Pb__PlanSpec *spec;
	struct plan_step steps[LADDER_STEPS_MAX];
	size_t n_steps;
	struct {
		const Pb__Targets *targets;
		struct signers signers; /* of the targets */
		uint64_t expires;       /* of the plan, unix seconds */
		bool renewed;           /* the build was signed anew since the plan in force */
		uint64_t version;       /* of the plan: which approval of this rollout it is */
	} build[PROPOSAL_BUILDS_MAX];
};

/*
 * 0 when every byte the approver would sign is what this machine computes; otherwise an
 * error with a sentence that names what differs.  `out` points into `m` and the arena.
 */
WARN_UNUSED int proposal_check(const Pb__Proposal *m, const Pb__Root *root, uint64_t now_s,
	struct arena *a, struct proposal *out, char error[PROPOSAL_ERROR_MAX]);
