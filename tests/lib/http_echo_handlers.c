/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_echo.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define BODY_MAX     (16 * 1024)
#define UPLOAD_MAX   (4 * 1024 * 1024)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
	struct bytes part = bytes_of(echo.answer, echo.answer_bytes);
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
		(const char *)call->rest.p, (int)call->query.n, (const char *)call->query.p,
		(int)x.n, (const char *)x.p, call->head, call->body.n, ++*calls);
	reply(call, text, strlen(text));
	free(text);
}

static void get_big(struct http_call *call)
{
	const struct bytes part[] = { bytes_str("begin"), bytes_of(echo.big, echo.big_bytes),
		bytes_str("end") };
	struct http_answer answer = { .status = 200, .part = part, .n_parts = 3 };

	http_reply(call, &answer);
}

static void get_file(struct http_call *call)
{
	struct http_answer answer = { .type = "application/octet-stream", .etag = "\"x\"" };
	struct stat st;
	int fd = echo.file != NULL ? open(echo.file, O_RDONLY | O_CLOEXEC) : -1;

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

static void get_bye(struct http_call *call)
{
	struct http_answer answer = { .status = 200, .close = true };

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

	(void)usleep((useconds_t)l->delay_ms * 1000); /* too short a sleep is fine here */
	http_resume(l->call, answer_later, l);
	return NULL;
}

static void *later_thread(void *arg)
{
	(void)sleep_and_resume(arg);
	atomic_fetch_sub(&echo.threads, 1);
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
	atomic_fetch_add(&echo.threads, 1);
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

	http_front_each(echo.front, count_worker, &n);
	(void)snprintf(text, sizeof(text), "%u", n);
	reply(call, text, strlen(text));
}

static void stall_worker(void *user, unsigned worker, void *arg)
{
	(void)user, (void)worker;
	(void)usleep(*(const useconds_t *)arg); /* too short a sleep is fine here */
}

/* All workers do nothing for a while: what comes meanwhile, they find at once. */
static void get_stall(struct http_call *call)
{
	useconds_t us = 300 * 1000;

	http_front_each(echo.front, stall_worker, &us);
	reply(call, "", 0);
}

static void get_counts(struct http_call *call)
{
	char *all = mem_strdup("");

	for (enum http_count i = 0; i < HTTP_COUNT__COUNT; i++) {
		char *more = mem_printf("%s%s %lu\n", all, http_count_name(i),
			(unsigned long)http_front_count(echo.front, i));
		free(all);
		all = more;
	}
	reply(call, all, strlen(all));
	free(all);
}

void echo_closed(void *user, void *kept)
{
	(void)user;
	free(kept);
}

const struct http_route echo_routes[] = {
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
	{ "GET", "/bye", false, 0, get_bye },
	{ "POST", "/later", false, BODY_MAX, post_later },
};
const size_t echo_n_routes = COUNT(echo_routes);

/* On the main thread, beside the workers. */
const struct http_route echo_admin_routes[] = {
	{ "GET", "/counts", false, 0, get_counts },
	{ "GET", "/each", false, 0, get_each },
	{ "GET", "/stall", false, 0, get_stall },
};
const size_t echo_n_admin_routes = COUNT(echo_admin_routes);

/* A frame "later" is answered by a timer, "big" by a megabyte, any other by itself. */
static void frame_later(evutil_socket_t fd, short what, void *arg)
{
	struct bytes part = bytes_str("it is later");

	(void)fd, (void)what;
	frame_reply(arg, &part, 1);
}

void echo_frame(struct frame_call *call)
{
	const struct timeval soon = { .tv_usec = 200 * 1000 };
	struct bytes part[2] = { call->payload, bytes_str(call->uid == getuid() ? "" : "?") };
	int rc;

	if (bytes_eq(call->payload, bytes_str("later"))) {
		rc = event_base_once(echo.base, -1, EV_TIMEOUT, frame_later, call, &soon);
		assert(rc == 0);
		return;
	}
	if (bytes_eq(call->payload, bytes_str("big")))
		part[0] = bytes_of(echo.big, echo.big_bytes);
	frame_reply(call, part, 2);
}
