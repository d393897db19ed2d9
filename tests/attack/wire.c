/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
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
static bool read_request(int fd, struct http_request *q)
{
	const char *end = NULL;
	size_t head, body = 0;

	memset(q, 0, sizeof(*q));
	while (end == NULL || q->len < (size_t)(end - q->text) + 4 + body) {
		ssize_t n = recv(fd, q->text + q->len, REQUEST_MAX - q->len, 0);
		if (n <= 0)
			return false;
		q->len += (size_t)n;
		if (end == NULL && (end = strstr(q->text, "\r\n\r\n")) != NULL)
			body = header_number(q->text, "\r\nContent-Length: ");
	}
	head = (size_t)(end - q->text) + 4;
	q->body = bytes_of(q->text + head, body);
	q->from = header_number(q->text, "\r\nRange: bytes=");
	return sscanf(q->text, "%7s %159s", q->method, q->path) == 2;
}

static bool send_all(int fd, struct bytes data)
{
	while (data.n > 0) {
		ssize_t sent = send(fd, data.p, data.n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		data = bytes_of(data.p + sent, data.n - (size_t)sent);
	}
	return true;
}

static bool drip(int fd, struct bytes data, unsigned pause_ms)
{
	const struct timespec pause = { pause_ms / 1000, pause_ms % 1000 * 1000000L };

	for (size_t i = 0; i < data.n; i++) {
		if (!send_all(fd, bytes_of(data.p + i, 1)))
			return false;
		(void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
	}
	return true;
}

static int ask(struct wire *w, const struct http_request *q, struct bytes *body)
{
	if (strcmp(q->method, "GET") == 0)
		return repo_file(w->repo, q->path, q->from, body);
	return repo_post(w->repo, q->path, q->body, body);
}

static void keep(struct wire *w, struct bytes body)
{
	uint8_t *copy = repo_take(&w->repo->kept, body.n);

	memcpy(copy, body.p, body.n);
	*w->recorded = bytes_of(copy, body.n);
	w->recorded = NULL;
}

static bool is_odd(const char *path)
{
	static const char *const known[] = { "/v1/enroll", "/v1/poll", "/v1/report", "/v1/grant",
		"/v1/time" };
	uint8_t sha256[SHA256_LEN];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(path, known[i]) == 0)
			return false;
	return strncmp(path, "/v1/artifact/", 13) != 0 ||
		!hex_decode(sha256, SHA256_LEN, path + 13);
}

static bool answer(struct wire *w, int fd, const struct http_request *q)
{
	static const uint8_t zeros[200000];
	bool hit = w->only == NULL || strncmp(q->path, w->only, strlen(w->only)) == 0;
	size_t padding = hit ? w->padding : 0;
	struct bytes body = { NULL, 0 };
	char head[512], length[64] = "Connection: close\r\n";
	int status;

	w->requests++;
	w->odd_paths += is_odd(q->path);
	status = ask(w, q, &body);
	if (hit && w->status != 0)
		status = w->status;
	if (hit && w->body.n > 0)
		body = w->body;
	if (hit && w->recorded != NULL)
		keep(w, body);
	assert(padding <= sizeof(zeros));
	if (!hit || !w->endless)
		(void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", body.n + padding);
	(void)snprintf(head, sizeof(head), "HTTP/1.1 %d x\r\n%s%s\r\n", status, length,
		hit && w->header != NULL ? w->header : "");
	if (!send_all(fd, bytes_str(head)))
		return false;
	if (hit && w->pause_ms > 0)
		return drip(fd, body, w->pause_ms);
	if (!send_all(fd, body) || !send_all(fd, bytes_of(zeros, padding)))
		return false;
	while (hit && w->endless)
		if (!send_all(fd, bytes_of(zeros, sizeof(zeros))))
			return false;
	return true;
}

static void *serve(void *ctx)
{
	struct wire *w = ctx;
	struct http_request *q = malloc(sizeof(*q));
	int fd, on = 1;

	assert(q != NULL);
	while ((fd = accept(w->listener, NULL, NULL)) >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* faster */
		while (read_request(fd, q) && answer(w, fd, q))
			;
		(void)close(fd);
	}
	free(q);
	return NULL;
}

void wire_start(struct wire *w, struct repo *repo)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int err;

	*w = (struct wire){ .repo = repo };
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(w->listener >= 0);
	err = bind(w->listener, (struct sockaddr *)&at, sizeof(at)) | listen(w->listener, 16) |
		getsockname(w->listener, (struct sockaddr *)&at, &n);
	assert(err == 0);
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", ntohs(at.sin_port));
	err = pthread_create(&w->thread, NULL, serve, w);
	assert(err == 0);
}

void wire_stop(struct wire *w)
{
	(void)shutdown(w->listener, SHUT_RDWR); /* ends accept() */
	(void)pthread_join(w->thread, NULL);
	(void)close(w->listener);
}

void wire_be_honest(struct wire *w)
{
	w->only = w->header = NULL;
	w->status = 0;
	w->padding = 0;
	w->pause_ms = 0;
	w->endless = false;
	w->body = bytes_of(NULL, 0);
}
