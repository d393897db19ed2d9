/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/text.h"

#define BACKLOG 4096
/* Unsent bytes the kernel keeps for a connection: slow readers cost memory by this. */
#define NOT_SENT_MAX (128 * 1024)

/* Host and port of "host:port" or "[host]:port" into `out`; -EINVAL. */
static int parse(const char *text, struct addrinfo **out)
{
	const char *colon = strrchr(text, ':');
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	char host[ADDRESS_TEXT];
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	uint64_t port;

	if (n == 0 || n >= sizeof(host) || !text_u64(colon + 1, &port) || port > UINT16_MAX)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	hints.ai_family = AF_INET;
	if (host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
		hints.ai_family = AF_INET6;
	}
	return getaddrinfo(host, colon + 1, &hints, out) == 0 ? 0 : -EINVAL;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

void address_tune(int fd)
{
	/* On a Unix socket these fail, and are not needed. */
	(void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_MAX);
}

static int open_socket(const struct addrinfo *a, bool share)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0 && share)
		rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0 && a->ai_family == AF_INET6)
		rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0); /* [::] is IPv4 too */
	if (rc == 0)
		rc = bind(fd, a->ai_addr, a->ai_addrlen);
	if (rc == 0)
		return fd;
	rc = -errno;
	(void)close(fd); /* nothing was written */
	return rc;
}

static in_port_t *port_of(union address *a)
{
	return a->any.sa_family == AF_INET6 ? &a->v6.sin6_port : &a->v4.sin_port;
}

static int open_at(struct addrinfo *a, bool first, in_port_t *port)
{
	union address bound;
	socklen_t len = sizeof(bound);
	int fd;

	/*
	 * Sockets that share a port would bind beside a second server without a word.
	 */
	if (first) {
		fd = open_socket(a, false);
		if (fd < 0)
			return fd;
		(void)close(fd); /* nothing was written */
	}
	fd = open_socket(a, true);
	if (fd < 0)
		return fd;
	if (listen(fd, BACKLOG) != 0 || getsockname(fd, &bound.any, &len) != 0) {
		int rc = -errno;
		(void)close(fd); /* nothing was written */
		return rc;
	}
	address_tune(fd);
	*port = ntohs(*port_of(&bound));
	return fd;
}

int address_listen(const char *text, bool first, in_port_t *port)
{
	struct addrinfo *a;
	union address at;
	int rc = parse(text, &a);

	if (rc != 0)
		return rc;
	memcpy(&at, a->ai_addr, a->ai_addrlen);
	if (*port_of(&at) == 0)
		*port_of(&at) = htons(*port);
	memcpy(a->ai_addr, &at, a->ai_addrlen);
	rc = open_at(a, first, port);
	freeaddrinfo(a);
	return rc;
}

/*
 * 0 when `at` is free now, perhaps because what a dead server left there was removed.
 */
static int clear_path(const struct sockaddr_un *at)
{
	struct stat st;
	int fd, rc;

	if (lstat(at->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ? 0 : errno;
	(void)close(fd); /* nothing was written */
	if (rc != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(at->sun_path) == 0 ? 0 : -errno;
}

int address_listen_path(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path));
	rc = clear_path(&at);
	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* bind takes the mode over: there is no moment at which others may connect. */
	if (fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
		bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	(void)close(fd); /* nothing was written */
	return rc;
}

const char *address_str(const struct sockaddr *a, char out[ADDRESS_TEXT])
{
	union address at = { .v4 = { 0 } };
	char host[INET6_ADDRSTRLEN];

	if (a->sa_family == AF_UNIX)
		return strcpy(out, "unix");
	memcpy(&at, a, a->sa_family == AF_INET6 ? sizeof(at.v6) : sizeof(at.v4));
	if (a->sa_family == AF_INET6)
		(void)snprintf(out, ADDRESS_TEXT, "[%s]:%u",
			inet_ntop(AF_INET6, &at.v6.sin6_addr, host, sizeof(host)),
			ntohs(at.v6.sin6_port));
	else
		(void)snprintf(out, ADDRESS_TEXT, "%s:%u",
			inet_ntop(AF_INET, &at.v4.sin_addr, host, sizeof(host)),
			ntohs(at.v4.sin_port));
	return out;
}

bool address_v6(const struct sockaddr *a, uint8_t out[16])
{
	union address at;

	if (a->sa_family == AF_INET6) {
		memcpy(&at.v6, a, sizeof(at.v6));
		memcpy(out, &at.v6.sin6_addr, 16);
		return true;
	}
	if (a->sa_family != AF_INET)
		return false;
	memcpy(&at.v4, a, sizeof(at.v4));
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, &at.v4.sin_addr, 4);
	return true;
}

bool address_is_loopback(const struct sockaddr *a)
{
	struct in6_addr at;

	if (!address_v6(a, at.s6_addr))
		return false;
	return IN6_IS_ADDR_V4MAPPED(&at) ? at.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&at);
}

void address_reset(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* else it ends slowly */
	(void)close(fd);                                                /* nothing was written */
}

size_t address_network(const struct sockaddr *a, uint8_t out[ADDRESS_NETWORK])
{
	struct in6_addr at;
	bool v4;

	if (!address_v6(a, at.s6_addr))
		return 0;
	v4 = IN6_IS_ADDR_V4MAPPED(&at);
	memcpy(out, at.s6_addr + (v4 ? 12 : 0), v4 ? 24 / 8 : 56 / 8);
	return v4 ? 24 / 8 : 56 / 8;
}
