/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with handlers that show what the HTTP layer does; driven by test_http.py and
 * the benches.  Prints "NAME PORT" for each listener and then "ready"; on SIGTERM it
 * drains, prints all counters and ends.  SIGHUP reads the certificate again.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "server/http/frame.h"
#include "server/http/front.h"
#include "server/http/loop.h"
#include "server/http/tls.h"

#define BODY_MAX   (16 * 1024)
#define UPLOAD_MAX (4 * 1024 * 1024)

static struct {
	struct http_options options;
	struct frame_options frame;
	const char *listen, *admin, *certificate, *key, *file;
	uint64_t workers, nofile, answer_bytes;
	uint8_t *answer;
	char *big;
	size_t big_bytes;
	struct tls *tls;
	struct http_front *front;
	struct event_base *base;
} t = { .workers = 1, .answer_bytes = 2, .big_bytes = 8 * 1024 * 1024 };

static void reply(struct http_call *call, const void *p, size_t n)
{
	struct bytes part = bytes_of(p, n);
	struct http_answer answer = {
		.status = 200,
		.type = "application/octet-stream",
		.part = &part,
		.n_parts = 1,
	};

	http_reply(call, &answer);
}

static void get_plain(struct http_call *call)
{
	struct bytes part = bytes_of(t.answer, t.answer_bytes);
	struct http_answer answer = {
		.status = 200, .type = "text/plain", .part = &part, .n_parts = 1
	};

	http_reply(call, &answer);
}

static void post_echo(struct http_call *call)
{
	reply(call, call->body.p, call->body.n);
}

/* "rest|query|x-test|head|bytes of body|calls on this connection" */
static void show(struct http_call *call)
{
	struct bytes x = http_header(call, "X-Test");
	size_t *calls = call->kept != NULL ? call->kept : mem_zalloc(sizeof(*calls));
	char *text;

	call->kept = calls;
	text = mem_printf("%.*s|%.*s|%.*s|%d|%zu|%zu", (int)call->rest.n,
		(const char *)call->rest.p, (int)call->query.n,
		(const char *)call->query.p, (int)x.n, (const char *)x.p, call->head,
		call->body.n, ++*calls);
	reply(call, text, strlen(text));
	free(text);
}

static void get_big(struct http_call *call)
{
	const struct bytes part[] = { bytes_str("begin"), bytes_of(t.big, t.big_bytes),
		bytes_str("end") };
	struct http_answer answer = { .status = 200, .part = part, .n_parts = 3 };

	http_reply(call, &answer);
}

static void get_file(struct http_call *call)
{
	const struct http_header header = { "ETag", "\"x\"" };
	struct http_answer answer = {
		.type = "application/octet-stream", .header = &header, .n_headers = 1
	};
	struct stat st;
	int fd = t.file != NULL ? open(t.file, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &st) != 0)
		http_reply_error(call, 404);
	else
		http_reply_file(call, &answer, fd, (uint64_t)st.st_size);
}

/* Says the file is larger than it is. */
static void get_short(struct http_call *call)
{
	struct http_answer answer = { .type = NULL };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert(fd >= 0);
	http_reply_file(call, &answer, fd, 1000);
}

static void get_busy(struct http_call *call)
{
	struct http_answer answer = { .status = 503, .retry_after_s = 7 };

	http_reply(call, &answer);
}

static void get_nothing(struct http_call *call)
{
	struct http_answer answer = { .status = 204 };

	http_reply(call, &answer);
}

/* Another thread answers after the milliseconds of the query. */
struct later {
	struct http_call *call;
	uint64_t delay_ms;
	char *body;
	size_t n;
};

static void answer_later(struct http_call *call, void *arg)
{
	struct later *l = arg;

	reply(call, l->body, l->n);
	free(l->body);
	free(l);
}

static void *sleep_and_resume(void *arg)
{
	struct later *l = arg;

	(void)usleep(
		(useconds_t)l->delay_ms * 1000); /* too short a sleep is fine here */
	http_resume(l->call, answer_later, l);
	return NULL;
}

static atomic_int threads;

static void *later_thread(void *arg)
{
	(void)sleep_and_resume(arg);
	atomic_fetch_sub(&threads, 1);
	return NULL;
}

static void post_later(struct http_call *call)
{
	struct later *l = mem_zalloc(sizeof(*l));
	char *ms = mem_zalloc(call->query.n + 1);
	pthread_t thread;
	int rc;

	memcpy(ms, call->query.p, call->query.n);
	l->call = call;
	if (!text_u64(ms, &l->delay_ms))
		l->delay_ms = 0;
	free(ms);
	l->body = mem_dup(call->body.p, call->body.n);
	l->n = call->body.n;
	http_defer(call);
	atomic_fetch_add(&threads, 1);
	rc = pthread_create(&thread, NULL, later_thread, l);
	assert(rc == 0);
	rc = pthread_detach(thread);
	assert(rc == 0);
}

/* How many workers took part, each on its own thread. */
static void count_worker(void *user, unsigned worker, void *arg)
{
	(void)user, (void)worker;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void get_each(struct http_call *call)
{
	atomic_uint n = 0;
	char text[16];

	http_front_each(t.front, count_worker, &n);
	(void)snprintf(text, sizeof(text), "%u", n);
	reply(call, text, strlen(text));
}

static void get_counts(struct http_call *call)
{
	char *all = mem_strdup("");

	for (enum http_count i = 0; i < HTTP_COUNT__COUNT; i++) {
		char *more = mem_printf("%s%s %lu\n", all, http_count_name(i),
			(unsigned long)http_front_count(t.front, i));
		free(all);
		all = more;
	}
	reply(call, all, strlen(all));
	free(all);
}

static void closed(void *user, void *kept)
{
	(void)user;
	free(kept);
}

static const struct http_route routes[] = {
	{ "GET", "/plain", false, 0, get_plain },
	{ "POST", "/echo", false, BODY_MAX, post_echo },
	{ "PUT", "/echo", false, 4, post_echo },
	{ "POST", "/upload", false, UPLOAD_MAX, post_echo },
	{ "GET", "/show/", true, BODY_MAX, show },
	{ "POST", "/show/", true, BODY_MAX, show },
	{ "GET", "/big", false, 0, get_big },
	{ "GET", "/file", false, 0, get_file },
	{ "GET", "/short", false, 0, get_short },
	{ "GET", "/busy", false, 0, get_busy },
	{ "GET", "/nothing", false, 0, get_nothing },
	{ "POST", "/later", false, BODY_MAX, post_later },
};

/* On the main thread, beside the workers. */
static const struct http_route admin_routes[] = {
	{ "GET", "/counts", false, 0, get_counts },
	{ "GET", "/each", false, 0, get_each },
};

/* A frame "later" is answered by a timer, "big" by a megabyte, any other by itself. */
static void frame_later(evutil_socket_t fd, short what, void *arg)
{
	struct bytes part = bytes_str("it is later");

	(void)fd, (void)what;
	frame_reply(arg, &part, 1);
}

static void on_frame(struct frame_call *call)
{
	const struct timeval soon = { .tv_usec = 200 * 1000 };
	struct bytes part[2] = { call->payload,
		bytes_str(call->uid == getuid() ? "" : "?") };
	int rc;

	if (bytes_eq(call->payload, bytes_str("later"))) {
		rc = event_base_once(t.base, -1, EV_TIMEOUT, frame_later, call, &soon);
		assert(rc == 0);
		return;
	}
	if (bytes_eq(call->payload, bytes_str("big")))
		part[0] = bytes_of(t.big, t.big_bytes);
	frame_reply(call, part, 2);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	(void)event_base_loopbreak(t.base); /* fails only without a base */
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	char error[TLS_ERROR_MAX];

	(void)fd, (void)what, (void)arg;
	if (t.tls != NULL && tls_reload(t.tls, error) != 0)
		log_error("%s", error);
	else
		log_info("reloaded");
}

#define LIMIT(name)                                                                    \
	{                                                                              \
#		name, &t.options.limits.name                                          \
	}
static const struct {
	const char *name;
	uint32_t *to;
} limits[] = {
	LIMIT(handshake_ms),
	LIMIT(headers_ms),
	LIMIT(body_ms),
	LIMIT(request_ms),
	LIMIT(idle_ms),
	LIMIT(file_window_ms),
	LIMIT(file_window_bytes),
	LIMIT(linger_ms),
	LIMIT(drain_ms),
	LIMIT(headers_max),
	LIMIT(connections_max),
};

static const struct {
	const char *name;
	const char **to;
} words[] = {
	{ "listen", &t.listen },
	{ "admin", &t.admin },
	{ "certificate", &t.certificate },
	{ "key", &t.key },
	{ "file", &t.file },
	{ "frame", &t.frame.path },
};

static const struct {
	const char *name;
	uint64_t *to;
} numbers[] = {
	{ "workers", &t.workers },
	{ "nofile", &t.nofile },
	{ "answer_bytes", &t.answer_bytes },
	{ "big_bytes", &t.big_bytes },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
		if (strlen(numbers[i].name) == n &&
			strncmp(arg, numbers[i].name, n) == 0)
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

static struct http_server *open_all(struct frame_server **frames)
{
	struct http_options admin = { .route = admin_routes,
		.n_routes = COUNT(admin_routes) };
	struct http_server *server = http_server_new(t.base, &admin);
	char error[HTTP_ERROR_MAX];
	int port;

	if (t.certificate != NULL && tls_open(t.certificate, t.key, &t.tls, error) != 0)
		fail(error);
	t.front = http_front_new(&t.options, (unsigned)t.workers);
	port = http_front_listen(t.front, t.listen, NULL, error);
	if (port < 0)
		fail(error);
	(void)printf("plain %d\n", port);
	if (t.tls != NULL) {
		port = http_front_listen(t.front, "127.0.0.1:0", t.tls, error);
		if (port < 0)
			fail(error);
		(void)printf("tls %d\n", port);
	}
	port = http_server_listen(server, t.admin, NULL, error);
	if (port < 0)
		fail(error);
	(void)printf("admin %d\n", port);
	if (t.frame.path != NULL &&
		frame_server_open(t.base, &t.frame, frames, error) != 0)
		fail(error);
	return server;
}

int main(int argc, char **argv)
{
	struct frame_server *frames = NULL;
	struct http_server *server;
	struct event *stop, *hup;
	int rc;

	log_init("http_echo", LOG_LEVEL_INFO);
	t.listen = t.admin = "127.0.0.1:0";
	t.options.route = routes;
	t.options.n_routes = COUNT(routes);
	t.options.closed = closed;
	t.frame.handler = on_frame;
	t.frame.max_bytes = 1024 * 1024;
	t.frame.clients_max = 8;
	t.frame.deadline_ms = 1000;
	for (int i = 1; i < argc; i++)
		set(argv[i]);
	t.answer = mem_alloc(t.answer_bytes);
	memset(t.answer, 'a', t.answer_bytes);
	t.big = mem_alloc(t.big_bytes);
	for (size_t i = 0; i < t.big_bytes; i++)
		t.big[i] = (char)('a' + i % 23);
	t.base = loop_new();
	stop = event_new(t.base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_stop, NULL);
	hup = event_new(t.base, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, NULL);
	loop_add(stop, NULL);
	loop_add(hup, NULL);
	server = open_all(&frames);
	if (t.nofile > 0) {
		struct rlimit limit = { t.nofile, t.nofile };
		rc = setrlimit(RLIMIT_NOFILE, &limit);
		assert(rc == 0);
	}
	rc = http_front_start(t.front);
	assert(rc == 0);
	(void)printf("ready\n");
	(void)fflush(stdout);
	rc = event_base_dispatch(t.base);
	assert(rc == 0);

	http_front_stop(t.front);
	while (atomic_load(&threads) > 0)
		(void)usleep(1000); /* too short a sleep is fine here */
	for (enum http_count i = 0; i < HTTP_COUNT__COUNT; i++)
		(void)printf("%s %lu\n", http_count_name(i),
			(unsigned long)http_front_count(t.front, i));
	http_front_free(t.front);
	http_server_free(server);
	frame_server_close(frames);
	tls_close(t.tls);
	event_free(stop);
	event_free(hup);
	event_base_free(t.base);
	free(t.answer);
	free(t.big);
	return 0;
}
