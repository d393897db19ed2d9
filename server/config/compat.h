/* SPDX-License-Identifier: Apache-2.0 */
/* `compat:` of huidud.yaml. */
#pragma once

#include "server/config/config.h"

extern const struct yaml_schema config_compat;

/* Rules between its fields; `error` gets the line for a person. */
WARN_UNUSED int compat_check(const struct config *c, const char *path, char error[YAML_ERROR_MAX]);
