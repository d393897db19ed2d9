/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl transport, against a server on the loopback. */
#include "client-sdk/curl/huidu_curl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/loopback.h"
#include "tests/lib/phone.h"

#define HOUR        3600000u
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

struct wired {
	struct loopback l;
	struct phone *p;
	struct huidu_curl *curl;
};

/* The phone's http hook: its ctx is the phone, and there is one. */
static struct wired *wired;

static int on_http(void *ctx, const struct huidu_request *request)
{
	(void)ctx;
	return huidu_curl_http(wired->curl, wired->p->h, request);
}

static int set_up(void **state)
{
	struct wired *w = calloc(1, sizeof(*w));
	struct honest *s = honest_new((uint64_t)time(NULL));

	assert_non_null(w);
	*state = wired = w;
	loopback_start(&w->l, s);
	w->p = phone_new(s);
	w->p->clock_ms = (uint64_t)time(NULL) * 1000;
	w->p->platform.http = on_http;
	w->curl = huidu_curl_new(w->l.url, NULL);
	return w->curl != NULL && phone_start(w->p) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct wired *w = *state;
	struct honest *s = w->p->server;

	huidu_curl_free(w->curl);
	loopback_stop(&w->l);
	phone_free(w->p);
	honest_free(s);
	free(w);
	return 0;
}

static void offer(struct wired *w)
{
	struct honest *s = w->p->server;

	honest_add_offer(s, honest_add_build(s, "b2", 2, 100000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

static void installs(struct wired *w)
{
	phone_run(w->p, HOUR / 2);
	assert_string_equal(w->p->slot.build_id, "b2");
	assert_memory_equal(w->p->file, w->p->server->builds[0].file, 100000);
	assert_int_equal(honest_count(w->p->server, EVENT(BOOT_OK), "b2"), 1);
}

static void whole_life(void **state)
{
	offer(*state);
	installs(*state);
}

static void broken_connections(void **state)
{
	struct wired *w = *state;

	offer(w);
	w->l.only = "/v1/artifact";
	w->l.cut_after = 40000;
	installs(w);
	assert_int_equal(w->p->server->fetches, 3);
	assert_int_equal(w->p->server->range_from, 80000);
}

static void no_ranges(void **state)
{
	struct wired *w = *state;

	offer(w);
	w->l.only = "/v1/artifact";
	w->l.cut_after = 40000;
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).fetched, 40000);
	w->l.cut_after = 0;
	w->l.ignores_range = true;
	installs(w);
	assert_int_equal(w->p->server->fetches, 2);
}

static void busy(void **state)
{
	struct wired *w = *state;

	phone_settle(w->p);
	w->l.status = 503;
	w->l.header = "Retry-After: 7000\r\n";
	phone_poll(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	assert_in_range(w->p->next_ms - w->p->clock_ms, 7000000, 8400000);
}

/* The error page is not the file. */
static void error_page(void **state)
{
	struct wired *w = *state;

	offer(w);
	w->l.only = "/v1/artifact";
	w->l.status = 404;
	w->l.padding = 200000;
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	assert_int_equal(w->p->file_len, 0);
	w->l.status = 0;
	w->l.padding = 0;
	installs(w);
}

static void too_big(void **state)
{
	struct wired *w = *state;

	phone_settle(w->p);
	w->l.padding = 200000;
	phone_poll(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_ETOOBIG);
	w->l.padding = 0;
	phone_poll(w->p);
	assert_int_equal(phone_status(w->p).last_error, 0);
}

static void too_long(void **state)
{
	struct wired *w = *state;

	offer(w);
	w->l.only = "/v1/artifact";
	w->l.padding = 1;
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_ETOOBIG);
	assert_true(w->p->file_len <= 100000);
}

/* A GET may be sent elsewhere, a POST not; nor a GET to another scheme. */
static void redirects(void **state)
{
	struct wired *w = *state;
	char hex[65], path[256];
	unsigned polls, fetches;

	offer(w);
	w->l.only = "/v1/artifact";
	w->l.redirect = "ftp://127.0.0.1/x";
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	w->l.redirect = "file:///etc/hostname";
	huidu_poll_now(w->p->h);
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	assert_int_equal(w->p->file_len, 0);

	(void)snprintf(path, sizeof(path), "/v1/artifact/%s",
		hex_encode(hex, w->p->server->builds[0].sha256, 32));
	w->l.only = "/v1/poll";
	w->l.redirect = path;
	polls = w->p->server->polls;
	fetches = w->p->server->fetches;
	phone_step(w->p); /* still waits */
	huidu_poll_now(w->p->h);
	assert_int_equal(phone_step(w->p), HUIDU_EUNREACHABLE);
	assert_int_equal(w->p->server->polls, polls);
	assert_int_equal(w->p->server->fetches, fetches);
	w->l.redirect = NULL;
	installs(w);
}

static void elsewhere(void **state)
{
	struct wired *w = *state;
	char hex[65], url[256];

	offer(w);
	(void)snprintf(url, sizeof(url), "%s/mirror/v1/artifact/%s", w->l.url,
		hex_encode(hex, w->p->server->builds[0].sha256, 32));
	w->l.only = "/v1/artifact";
	w->l.cut_after = 40000;
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).fetched, 40000);
	w->l.cut_after = 0;
	w->l.redirect = url;
	installs(w);
	assert_int_equal(w->p->server->fetches, 2);
	assert_int_equal(w->p->server->range_from, 40000);
}

/* Takes one connection and ends it. */
static void *knock(void *ctx)
{
	int *listener = ctx;
	int fd = accept(*listener, NULL, NULL);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0 ? ctx : NULL;
}

/* From http to https it goes. */
static void upwards(void **state)
{
	struct wired *w = *state;
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;
	void *knocked = NULL;
	char url[64];

	offer(w);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
	assert_int_equal(pthread_create(&thread, NULL, knock, &listener), 0);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", ntohs(at.sin_port));
	w->l.redirect = url;
	w->l.only = "/v1/artifact";
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	assert_int_equal(shutdown(listener, SHUT_RDWR), 0); /* ends accept() */
	assert_int_equal(pthread_join(thread, &knocked), 0);
	assert_non_null(knocked);
	assert_int_equal(close(listener), 0);
}

static void nobody_there(void **state)
{
	struct wired *w = *state;
	struct huidu_curl *real = w->curl;

	phone_settle(w->p);
	/* A port that was just given back, on which nobody listens. */
	w->curl = huidu_curl_new("http://127.0.0.1:1", NULL);
	phone_poll(w->p);
	assert_int_equal(phone_status(w->p).last_error, HUIDU_EUNREACHABLE);
	huidu_curl_free(w->curl);
	w->curl = real;
	phone_poll(w->p);
	assert_int_equal(phone_status(w->p).last_error, 0);
}

static void addresses(void **state)
{
	static const struct {
		const char *url;
		bool good;
	} cases[] = {
		{ "https://a", true },
		{ "HTTPS://a.example:8443/", true },
		{ "http://[::1]:80", true },
		{ "ftp://a", false },
		{ "file:///etc/passwd", false },
		{ "httpss://a", false },
		{ "https:/a", false },
		{ "https://", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct huidu_curl *c = huidu_curl_new(cases[i].url, "/nonexistent");
		assert_int_equal(c != NULL, cases[i].good);
		if (c != NULL)
			huidu_curl_free(c);
	}
}

/*
 * openssl(1) as a TLS server that answers every GET with a page, on a port of its
 * choice.
 */
struct tls {
	pid_t pid;
	char dir[32], key[64], certificate[64], url[64];
};

static pid_t spawn(const char *const argv[], int out)
{
	union {
		const char *const *in;
		char *const *out;
	} u = { argv };
	pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(out, STDOUT_FILENO);
		(void)fclose(stderr);
		(void)execvp(u.out[0], u.out);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void tls_certificate(struct tls *t)
{
	const char *const argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
		"-addext", "subjectAltName=IP:127.0.0.1", "-keyout", t->key, "-out", t->certificate,
		NULL };
	int status;

	(void)strcpy(t->dir, "/tmp/huidu-tls-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	(void)snprintf(t->key, sizeof(t->key), "%s/key", t->dir);
	(void)snprintf(t->certificate, sizeof(t->certificate), "%s/cert", t->dir);
	assert_true(waitpid(spawn(argv, STDERR_FILENO), &status, 0) > 0);
	assert_int_equal(status, 0);
}

static void tls_start(struct tls *t)
{
	const char *const argv[] = { "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
		t->certificate, "-key", t->key, "-www", NULL };
	char line[256] = "";
	unsigned port = 0;
	int out[2];
	FILE *f;

	tls_certificate(t);
	assert_int_equal(pipe(out), 0);
	t->pid = spawn(argv, out[1]);
	(void)close(out[1]);
	f = fdopen(out[0], "r");
	assert_non_null(f);
	while (port == 0 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "ACCEPT 127.0.0.1:%u", &port) != 1)
			port = 0;
	(void)fclose(f);
	assert_true(port > 0);
	(void)snprintf(t->url, sizeof(t->url), "https://127.0.0.1:%u", port);
}

static void tls_stop(struct tls *t)
{
	(void)kill(t->pid, SIGKILL);
	(void)waitpid(t->pid, NULL, 0);
	(void)unlink(t->key);
	(void)unlink(t->certificate);
	(void)rmdir(t->dir);
}

/* Who does not have the certificate it should is not talked to. */
static void tls(void **state)
{
	struct wired *w = *state;
	struct huidu_curl *plain = w->curl;
	struct tls t;

	tls_start(&t);
	w->l.only = "/v1/artifact";
	w->l.status = 404;
	offer(w);
	phone_settle(w->p);
	assert_int_equal(phone_status(w->p).phase, HUIDU_FETCHING);
	for (int trusted = 0; trusted < 2; trusted++) {
		w->curl = huidu_curl_new(t.url, trusted ? t.certificate : NULL);
		w->p->clock_ms = w->p->next_ms;
		assert_int_equal(phone_step(w->p), HUIDU_EUNREACHABLE);
		assert_int_equal(phone_status(w->p).fetched > 0, trusted);
		huidu_curl_free(w->curl);
	}
	w->curl = plain;
	tls_stop(&t);
}

/* A byte at a time: given up, and named; the next honest answer is taken. */
static void slow(void **state)
{
	static const char *const paths[] = { "/v1/poll", "/v1/artifact" };
	struct wired *w = *state;

	phone_settle(w->p);
	offer(w);
	huidu_curl_least_rate(w->curl, 1000, 1);
	w->l.trickle_ms = 20;
	for (size_t i = 0; i < 2; i++) {
		w->l.only = paths[i];
		phone_poll(w->p);
		assert_int_equal(phone_status(w->p).last_error, HUIDU_ESLOW);
	}
	w->l.only = NULL;
	w->l.trickle_ms = 0;
	installs(w);
}

int main(void)
{
#define WIRED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WIRED(whole_life),
		WIRED(broken_connections),
		WIRED(no_ranges),
		WIRED(busy),
		WIRED(error_page),
		WIRED(too_big),
		WIRED(slow),
		WIRED(too_long),
		WIRED(redirects),
		WIRED(upwards),
		WIRED(elsewhere),
		WIRED(nobody_there),
		WIRED(tls),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
