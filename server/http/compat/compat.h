/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols of other servers on the device front: which of them are spoken. */
#pragma once

#include "server/config/config.h"
#include "server/http/http.h"

#define COMPAT_ROUTES 20u

/* Those that config switches on, in the order in which paths are compared; how many. */
size_t compat_routes(const struct config *c, struct http_route out[COMPAT_ROUTES]);
