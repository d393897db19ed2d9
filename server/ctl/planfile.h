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
void planfile_free(struct planfile *p);
