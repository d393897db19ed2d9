/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/store/loader.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/store/store.h"
#include "server/base/mem.h"

#define CONNECTIONS 32u
#define TIMES_MAX   4000000u
#define PATIENCE_US 20e6

struct loader {
	loader_request *request;
	void *arg;
	uint64_t draws;
	int fd[CONNECTIONS];
	double sent_us[CONNECTIONS];
	float *times_us;
	size_t answered;
};

static int dial(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	must(fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ? ERR_BUSY : 0,
		"connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* slower without it */
	return fd;
}

static void ask(struct loader *l, unsigned c)
{
	char request[LOADER_REQUEST_MAX];
	size_t n;

	l->draws = l->draws * 6364136223846793005u + 1442695040888963407u;
	n = l->request(l->arg, l->draws >> 24, request);
	l->sent_us[c] = now_us();
	must(write(l->fd[c], request, n) == (ssize_t)n ? 0 : ERR_BUSY, "send");
}

/* Bytes of it; 0: not known yet.  204 has no length. */
static size_t whole_of(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	const char *length = strcasestr(answer, "content-length: ");

	if (body == NULL)
		return 0;
	return (size_t)(body + 4 - answer) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
}

/* Without sleeping: to wake us would be the server's work, and the more of it the slower it is. */
static void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	double end_us = now_us() + PATIENCE_US;

	while (poll(&p, 1, 0) == 0)
		must(now_us() < end_us ? 0 : ERR_BUSY, "no answer");
}

static void read_answer(struct loader *l, unsigned c)
{
	char answer[16384];
	size_t got = 0, whole = 0;

	while (whole == 0 || got < whole) {
		await(l->fd[c]);
		ssize_t n = read(l->fd[c], answer + got, sizeof(answer) - 1 - got);
		must(n <= 0 ? ERR_BUSY : 0, "the server hung up");
		got += (size_t)n;
		answer[got] = '\0';
		if (whole == 0)
			whole = whole_of(answer);
	}
	must(strncmp(answer, "HTTP/1.1 20", 11) == 0 ? 0 : ERR_BAD_MAC, answer);
	if (l->answered < TIMES_MAX)
		l->times_us[l->answered++] = (float)(now_us() - l->sent_us[c]);
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

static void run_slice(struct loader *l, double end_us)
{
	l->answered = 0;
	for (unsigned c = 0; c < CONNECTIONS; c++)
		ask(l, c);
	for (unsigned c = 0; now_us() < end_us; c = (c + 1) % CONNECTIONS) {
		read_answer(l, c);
		ask(l, c);
	}
	for (unsigned c = 0; c < CONNECTIONS; c++)
		read_answer(l, c);
	qsort(l->times_us, l->answered, sizeof(*l->times_us), compare);
	printf("{\"polls\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", l->answered,
		(double)l->times_us[l->answered / 2], (double)l->times_us[l->answered * 99 / 100]);
	(void)fflush(stdout); /* who reads it waits */
}

int loader_run(unsigned port, loader_request *request, void *arg)
{
	static struct loader l;
	char line[32];

	l = (struct loader){ .request = request, .arg = arg, .draws = (uint64_t)getpid() };
	l.times_us = mem_alloc(TIMES_MAX * sizeof(*l.times_us));
	for (unsigned c = 0; c < CONNECTIONS; c++)
		l.fd[c] = dial(port);
	while (fgets(line, sizeof(line), stdin) != NULL)
		run_slice(&l, now_us() + 1e6 * atof(line));
	free(l.times_us);
	return 0;
}
