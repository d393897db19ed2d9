/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hawkBit's Direct Device Integration API, v1, as swupdate and rauc-hawkbit-updater use it:
 * /{tenant}/controller/v1/{controllerId}/...  What a request means is said to service/foreign.h, and
 * what that says is written down; nothing is decided here.
 */
#pragma once

#include "server/http/http.h"

#define HAWKBIT_ROUTES 3u
extern const struct http_route hawkbit_routes[HAWKBIT_ROUTES];
