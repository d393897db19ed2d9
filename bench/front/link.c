/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/front/load.h"

enum { AGAIN = -1, LOST = -2 };

/* ---- bytes in and out: how many, AGAIN or LOST ---- */

static ssize_t after_tls(struct link *l, int rc, size_t n)
{
	int why;

	if (rc == 1)
		return (ssize_t)n;
	why = SSL_get_error(l->ssl, rc);
	ERR_clear_error();
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? AGAIN : LOST;
}

static ssize_t after_plain(ssize_t n)
{
	if (n > 0)
		return n;
	return n < 0 && errno == EAGAIN ? AGAIN : LOST;
}

static ssize_t put(struct link *l, const uint8_t *p, size_t n)
{
	size_t done = 0;
	int rc;

	if (l->ssl == NULL)
		return after_plain(send(l->fd, p, n, MSG_NOSIGNAL));
	rc = SSL_write_ex(l->ssl, p, n, &done);
	return after_tls(l, rc, done);
}

static ssize_t get(struct link *l, uint8_t *p, size_t n)
{
	size_t done = 0;
	int rc;

	if (l->ssl == NULL)
		return after_plain(recv(l->fd, p, n, 0));
	rc = SSL_read_ex(l->ssl, p, n, &done);
	return after_tls(l, rc, done);
}

/* ---- opening and closing ---- */

/* Each from an address of its own, as phones come: the ports of one would not do. */
static void bind_source(const struct link *l)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK + ((1 + l->number) << 8)) } };
	int one = 1;

	assert(setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0);
	if (bind(l->fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
		die("bind");
}

static void dial(struct link *l)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(l->load->port), .sin_addr = l->load->host
	};
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data = { .ptr = l } };
	int one = 1;

	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		die("socket");
	assert(setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	bind_source(l);
	if (connect(l->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		die("connect");
	assert(epoll_ctl(l->load->epoll_fd, EPOLL_CTL_ADD, l->fd, &e) == 0);
	l->state = LINK_CONNECTING;
}

static void start_tls(struct link *l)
{
	l->ssl = SSL_new(l->load->ctx);
	if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1 || SSL_set_app_data(l->ssl, l) != 1)
		die("SSL_new");
	if (l->load->reuse == REUSE_TICKET && l->session != NULL)
		assert(SSL_set_session(l->ssl, l->session) == 1);
	SSL_set_connect_state(l->ssl);
}

void link_close(struct link *l)
{
	if (l->state == LINK_CLOSED)
		return;
	if (l->ssl != NULL && l->state == LINK_IDLE)
		(void)SSL_shutdown(l->ssl); /* what the server says to it is not awaited */
	SSL_free(l->ssl);
	l->ssl = NULL;
	(void)close(l->fd); /* the answer was read, or given up */
	ERR_clear_error();
	l->state = LINK_CLOSED;
}

/* ---- steps: 0 when the next one may be tried ---- */

static int step_connecting(struct link *l)
{
	int err = 0;
	socklen_t n = sizeof(err);

	assert(getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0);
	if (err != 0)
		return LOST;
	if (l->load->tls)
		start_tls(l);
	l->state = l->load->tls ? LINK_HANDSHAKE : LINK_SENDING;
	return 0;
}

static int step_handshake(struct link *l)
{
	ssize_t n = after_tls(l, SSL_do_handshake(l->ssl), 0);

	if (n < 0)
		return (int)n;
	l->load->slice.handshakes++;
	l->load->slice.resumed += SSL_session_reused(l->ssl) != 0;
	l->state = LINK_SENDING;
	return 0;
}

static int step_sending(struct link *l)
{
	ssize_t n;

	if (l->sent == 0)
		l->begun_ns = now_ns();
	n = put(l, l->request->p + l->sent, l->request->n - l->sent);
	if (n < 0)
		return (int)n;
	l->sent += (size_t)n;
	if (l->sent == l->request->n)
		l->state = LINK_READING;
	return 0;
}

/* Where the head ends, and how long the body is to be. */
static void read_head(struct link *l)
{
	size_t kept = l->got < ANSWER_KEPT - 1 ? l->got : ANSWER_KEPT - 1;
	const char *text = (const char *)l->answer, *end, *length;

	l->answer[kept] = '\0';
	end = strstr(text, "\r\n\r\n");
	if (end == NULL)
		return;
	length = strcasestr(text, "\r\ncontent-length: ");
	if (length == NULL || length > end)
		die("an answer without a length");
	l->whole = (uint64_t)(end + 4 - text) + strtoull(length + 18, NULL, 10);
}

static int step_reading(struct link *l)
{
	static uint8_t scratch[65536];
	bool keep = l->got < ANSWER_KEPT - 1;
	ssize_t n = get(l, keep ? l->answer + l->got : scratch,
		keep ? ANSWER_KEPT - 1 - l->got : sizeof(scratch));

	if (n < 0)
		return (int)n;
	l->got += (uint64_t)n;
	if (l->whole == 0)
		read_head(l);
	if (l->whole == 0 || l->got < l->whole)
		return 0;
	if (l->got > l->whole)
		die("an answer longer than it says");
	l->state = LINK_IDLE;
	return 0;
}

static int step(struct link *l)
{
	static int (*const steps[])(struct link *) = {
		[LINK_CONNECTING] = step_connecting,
		[LINK_HANDSHAKE] = step_handshake,
		[LINK_SENDING] = step_sending,
		[LINK_READING] = step_reading,
	};

	return steps[l->state](l);
}

static void advance(struct link *l)
{
	int rc = 0;

	while (rc == 0 && l->state != LINK_IDLE)
		rc = step(l);
	if (rc == LOST)
		link_close(l);
	if (rc != AGAIN)
		load_done(l);
}

void link_begin(struct link *l, uint64_t due_ns)
{
	struct load *d = l->load;

	l->request = &d->requests[d->next_request++ % d->n_requests];
	l->sent = 0;
	l->got = l->whole = 0;
	l->due_ns = due_ns;
	d->busy++;
	if (l->state == LINK_CLOSED) {
		dial(l);
		return; /* epoll tells */
	}
	l->state = LINK_SENDING;
	advance(l);
}

void link_go(struct link *l, uint32_t events)
{
	if (l->state == LINK_CLOSED)
		return;
	if (l->state != LINK_IDLE) {
		if (l->state != LINK_CONNECTING || (events & (EPOLLOUT | EPOLLERR)) != 0)
			advance(l);
	} else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
		link_close(l); /* the server does not keep it */
	}
}
