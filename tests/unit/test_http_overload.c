/* SPDX-License-Identifier: Apache-2.0 */
/* A server all of whose connections are taken: who waits outside is not heard, and that is said. */
#include "unit.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/server.h"

#define ACCEPT_MS 300u
#define LOOKS     100u /* ten seconds of them, at most */

static struct {
	struct event_base *base;
	unsigned looks, most, unheard;
	bool stop_at; /* the first look that says so, or no longer does */
} t;

static bool looked(void *user, unsigned worker, const struct http_load *load)
{
	(void)user, (void)worker;
	t.looks++;
	t.unheard += load->unheard;
	if (t.looks == t.most || load->unheard == t.stop_at)
		assert_int_equal(event_base_loopbreak(t.base), 0);
	return true;
}

/* Looks until one says `unheard`, at most so many. */
static void look_until(bool unheard, unsigned most)
{
	t.looks = t.unheard = 0;
	t.most = most;
	t.stop_at = unheard;
	assert_int_equal(event_base_dispatch(t.base), 0);
}

static int client(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void test_unheard(void **state)
{
	struct http_options options = {
		.limits = { .connections_max = 1,
			.accept_ms = ACCEPT_MS,
			.grace_ms = 60000,
			.headers_ms = 60000,
			.request_ms = 60000 },
		.looked = looked,
	};
	char error[HTTP_ERROR_MAX];
	struct http_server *s;
	int port, here, waits;

	(void)state;
	t.base = loop_new();
	s = http_server_new(t.base, &options);
	port = http_server_listen(s, "127.0.0.1:0", NULL, error);
	assert_true(port > 0);
	here = client(port);
	look_until(true, 10); /* full, but nobody waits */
	assert_int_equal(t.unheard, 0);
	waits = client(port);
	look_until(true, LOOKS);
	assert_int_equal(t.unheard, 1);
	assert_true(t.looks >= ACCEPT_MS / OVERLOAD_LOOK_MS);
	(void)close(here);
	look_until(false, LOOKS);
	assert_int_equal(t.looks - t.unheard, 1);
	(void)close(waits);
	look_until(true, 10);
	assert_int_equal(t.unheard, 0);
	http_server_free(s);
	event_base_free(t.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unheard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
