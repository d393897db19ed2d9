/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/network.h"

#include <arpa/inet.h>

#include "unit.h"

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/x", "10.0.0.1/8", "10.0.0/8", "300.0.0.0/8", "2001:db8::/129",
		"2001:db8::1/32", "2001:db8::g", "proxy.example", "[::1]", "10.0.0.0/8/8",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb" };
	struct network n;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (network_read(bad[i], &n) != ERR_CONFIG)
			fail_msg("%s", bad[i]);
}

static void test_has(void **state)
{
	static const struct {
		const char *network, *address;
		bool want;
	} cases[] = {
		{ "10.0.0.0/8", "::ffff:10.255.1.2", true },
		{ "10.0.0.0/8", "::ffff:11.0.0.0", false },
		{ "10.0.0.0/8", "a00::", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "192.0.2.1", "::ffff:192.0.2.0", false },
		{ "192.0.2.1/32", "::ffff:192.0.2.1", true },
		{ "192.0.2.128/25", "::ffff:192.0.2.129", true },
		{ "192.0.2.128/25", "::ffff:192.0.2.127", false },
		{ "0.0.0.0/0", "::ffff:1.2.3.4", true },
		{ "0.0.0.0/0", "2001:db8::", false },
		{ "::/0", "::ffff:1.2.3.4", true },
		{ "::/0", "2001:db8::", true },
		{ "::1", "::1", true },
		{ "::1", "::2", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t address[NETWORK_ADDRESS];
		struct network n;
		assert_int_equal(inet_pton(AF_INET6, cases[i].address, address), 1);
		assert_int_equal(network_read(cases[i].network, &n), 0);
		if (network_has(&n, address) != cases[i].want)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
