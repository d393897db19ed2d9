/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/loopback.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 16384u

struct http_request {
	char text[REQUEST_MAX + 1]; /* head and body */
	size_t len;
	char method[8], path[160];
	struct bytes body;
	uint64_t from;
};

static uint64_t header_number(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* False at the end of the connection. */
static bool read_request(int fd, struct http_request *r)
{
	const char *end = NULL;
	size_t head, body = 0;

	memset(r, 0, sizeof(*r));
	while (end == NULL || r->len < (size_t)(end - r->text) + 4 + body) {
		ssize_t n = recv(fd, r->text + r->len, REQUEST_MAX - r->len, 0);
		if (n <= 0)
			return false;
		r->len += (size_t)n;
		r->text[r->len] = '\0';
		if (end == NULL) {
			end = strstr(r->text, "\r\n\r\n");
			if (end != NULL)
				body = header_number(r->text, "\r\nContent-Length: ");
		}
	}
	head = (size_t)(end - r->text) + 4;
	r->body = bytes_of(r->text + head, body);
	r->from = header_number(r->text, "\r\nRange: bytes=");
	return sscanf(r->text, "%7s %159s", r->method, r->path) == 2;
}

static bool send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool trickle(int fd, struct bytes body, unsigned ms)
{
	const struct timespec pause = { 0, (long)ms * 1000000 };
	bool ok = true;

	for (size_t i = 0; ok && i < body.n; i++) {
		ok = send_all(fd, body.p + i, 1);
		(void)nanosleep(&pause, NULL); /* shorter does no harm */
	}
	return ok;
}

static bool answer(struct loopback *l, int fd, const struct http_request *r)
{
	static const uint8_t zeros[200000];
	bool hit = l->only == NULL || strncmp(r->path, l->only, strlen(l->only)) == 0;
	const char *redirect = hit ? l->redirect : NULL;
	size_t skip = strncmp(r->path, "/mirror", 7) == 0 ? 7 : 0;
	struct bytes body = { NULL, 0 };
	char head[512];
	int status, n;
	size_t send_n;

	l->requests++;
	l->server->now_s = (uint64_t)time(NULL);
	if (redirect != NULL)
		status = 307;
	else if (hit && l->status != 0)
		status = l->status;
	else if (strcmp(r->method, "GET") == 0)
		status = honest_file(
			l->server, r->path + skip, l->ignores_range ? 0 : r->from, &body);
	else
		status = honest_post(l->server, r->path, r->body, &body);
	assert(l->padding <= sizeof(zeros));
	n = snprintf(head, sizeof(head), "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n%s%s%s%s\r\n",
		status, body.n + (hit ? l->padding : 0), redirect != NULL ? "Location: " : "",
		redirect != NULL ? redirect : "", redirect != NULL ? "\r\n" : "",
		hit && l->header != NULL ? l->header : "");
	send_n = hit && l->cut_after > 0 && body.n > l->cut_after ? l->cut_after : body.n;
	if (hit && l->trickle_ms > 0)
		return send_all(fd, head, (size_t)n) && trickle(fd, body, l->trickle_ms);
	return send_all(fd, head, (size_t)n) && send_all(fd, body.p, send_n) && send_n == body.n &&
		send_all(fd, zeros, hit ? l->padding : 0);
}

static void *serve(void *ctx)
{
	struct loopback *l = ctx;
	struct http_request *r = malloc(sizeof(*r));
	int fd;

	assert(r != NULL);
	while ((fd = accept(l->listener, NULL, NULL)) >= 0) {
		for (bool more = true; more;) {
			more = read_request(fd, r);
			(void)pthread_mutex_lock(&l->lock);
			more = more && answer(l, fd, r);
			(void)pthread_mutex_unlock(&l->lock);
		}
		(void)close(fd);
	}
	free(r);
	return NULL;
}

void loopback_start(struct loopback *l, struct honest *server)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int err;

	*l = (struct loopback){ .server = server, .lock = PTHREAD_MUTEX_INITIALIZER };
	l->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(l->listener >= 0);
	err = bind(l->listener, (struct sockaddr *)&at, sizeof(at)) | listen(l->listener, 16) |
		getsockname(l->listener, (struct sockaddr *)&at, &n);
	assert(err == 0);
	(void)snprintf(l->url, sizeof(l->url), "http://127.0.0.1:%u", ntohs(at.sin_port));
	err = pthread_create(&l->thread, NULL, serve, l);
	assert(err == 0);
}

void loopback_stop(struct loopback *l)
{
	(void)shutdown(l->listener, SHUT_RDWR); /* ends accept() */
	(void)pthread_join(l->thread, NULL);
	(void)close(l->listener);
}

unsigned loopback_polls(struct loopback *l)
{
	unsigned n;

	(void)pthread_mutex_lock(&l->lock);
	n = l->server->polls;
	(void)pthread_mutex_unlock(&l->lock);
	return n;
}
