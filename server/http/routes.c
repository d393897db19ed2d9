/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/routes.h"

#include <assert.h>
#include <stdio.h>

#include "server/base/mem.h"
#include "server/http/head.h"

struct route_key {
	int method;
	size_t len; /* of the path */
};

void routes_init(struct routes *r, const struct http_route *route, size_t n)
{
	*r = (struct routes){
		.route = route,
		.key = mem_alloc(n * sizeof(*r->key)),
		.n = n,
		.get = head_method("GET"),
		.head = head_method("HEAD"),
	};
	for (size_t i = 0; i < n; i++) {
		r->key[i].method = head_method(route[i].method);
		r->key[i].len = strlen(route[i].path);
		assert(r->key[i].method >= 0);
	}
}

void routes_release(struct routes *r)
{
	free(r->key);
	*r = (struct routes){ 0 };
}

static bool has_path(const struct routes *r, size_t i, struct bytes path)
{
	size_t len = r->key[i].len;

	return (r->route[i].prefix ? path.n >= len : path.n == len) &&
		memcmp(path.p, r->route[i].path, len) == 0;
}

const struct http_route *routes_find(
	const struct routes *r, unsigned method, struct bytes path, bool *known)
{
	int wanted = (int)method == r->head ? r->get : (int)method;

	*known = false;
	for (size_t i = 0; i < r->n; i++) {
		if (!has_path(r, i, path))
			continue;
		*known = true;
		if (r->key[i].method == wanted)
			return &r->route[i];
	}
	return NULL;
}

const char *routes_allow(const struct routes *r, struct bytes path, char out[ROUTES_ALLOW_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < r->n; i++) {
		const char *method = r->route[i].method;
		if (!has_path(r, i, path) || strstr(out, method) != NULL ||
			at + strlen(method) + strlen(", , HEAD") >= ROUTES_ALLOW_MAX)
			continue;
		at += (size_t)sprintf(out + at, "%s%s%s", at > 0 ? ", " : "", method,
			strcmp(method, "GET") == 0 ? ", HEAD" : "");
	}
	return out;
}
