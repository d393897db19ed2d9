/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Omaha on the device front: /v1/update/, and /omaha/TOKEN/v1/update/ for who brings a token that lets
 * new devices in.  What a request means is said to service/foreign.h, and what that says is written
 * down; nothing is decided here.
 */
#pragma once

#include "server/http/http.h"

#define OMAHA_ROUTES 3u
extern const struct http_route omaha_routes[OMAHA_ROUTES];
