/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/routes.h"

#include "server/http/head.h"
#include "unit.h"

static const struct http_route table[] = {
	{ "POST", "/v1/poll", false, 100, NULL },
	{ "GET", "/v1/artifact/", true, 0, NULL },
	{ "GET", "/v1/artifact/special", false, 0, NULL },
	{ "PUT", "/v1/artifact/", true, 0, NULL },
	{ "GET", "/", false, 0, NULL },
};

static void found(void **state)
{
	static const struct {
		const char *method, *path;
		int want; /* -404, -405 or which */
	} t[] = {
		{ "POST", "/v1/poll", 0 },
		{ "GET", "/v1/poll", -405 },
		{ "HEAD", "/v1/poll", -405 },
		{ "POST", "/v1/poll/", -404 },
		{ "POST", "/v1/pol", -404 },
		{ "POST", "/v1/POLL", -404 },
		{ "GET", "/v1/artifact/abc", 1 },
		{ "HEAD", "/v1/artifact/abc", 1 },
		{ "PUT", "/v1/artifact/abc", 3 },
		{ "POST", "/v1/artifact/abc", -405 },
		{ "GET", "/v1/artifact/", 1 },
		{ "GET", "/v1/artifact", -404 },
		{ "GET", "/v1/artifact/special", 1 },
		{ "GET", "/", 4 },
		{ "HEAD", "/", 4 },
		{ "GET", "/x", -404 },
		{ "GET", "", -404 },
		{ "OPTIONS", "*", -404 },
	};
	struct routes r;

	(void)state;
	routes_init(&r, table, COUNT(table));
	for (size_t i = 0; i < COUNT(t); i++) {
		bool known;
		const struct http_route *route = routes_find(
			&r, (unsigned)head_method(t[i].method), bytes_str(t[i].path), &known);
		int got = route != NULL ? (int)(route - table) : known ? -405 : -404;
		if (got != t[i].want)
			fail_msg("%s %s: %d", t[i].method, t[i].path, got);
	}
	routes_release(&r);
}

static void allowed(void **state)
{
	char text[ROUTES_ALLOW_MAX];
	struct routes r;

	(void)state;
	routes_init(&r, table, COUNT(table));
	assert_string_equal(routes_allow(&r, bytes_str("/v1/poll"), text), "POST");
	assert_string_equal(routes_allow(&r, bytes_str("/v1/artifact/x"), text), "GET, HEAD, PUT");
	assert_string_equal(
		routes_allow(&r, bytes_str("/v1/artifact/special"), text), "GET, HEAD, PUT");
	assert_string_equal(routes_allow(&r, bytes_str("/none"), text), "");
	routes_release(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
