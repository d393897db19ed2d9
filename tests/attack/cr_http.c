/* SPDX-License-Identifier: Apache-2.0 */
/* The real device front, on a socket: bodies in parts, and lengths that lie. */
#include "tests/attack/cases.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/http/device.h"
#include "tests/lib/deployment.h"

#define FORM "multipart/form-data; boundary="

/* The status of the answer; 0 when there is none. */
static int ask(unsigned port, const char *request, size_t n)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 10 };
	char reply[256] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;

	CHECK(fd >= 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	CHECK(connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
	(void)send(fd, request, n, MSG_NOSIGNAL); /* it may hang up on us */
	(void)shutdown(fd, SHUT_WR);
	if (recv(fd, reply, sizeof(reply) - 1, 0) > 0)
		(void)sscanf(reply, "HTTP/1.1 %d", &status);
	(void)close(fd);
	return status;
}

static int post(unsigned port, const char *headers, const char *body)
{
	char text[2048];
	int n = snprintf(text, sizeof(text), "POST /v1/enroll HTTP/1.1\r\nHost: x\r\n%s\r\n%s",
		headers, body);

	return ask(port, text, (size_t)n);
}

static bool is_well(unsigned port)
{
	static const char request[] = "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n";

	return ask(port, request, sizeof(request) - 1) == 200;
}

/* SWUpdate CVE-2026-28525: the length of a part was less than its headers'. */
static void no_multipart(struct lab *l, const struct attack *a)
{
	static const struct {
		const char *headers, *body;
	} bad[] = {
		{ "Content-Type: " FORM "x\r\nContent-Length: 44\r\n",
			"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--" },
		{ "Content-Type: " FORM "\r\nContent-Length: 6\r\n", "--\r\n--" },
		{ "Content-Type: " FORM "xxxxxxxx\r\nContent-Length: 3\r\n", "--x" },
		{ "Content-Type: " FORM "x\r\nContent-Length: 5\r\n", "--x\r\n" },
		{ "Content-Length: -1\r\n", "a" },
		{ "Content-Length: 18446744073709551615\r\n", "a" },
		{ "Content-Length: 18446744073709551617\r\n", "a" },
		{ "Content-Length: 1\r\nContent-Length: 2\r\n", "ab" },
		{ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" },
		{ "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\na" },
		{ "Transfer-Encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n" },
		{ "Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08" },
	};
	const struct deployment_options o = { .profile = "solo" };
	struct deployment *d = calloc(1, sizeof(*d));
	struct device_front *front;
	char error[HTTP_ERROR_MAX];
	unsigned port;

	(void)l, (void)a;
	CHECK(d != NULL);
	deployment_open(d, &o);
	CHECK_ERR(device_front_open(&d->server, "127.0.0.1:0", NULL, &front, error), 0);
	CHECK_ERR(device_front_start(front), 0);
	port = device_front_port(front);
	CHECK(is_well(port));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status = post(port, bad[i].headers, bad[i].body);
		if (status >= 200 && status < 400)
			suite_fail(__FILE__, __LINE__, "request %zu: %d", i, status);
		if (!is_well(port))
			suite_fail(__FILE__, __LINE__, "request %zu: not well after it", i);
	}
	suite_note("%zu requests", sizeof(bad) / sizeof(bad[0]));
	device_front_stop(front);
	device_front_free(front);
	deployment_close(d);
	free(d);
}

static const struct attack attacks[] = { CASE("cr_18_no_multipart", no_multipart) };
const struct attack_group cr_http = { attacks, 1 };
