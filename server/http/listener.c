/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/conn.h"

#define ACCEPT_A_TURN 8u
#define PAUSE_MS      100u

static void start_accepting(struct http_server *s)
{
	struct listener *l;

	SLIST_FOREACH(l, &s->listeners, entry)
	loop_add(&l->acceptable, NULL);
	s->paused = false;
}

/* Until a connection closes, or for a while. */
static void stop_accepting(struct http_server *s, enum http_count why)
{
	struct listener *l;

	server_count(s, why);
	SLIST_FOREACH(l, &s->listeners, entry)
	loop_del(&l->acceptable);
	s->paused = true;
	loop_add_ms(&s->unpause, PAUSE_MS);
}

void listener_resume(struct http_server *s)
{
	if (!s->paused)
		return;
	loop_del(&s->unpause);
	start_accepting(s);
}

void listener_unpause(int fd, short what, void *server)
{
	(void)fd, (void)what;
	start_accepting(server);
}

/* True when another may be accepted at once. */
static bool accept_one(struct listener *l)
{
	struct http_server *s = l->server;
	struct arrival a = { .peer = { .v4 = { 0 } } };
	socklen_t len = sizeof(a.peer);

	a.fd = accept4(l->fd, &a.peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (a.fd >= 0) {
		a.proxy = server_is_proxy(s, &a.peer);
		if (!overload_admits(s, a.fd))
			(void)close(a.fd); /* what it sent is not read: that resets it */
		else if (a.proxy || server_admit(s, &a.peer, &a.place))
			conn_open(s, &a, l->tls);
		else
			address_reset(a.fd);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		server_complain(s, NULL, "accept", strerrordesc_np(errno));
		if (!server_evict(s))
			stop_accepting(s, HTTP_EMFILE);
		return false;
	}
	return errno != EAGAIN; /* others are of one connection: ECONNABORTED */
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct http_server *s = l->server;
	unsigned room = ACCEPT_A_TURN;

	(void)fd, (void)what;
	s->now_ms = clock_mono_ms();
	if (server_full(s)) {
		/* One goes for the one that waits. */
		if (!server_evict(s)) {
			stop_accepting(s, HTTP_CONNECTIONS_MAX);
			return;
		}
		room = 1;
	}
	while (room > 0 && !server_full(s) && accept_one(l))
		room--;
}

void listener_open(struct http_server *s, int fd, struct tls *tls)
{
	struct listener *l = mem_alloc(sizeof(*l));

	*l = (struct listener){ .server = s, .tls = tls, .fd = fd };
	event_assign(&l->acceptable, s->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	SLIST_INSERT_HEAD(&s->listeners, l, entry);
	loop_add(&l->acceptable, NULL);
}

int http_server_listen(
	struct http_server *s, const char *address, struct tls *tls, char error[HTTP_ERROR_MAX])
{
	in_port_t port = 0;
	int fd = address_listen(address, true, &port);

	if (fd < 0) {
		(void)snprintf(
			error, HTTP_ERROR_MAX, "listen %s: %s", address, strerrordesc_np(-fd));
		return fd;
	}
	listener_open(s, fd, tls);
	return port;
}

int http_server_adopt(struct http_server *s, int fd, struct tls *tls)
{
	socklen_t len = sizeof(int);
	int listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 ||
		fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	if (listening == 0)
		return -EINVAL;
	address_tune(fd);
	listener_open(s, fd, tls);
	return 0;
}

void listener_finish(struct http_server *s)
{
	struct listener *l;

	SLIST_FOREACH(l, &s->listeners, entry)
	while (!server_full(s) && accept_one(l))
		;
	listener_close_all(s);
}

void listener_close_all(struct http_server *s)
{
	struct listener *l;

	while ((l = SLIST_FIRST(&s->listeners)) != NULL) {
		SLIST_REMOVE_HEAD(&s->listeners, entry);
		loop_del(&l->acceptable);
		(void)close(l->fd); /* nothing was written */
		free(l);
	}
	loop_del(&s->unpause);
	s->paused = false;
}
