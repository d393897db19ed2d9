/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/loop.h"

#define HEADER_BYTES 4u
/* At once: memory grows with what came, not with what was announced. */
#define READ_BYTES 65536u
#define PAUSE_MS   1000

struct client {
	struct frame_call call; /* first: handlers have its address */
	struct frame_server *server;
	TAILQ_ENTRY(client) entry;
	int fd; /* -1: it has left, and its call is not answered yet */
	struct event readable, writable, deadline;
	struct buf in, out; /* with their headers */
	size_t out_at;
	bool busy; /* the handler has the frame */
};

struct frame_server {
	struct event_base *base;
	struct frame_options options;
	char *path;
	int fd;
	struct event acceptable, unpause;
	bool paused;
	TAILQ_HEAD(, client) clients;
	unsigned n_clients, n_left;
};

static void free_client(struct client *c)
{
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static void resume_accepting(struct frame_server *s)
{
	if (s->paused) {
		loop_del(&s->unpause);
		loop_add(&s->acceptable, NULL);
	}
	s->paused = false;
}

static void drop(struct client *c)
{
	struct frame_server *s = c->server;

	loop_del(&c->readable);
	loop_del(&c->writable);
	loop_del(&c->deadline);
	(void)close(c->fd); /* an answer not taken is the client's loss */
	c->fd = -1;
	TAILQ_REMOVE(&s->clients, c, entry);
	s->n_clients--;
	if (c->busy)
		s->n_left++;
	else
		free_client(c);
	resume_accepting(s);
}

/* Each frame and its answer get the time anew. */
static void await_frame(struct client *c)
{
	loop_add_ms(&c->deadline, c->server->options.deadline_ms);
	loop_add(&c->readable, NULL);
}

/* Bytes the frame still lacks, as far as is known. */
static size_t lacking(const struct client *c)
{
	if (c->in.len < HEADER_BYTES)
		return HEADER_BYTES - c->in.len;
	return HEADER_BYTES + get_be32(c->in.data) - c->in.len;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	size_t want = lacking(c) < READ_BYTES ? lacking(c) : READ_BYTES;
	ssize_t n = recv(fd, buf_room(&c->in, want), want, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->in.len += (size_t)n;
	if (c->in.len < HEADER_BYTES)
		return;
	if (get_be32(c->in.data) > c->server->options.max_bytes) {
		log_warn("%s: frame of %u bytes: too large", c->server->path, get_be32(c->in.data));
		drop(c);
		return;
	}
	if (lacking(c) > 0)
		return;
	loop_del(&c->readable);
	c->busy = true;
	c->call.payload = bytes_of(c->in.data + HEADER_BYTES, c->in.len - HEADER_BYTES);
	c->server->options.handler(&c->call);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	ssize_t n = send(fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		drop(c);
		return;
	}
	c->out_at += (size_t)n;
	if (c->out_at < c->out.len)
		return;
	loop_del(&c->writable);
	buf_release(&c->out);
	c->out_at = 0;
	await_frame(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	drop(arg);
}

void frame_reply(struct frame_call *call, const struct bytes *part, size_t n)
{
	struct client *c = (struct client *)call;
	size_t total = 0;

	assert(c->busy);
	c->busy = false;
	if (c->fd < 0) {
		c->server->n_left--;
		free_client(c);
		return;
	}
	for (size_t i = 0; i < n; i++)
		total += part[i].n;
	assert(total <= UINT32_MAX);
	put_be32(buf_room(&c->out, HEADER_BYTES + total), (uint32_t)total);
	c->out.len = HEADER_BYTES;
	for (size_t i = 0; i < n; i++)
		buf_add(&c->out, part[i].p, part[i].n);
	buf_release(&c->in); /* not before: the parts may lie in it */
	loop_add(&c->writable, NULL);
}

static void pause_accepting(struct frame_server *s)
{
	loop_del(&s->acceptable);
	loop_add_ms(&s->unpause, PAUSE_MS);
	s->paused = true;
}

static void on_unpause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	resume_accepting(arg);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct frame_server *s = arg;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct client *c;

	(void)what;
	if (s->n_clients >= s->options.clients_max) {
		pause_accepting(s);
		return;
	}
	fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_warn("%s: accept: %s", s->path, strerrordesc_np(errno));
			pause_accepting(s);
		}
		return;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len); /* else it is nobody */
	c = mem_zalloc(sizeof(*c));
	c->call.user = s->options.user;
	c->call.uid = peer.uid;
	c->server = s;
	c->fd = fd;
	event_assign(&c->readable, s->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, s->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	event_assign(&c->deadline, s->base, -1, 0, on_deadline, c);
	TAILQ_INSERT_TAIL(&s->clients, c, entry);
	s->n_clients++;
	await_frame(c);
}

int frame_server_open(struct event_base *base, const struct frame_options *options,
	struct frame_server **out, char error[FRAME_ERROR_MAX])
{
	int fd = address_listen_path(options->path);
	struct frame_server *s;

	if (fd < 0) {
		(void)snprintf(error, FRAME_ERROR_MAX, "listen %s: %s", options->path,
			strerrordesc_np(-fd));
		return fd;
	}
	s = mem_zalloc(sizeof(*s));
	s->base = base;
	s->options = *options;
	s->path = mem_strdup(options->path);
	s->fd = fd;
	TAILQ_INIT(&s->clients);
	event_assign(&s->acceptable, base, fd, EV_READ | EV_PERSIST, on_acceptable, s);
	event_assign(&s->unpause, base, -1, 0, on_unpause, s);
	loop_add(&s->acceptable, NULL);
	*out = s;
	return 0;
}

void frame_server_close(struct frame_server *s)
{
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->clients))
		drop(TAILQ_FIRST(&s->clients));
	assert(s->n_left == 0); /* every call was answered */
	loop_del(&s->acceptable);
	loop_del(&s->unpause);
	(void)unlink(s->path); /* gone already is as good */
	(void)close(s->fd);    /* nothing was written */
	free(s->path);
	free(s);
}
