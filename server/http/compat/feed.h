/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LineageOS' list of builds, for updaters that read it and say nothing: /feed/NAME, and
 * /feed/NAME/BUILD for who names what he runs.
 */
#pragma once

#include "server/http/http.h"

#define FEED_ROUTES 1u
extern const struct http_route feed_routes[FEED_ROUTES];
