/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/conn.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"

#define HEADER 4u
/*
 * Messages take more room in memory than on the wire: most one of many numbers that are all 0, whose
 * 40 bytes are a struct of 300 and, while it is read, a list of 1.3 KB that the arena keeps.
 */
#define ARENA_FACTOR 64u
#define ARENA_LEAST  65536u

struct conn {
	int fd;
	uint64_t deadline_ms; /* of the question under way */
};

int conn_open(const char *path, struct conn **out)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct conn *c;
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		int err = -errno;
		(void)close(fd); /* the first error is the one to tell */
		return err;
	}
	c = mem_zalloc(sizeof(*c));
	c->fd = fd;
	*out = c;
	return 0;
}

static int wait_for(const struct conn *c, short events)
{
	struct pollfd p = { c->fd, events, 0 };
	uint64_t now_ms = clock_mono_ms();
	int n;

	if (now_ms >= c->deadline_ms)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)(c->deadline_ms - now_ms));
	if (n < 0)
		return -errno; /* EINTR too: Ctrl-C ends the wait */
	return n == 0 ? -ETIMEDOUT : 0;
}

static int send_all(const struct conn *c, struct bytes data)
{
	while (data.n > 0) {
		int err = wait_for(c, POLLOUT);
		if (err != 0)
			return err;
		ssize_t n = send(c->fd, data.p, data.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n > 0) {
			data.p += n;
			data.n -= (size_t)n;
		}
	}
	return 0;
}

static int receive_all(const struct conn *c, uint8_t *out, size_t size)
{
	while (size > 0) {
		int err = wait_for(c, POLLIN);
		if (err != 0)
			return err;
		ssize_t n = recv(c->fd, out, size, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n > 0) {
			out += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* The frame and the arena of what is in it are one piece of memory. */
static int read_reply(const struct conn *c, size_t n, struct reply *out)
{
	size_t size = n * ARENA_FACTOR + ARENA_LEAST;
	struct arena a = { mem_alloc(size), size, 0 };
	uint8_t *frame = arena_alloc(&a, n);
	const Pb__Envelope *e = NULL;
	int err;

	out->memory = a.base;
	err = receive_all(c, frame, n);
	if (err == 0)
		e = wire_read(&pb__envelope__descriptor, bytes_of(frame, n), &wire_reply, &a, &err);
	if (e != NULL && strcmp(e->payload_type, envelope_type_str(ENVELOPE_REPLY)) != 0)
		err = ERR_WRONG_TYPE;
	if (err == 0 && e != NULL)
		out->m = wire_read(&pb__admin_reply__descriptor, wire_bytes(e->payload),
			&wire_reply, &a, &err);
	return err;
}

int conn_ask(struct conn *c, struct bytes envelope, struct reply *out)
{
	uint8_t header[HEADER];
	uint32_t n;
	int err;

	*out = (struct reply){ 0 };
	if (envelope.n > CONN_FRAME_MAX)
		return ERR_TOO_BIG;
	c->deadline_ms = clock_mono_ms() + CONN_TIMEOUT_MS;
	put_be32(header, (uint32_t)envelope.n);
	err = send_all(c, bytes_of(header, HEADER));
	if (err == 0)
		err = send_all(c, envelope);
	if (err == 0)
		err = receive_all(c, header, HEADER);
	if (err != 0)
		return err;
	n = get_be32(header);
	return n > wire_reply.max_bytes ? ERR_TOO_BIG : read_reply(c, n, out);
}

void conn_close(struct conn *c)
{
	if (c == NULL)
		return;
	(void)close(c->fd); /* nothing is under way */
	free(c);
}

void reply_release(struct reply *r)
{
	free(r->memory);
	*r = (struct reply){ 0 };
}
