/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"8080",
		":8080",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:x",
		"127.0.0.1:70000",
		"127.0.0.1:-1",
		"127.0.0.256:80",
		"localhost:80",
		"::1:80",
		"[::1]80",
		"[127.0.0.1]:80",
		"[::1:80",
		"0123456789012345678901234567890123456789012345678901234567890123456789:80",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		in_port_t port = 0;
		int fd = address_listen(bad[i], true, &port);
		if (fd != -EINVAL)
			fail_msg("%s: %d", bad[i], fd);
	}
}

/* A port 0 becomes one port that all share; a second server is refused it. */
static void shared(void **state)
{
	static const char *const any[] = { "127.0.0.1:0", "[::1]:0" };

	(void)state;
	for (size_t i = 0; i < COUNT(any); i++) {
		in_port_t port = 0, same = 0;
		char text[64];
		int a = address_listen(any[i], true, &port);
		if (a == -EADDRNOTAVAIL)
			continue; /* no IPv6 here */
		assert_true(a >= 0 && port != 0);
		same = port;
		int b = address_listen(any[i], false, &same);
		assert_true(b >= 0);
		assert_int_equal(port, same);
		(void)snprintf(text, sizeof(text), "%.*s%u", (int)strlen(any[i]) - 1, any[i], port);
		same = 0;
		assert_int_equal(address_listen(text, true, &same), -EADDRINUSE);
		(void)close(a);
		(void)close(b);
	}
}

/* Whoever says all of IPv6 means all. */
static void all_is_ipv4_too(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	in_port_t port = 0;
	int fd = address_listen("[::]:0", true, &port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
		skip(); /* no IPv6 here */
	assert_true(fd >= 0);
	to.sin_port = htons(port);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	(void)close(client);
	(void)close(fd);
}

static void not_ours(void **state)
{
	in_port_t port = 0;

	(void)state;
	assert_int_equal(address_listen("192.0.2.1:80", true, &port), -EADDRNOTAVAIL);
}

static void paths(void **state)
{
	char dir[] = "/tmp/address-XXXXXX", path[64], file[64], longer[200];
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	(void)snprintf(file, sizeof(file), "%s/f", dir);
	(void)snprintf(longer, sizeof(longer), "%s/%0150d", dir, 0);

	fd = address_listen_path(path);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(address_listen_path(path), -EADDRINUSE);
	(void)close(fd); /* and leaves the socket there, as a dead server does */
	fd = address_listen_path(path);
	assert_true(fd >= 0);
	(void)close(fd);

	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(address_listen_path(file), -EADDRINUSE);
	assert_int_equal(address_listen_path(longer), -ENAMETOOLONG);
	assert_int_equal(address_listen_path("/nowhere/at/all"), -ENOENT);
	(void)unlink(path);
	(void)unlink(file);
	(void)rmdir(dir);
}

static void in_words(void **state)
{
	union address a = { .v4 = { .sin_family = AF_INET, .sin_port = htons(4711) } };
	char text[ADDRESS_TEXT];

	(void)state;
	a.v4.sin_addr.s_addr = htonl(0xc0000201);
	assert_string_equal(address_str(&a.any, text), "192.0.2.1:4711");
	memset(&a, 0, sizeof(a));
	a.v6.sin6_family = AF_INET6;
	a.v6.sin6_port = htons(1);
	a.v6.sin6_addr.s6_addr[15] = 1;
	assert_string_equal(address_str(&a.any, text), "[::1]:1");
}

/* Whose enrolments are counted together. */
static const struct {
	const char *why, *a, *b;
	bool same;
} networks[] = {
	{ "one host", "192.0.2.1", "192.0.2.1", true },
	{ "one /24", "192.0.2.1", "192.0.2.255", true },
	{ "another /24", "192.0.2.1", "192.0.3.1", false },
	{ "one /56", "2001:db8:1:ab00::1", "2001:db8:1:abff:1::2", true },
	{ "another /56", "2001:db8:1:ab00::1", "2001:db8:1:ac00::1", false },
	{ "IPv4 in IPv6 is IPv4", "::ffff:192.0.2.1", "192.0.2.9", true },
	{ "and not one IPv6 network", "::ffff:192.0.2.1", "::ffff:192.0.3.1", false },
	{ "IPv6 loopback is no IPv4", "::1", "::ffff:127.0.0.1", false },
};

static size_t network_of(const char *text, uint8_t out[ADDRESS_NETWORK])
{
	union address a = { 0 };
	bool v6 = strchr(text, ':') != NULL;

	memset(out, 0xee, ADDRESS_NETWORK);
	a.any.sa_family = v6 ? AF_INET6 : AF_INET;
	assert_int_equal(1,
		v6 ? inet_pton(AF_INET6, text, &a.v6.sin6_addr)
		   : inet_pton(AF_INET, text, &a.v4.sin_addr));
	return address_network(&a.any, out);
}

static void in_networks(void **state)
{
	union address other = { .any = { .sa_family = AF_UNIX } };
	uint8_t a[ADDRESS_NETWORK], b[ADDRESS_NETWORK];

	(void)state;
	for (size_t i = 0; i < COUNT(networks); i++) {
		size_t n = network_of(networks[i].a, a), m = network_of(networks[i].b, b);
		bool same = n == m && memcmp(a, b, n) == 0;
		if (n == 0 || m == 0 || same != networks[i].same)
			fail_msg("%s", networks[i].why);
	}
	assert_int_equal(address_network(&other.any, a), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(shared),
		cmocka_unit_test(all_is_ipv4_too),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(paths),
		cmocka_unit_test(in_words),
		cmocka_unit_test(in_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
