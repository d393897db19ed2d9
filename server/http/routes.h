/* SPDX-License-Identifier: Apache-2.0 */
/* Which route a request takes.  Tables are short: they are walked. */
#pragma once

#include "server/http/http.h"

struct routes {
	const struct http_route *route;
	struct route_key *key; /* of each route */
	size_t n;
	int get, head; /* as head_method */
};

/* Every method of the table must be one llhttp knows. */
void routes_init(struct routes *r, const struct http_route *route, size_t n);
void routes_release(struct routes *r);
/*
 * The first route that fits, NULL when none does.  `*known` says whether some route has
 * the path (405) or none (404).
 */
const struct http_route *routes_find(
	const struct routes *r, unsigned method, struct bytes path, bool *known);
/* "GET, HEAD, POST": what the path takes, for Allow.  Returns `out`. */
#define ROUTES_ALLOW_MAX 128
const char *routes_allow(const struct routes *r, struct bytes path, char out[ROUTES_ALLOW_MAX]);
