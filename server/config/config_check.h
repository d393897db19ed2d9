/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of server/config. */
#pragma once

#include "server/config/config.h"

/* Before anything is filled in.  Else ERR_CONFIG, and `error` is the line of config_load(). */
WARN_UNUSED int config_check(const struct config *c, const char *path, char error[YAML_ERROR_MAX]);
