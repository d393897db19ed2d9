/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/url.h"

#include "unit.h"

#include <string.h>

static void folders(void **state)
{
	static const struct {
		const char *url;
		bool good;
	} t[] = {
		{ "https://cdn.example", true },
		{ "https://cdn.example/", true },
		{ "https://cdn.example:8443/a/b%20c", true },
		{ "http://[::1]:8080/x", true },
		{ "https://", false },
		{ "https:///x", false },
		{ "https://:80/x", false },
		{ "ftp://cdn.example/", false },
		{ "//cdn.example/", false },
		{ "HTTPS://cdn.example/", false },
		{ "https://user:word@cdn.example/", false },
		{ "https://cdn.example/?key=1", false },
		{ "https://cdn.example/#x", false },
		{ "https://cdn.example/a b", false },
		{ "https://cdn.example/a\r\nX: y", false },
		{ "https://cdn.example/\xc3\xa4", false },
		{ "https://cdn.example/a\"b", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++)
		if (url_is_folder(t[i].url) != t[i].good)
			fail_msg("%s", t[i].url);
}

static void lengths(void **state)
{
	char url[URL_MAX + 2] = "https://";

	(void)state;
	memset(url + strlen(url), 'a', URL_MAX - strlen(url));
	assert_true(url_is_folder(url));
	url[URL_MAX] = 'a';
	assert_false(url_is_folder(url));
}

static void trim(void **state)
{
	static const char *const t[][2] = { { "a/", "a" }, { "a", "a" }, { "a//", "a/" },
		{ "", "" } };

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		char url[8];
		strcpy(url, t[i][0]);
		url_trim(url);
		assert_string_equal(url, t[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folders),
		cmocka_unit_test(lengths),
		cmocka_unit_test(trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
