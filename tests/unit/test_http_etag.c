/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/etag.h"

#include "unit.h"

static void conditions(void **state)
{
	/* Of a file whose tag is "abc". */
	static const struct {
		const char *value;
		bool listed, same;
	} t[] = {
		{ "\"abc\"", true, true },
		{ "W/\"abc\"", true, false },
		{ "*", true, false },
		{ "\"x\", \"abc\"", true, false },
		{ "\"x\",W/\"abc\" , \"y\"", true, false },
		{ " ,, \"abc\"", true, false },
		{ "\"a,b\", \"abc\"", true, false },
		{ "\"abc", false, false },
		{ "abc", false, false },
		{ "\"ab\"", false, false },
		{ "\"abcd\"", false, false },
		{ "\"ABC\"", false, false },
		{ "\"\"", false, false },
		{ "\"x\" * \"abc\"", false, false },
		{ "w/\"abc\"", false, false },
		{ "W/", false, false },
		{ "\"", false, false },
		{ ",", false, false },
		{ "**", false, false },
		{ "Sat, 21 Nov 2026 18:56:00 GMT", false, false },
		{ "", false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct bytes value = bytes_str(t[i].value);
		if (etag_is_listed(value, "\"abc\"") != t[i].listed ||
			etag_is_same(value, "\"abc\"") != t[i].same)
			fail_msg("%s", t[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(conditions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
