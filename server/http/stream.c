/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/tls_socket.h"

/*
 * Why an SSL call returned rc <= 0.  OpenSSL's error queue is empty before each call
 * and left empty, so that it need not be cleared each time.
 */
static int tls_error(struct stream *s, int rc, const char **why)
{
	int reason = SSL_get_error(s->ssl, rc);
	unsigned long e;

	if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (reason == SSL_ERROR_ZERO_RETURN)
		return -ENODATA;
	s->failed = true;
	e = ERR_peek_last_error();
	if (why != NULL && e != 0 && reason == SSL_ERROR_SSL)
		*why = ERR_reason_error_string(e);
	ERR_clear_error();
	return -EPROTO;
}

/*
 * OpenSSL answers a peer's key updates and its wishes for another handshake by itself, and reads on:
 * one call may never end, and a key update costs a hundred times what it costs to receive a byte.
 */
static void on_message(
	int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct stream *s = arg;
	bool update = sent == 0 && type == SSL3_RT_HANDSHAKE && n > 0 &&
		*(const uint8_t *)p == SSL3_MT_KEY_UPDATE;

	(void)version;
	if ((update || (sent != 0 && type == SSL3_RT_ALERT)) && ++s->noise > STREAM_NOISE_MAX)
		SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
}

int stream_secure(struct stream *s, struct tls *tls)
{
	SSL *ssl = tls_connection(tls);
	BIO *bio = ssl != NULL ? tls_socket_new(s) : NULL;

	if (bio == NULL) {
		SSL_free(ssl);
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, s);
	s->ssl = ssl;
	return 0;
}

int stream_handshake(struct stream *s, const char **why)
{
	uint8_t finished[1];
	int rc;

	*why = NULL;
	/* Behind the server's Finished there is only the ticket, which can go with the answer. */
	s->more = SSL_get_finished(s->ssl, finished, sizeof(finished)) > 0;
	rc = SSL_do_handshake(s->ssl);
	s->more = false;
	return rc == 1 ? 0 : tls_error(s, rc, why);
}

/*
 * There is nothing to answer yet: what is held goes now.  With it goes the acknowledgement, for
 * which a client may wait (Nagle) before it sends its request.
 */
static void push(struct stream *s)
{
	int one = 1;

	s->held = false;
	/* Was on already; on Linux this sends what waits.  Otherwise it goes after 200 ms. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

bool stream_is_drained(const struct stream *s)
{
	return s->drained && (s->ssl == NULL || SSL_has_pending(s->ssl) == 0);
}

ssize_t stream_read(struct stream *s, void *p, size_t n)
{
	ssize_t got;
	int rc;

	if (s->ssl == NULL) {
		got = recv(s->fd, p, n, 0);
		s->drained = stream_took_all(s, got, n);
		return got >= 0 ? got : -errno;
	}
	rc = SSL_read_ex(s->ssl, p, n, &n);
	if (rc == 1)
		return (ssize_t)n;
	rc = tls_error(s, rc, NULL);
	if (rc == -EAGAIN && s->held)
		push(s);
	return rc == -ENODATA ? 0 : rc;
}

ssize_t stream_write(struct stream *s, const void *p, size_t n)
{
	ssize_t sent;
	int rc;

	if (s->ssl == NULL) {
		sent = send(s->fd, p, n, MSG_NOSIGNAL);
		return sent >= 0 ? sent : -errno;
	}
	rc = SSL_write_ex(s->ssl, p, n, &n);
	return rc == 1 ? (ssize_t)n : tls_error(s, rc, NULL);
}

ssize_t stream_send_file(struct stream *s, int file, off_t *at, uint64_t n, uint8_t *scratch)
{
	size_t most = s->ssl != NULL ? STREAM_FILE_TLS : STREAM_FILE_PLAIN;
	size_t piece = n < most ? (size_t)n : most;
	ssize_t got;

	if (s->ssl == NULL)
		got = sendfile(s->fd, file, at, piece);
	else
		got = pread(file, scratch, piece, *at);
	if (got <= 0)
		return got == 0 ? -EPIPE : -errno;
	if (s->ssl == NULL)
		return got;
	/* After -EAGAIN the same bytes are read again: a file served does not change.
	 */
	got = stream_write(s, scratch, (size_t)got);
	if (got > 0)
		*at += got;
	return got;
}

void stream_cork(struct stream *s, bool on)
{
	int value = on;

	/* Without it the same bytes leave in more pieces. */
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

void stream_end(struct stream *s)
{
	int rc;

	if (s->ssl == NULL || s->failed)
		return;
	rc = SSL_shutdown(s->ssl); /* 0: sent; the peer's own is not awaited */
	if (rc < 0)
		(void)tls_error(s, rc, NULL); /* it is being closed anyway */
}
