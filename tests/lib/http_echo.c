/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with handlers that show what the HTTP layer does; driven by test_http.py and
 * the benches.  Prints "NAME PORT" for each listener and then "ready"; on SIGTERM it
 * drains, prints all counters and ends.  SIGHUP reads the certificate again.
 */
#include "http_echo.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/network.h"
#include "server/base/text.h"
#include "server/http/loop.h"
#include "server/http/tls.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct echo echo = {
	.options = { .closed = echo_closed },
	.frame = { .max_bytes = 1024 * 1024,
		.clients_max = 8,
		.deadline_ms = 1000,
		.handler = echo_frame },
	.listen = "127.0.0.1:0",
	.admin = "127.0.0.1:0",
	.workers = 1,
	.answer_bytes = 2,
	.big_bytes = 8 * 1024 * 1024,
};

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	(void)event_base_loopbreak(echo.base); /* fails only without a base */
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	char error[TLS_ERROR_MAX];

	(void)fd, (void)what, (void)arg;
	if (echo.tls != NULL && tls_reload(echo.tls, error) != 0)
		log_error("%s", error);
	else
		log_info("reloaded");
}

/* clang-format off */
#define LIMIT(name) { #name, &echo.options.limits.name }
/* clang-format on */
static const struct {
	const char *name;
	uint32_t *to;
} limits[] = {
	LIMIT(accept_ms),
	LIMIT(handshake_ms),
	LIMIT(headers_ms),
	LIMIT(body_ms),
	LIMIT(request_ms),
	LIMIT(idle_ms),
	LIMIT(grace_ms),
	LIMIT(file_window_ms),
	LIMIT(file_window_bytes),
	LIMIT(linger_ms),
	LIMIT(drain_ms),
	LIMIT(headers_max),
	LIMIT(connections_max),
	LIMIT(per_prefix),
};

static const struct {
	const char *name;
	const char **to;
} words[] = {
	{ "listen", &echo.listen },
	{ "admin", &echo.admin },
	{ "certificate", &echo.tls_files.certificate },
	{ "key", &echo.tls_files.key },
	{ "tickets", &echo.tls_files.tickets },
	{ "file", &echo.file },
	{ "frame", &echo.frame.path },
	{ "proxy", &echo.proxy },
};

static const struct {
	const char *name;
	uint64_t *to;
} numbers[] = {
	{ "workers", &echo.workers },
	{ "nofile", &echo.nofile },
	{ "inherit", &echo.inherit },
	{ "answer_bytes", &echo.answer_bytes },
	{ "big_bytes", &echo.big_bytes },
	{ "total_bytes_s", &echo.total_bytes_s },
	{ "each_bytes_s", &echo.each_bytes_s },
};

/* name=value */
static void set(const char *arg)
{
	const char *value = strchr(arg, '=');
	size_t n = value != NULL ? (size_t)(value - arg) : 0;
	uint64_t number = 0;

	assert(value++ != NULL);
	for (size_t i = 0; i < COUNT(words); i++)
		if (strlen(words[i].name) == n && strncmp(arg, words[i].name, n) == 0) {
			*words[i].to = value;
			return;
		}
	assert(text_u64(value, &number));
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (strlen(numbers[i].name) == n && strncmp(arg, numbers[i].name, n) == 0)
			*numbers[i].to = number;
	for (size_t i = 0; i < COUNT(limits); i++)
		if (strlen(limits[i].name) == n && strncmp(arg, limits[i].name, n) == 0)
			*limits[i].to = (uint32_t)number;
}

static void fail(const char *error)
{
	(void)fprintf(stderr, "%s\n", error);
	exit(1);
}

static void say(const char *name, int port, const char *error)
{
	if (port < 0)
		fail(error);
	(void)printf("%s %d\n", name, port);
}

static struct http_server *open_all(struct frame_server **frames)
{
	struct http_options admin = { .route = echo_admin_routes, .n_routes = echo_n_admin_routes };
	struct http_server *server = http_server_new(echo.base, &admin);
	char error[HTTP_ERROR_MAX];

	if (echo.tls_files.certificate != NULL && tls_open(&echo.tls_files, &echo.tls, error) != 0)
		fail(error);
	echo.front = http_front_new(&echo.options, (unsigned)echo.workers);
	http_front_bandwidth(echo.front, echo.total_bytes_s, echo.each_bytes_s);
	say("plain", http_front_listen(echo.front, echo.listen, NULL, error), error);
	if (echo.tls != NULL)
		say("tls", http_front_listen(echo.front, "127.0.0.1:0", echo.tls, error), error);
	if (echo.inherit > 0 && http_front_adopt(echo.front, (int)echo.inherit, NULL) != 0)
		fail("inherit: no listening socket");
	say("admin", http_server_listen(server, echo.admin, NULL, error), error);
	if (echo.frame.path != NULL &&
		frame_server_open(echo.base, &echo.frame, frames, error) != 0)
		fail(error);
	return server;
}

static void make_bytes(void)
{
	echo.answer = mem_alloc(echo.answer_bytes);
	memset(echo.answer, 'a', echo.answer_bytes);
	echo.big = mem_alloc(echo.big_bytes);
	for (size_t i = 0; i < echo.big_bytes; i++)
		echo.big[i] = (uint8_t)('a' + i % 23);
}

static void run(void)
{
	struct rlimit limit = { echo.nofile, echo.nofile };
	int rc = echo.nofile > 0 ? setrlimit(RLIMIT_NOFILE, &limit) : 0;

	assert(rc == 0);
	rc = http_front_start(echo.front);
	assert(rc == 0);
	(void)printf("ready\n");
	(void)fflush(stdout);
	rc = event_base_dispatch(echo.base);
	assert(rc == 0);
	http_front_stop(echo.front);
	while (atomic_load(&echo.threads) > 0)
		(void)usleep(1000); /* too short a sleep is fine here */
	for (enum http_count i = 0; i < HTTP_COUNT__COUNT; i++)
		(void)printf("%s %lu\n", http_count_name(i),
			(unsigned long)http_front_count(echo.front, i));
}

int main(int argc, char **argv)
{
	struct frame_server *frames = NULL;
	struct http_server *server;
	struct event *stop, *hup;
	struct network proxy;

	log_init("http_echo", LOG_LEVEL_INFO);
	echo.options.route = echo_routes;
	echo.options.n_routes = echo_n_routes;
	for (int i = 1; i < argc; i++)
		set(argv[i]);
	if (echo.proxy != NULL && network_read(echo.proxy, &proxy) != 0)
		fail("proxy: no network");
	echo.options.proxy = &proxy;
	echo.options.n_proxies = echo.proxy != NULL;
	make_bytes();
	echo.base = loop_new();
	stop = event_new(echo.base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_stop, NULL);
	hup = event_new(echo.base, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, NULL);
	loop_add(stop, NULL);
	loop_add(hup, NULL);
	server = open_all(&frames);
	run();
	http_front_free(echo.front);
	http_server_free(server);
	frame_server_close(frames);
	tls_close(echo.tls);
	event_free(stop);
	event_free(hup);
	event_base_free(echo.base);
	free(echo.answer);
	free(echo.big);
	return 0;
}
