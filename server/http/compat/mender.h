/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mender's device API as mender-client 3 uses it: /api/devices/v1 and v2.  What a request means is said
 * to service/foreign.h, and what that says is written down; nothing is decided here.
 */
#pragma once

#include "server/http/http.h"

#define MENDER_ROUTES 8u
extern const struct http_route mender_routes[MENDER_ROUTES];
