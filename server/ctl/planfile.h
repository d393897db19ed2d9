/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as engineers keep it: YAML, checked, as the PlanSpec that is proposed. */
#pragma once

#include "proto/admin.pb-c.h"
#include "server/base/yaml.h"

struct planfile;

/*
 * ERR_CONFIG or -errno with file, line and key in `error`; otherwise a plan that
 * plan_check() passed.  Free with planfile_free.
 */
WARN_UNUSED int planfile_load(const char *path, struct planfile **out, char error[YAML_ERROR_MAX]);
const Pb__PlanSpec *planfile_spec(const struct planfile *p);

/* What was given for the plan's deadline. */
struct planfile_trade {
	uint32_t share_ppm;      /* of the outermost ring */
	uint64_t within_ms;      /* of the proposal */
	size_t stages;           /* come before that share opens */
	const uint64_t *soak_ms; /* of every stage, as written */
};
/* NULL when the plan has no deadline. */
const struct planfile_trade *planfile_trade(const struct planfile *p);
void planfile_free(struct planfile *p);
