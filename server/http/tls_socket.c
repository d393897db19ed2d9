/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/tls_socket.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "server/http/stream.h"

static int socket_read(BIO *bio, char *to, int size)
{
	struct stream *s = BIO_get_data(bio);
	ssize_t n = recv(s->fd, to, (size_t)size, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	s->at_end = n == 0;
	s->drained = stream_took_all(s, n, (size_t)size);
	return (int)n;
}

static int socket_write(BIO *bio, const char *from, int size)
{
	struct stream *s = BIO_get_data(bio);
	ssize_t n = send(s->fd, from, (size_t)size, MSG_NOSIGNAL | (s->more ? MSG_MORE : 0));

	s->held = s->more && n > 0;
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static long socket_ctrl(BIO *bio, int what, long number, void *pointer)
{
	const struct stream *s = BIO_get_data(bio);

	(void)number, (void)pointer;
	if (what == BIO_CTRL_EOF)
		return s->at_end;
	return what == BIO_CTRL_FLUSH; /* nothing is kept here */
}

static struct {
	pthread_once_t once;
	BIO_METHOD *method; /* as long as the process; NULL: out of memory */
} kind = { .once = PTHREAD_ONCE_INIT };

static void make_kind(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (m != NULL && BIO_meth_set_read(m, socket_read) == 1 &&
		BIO_meth_set_write(m, socket_write) == 1 && BIO_meth_set_ctrl(m, socket_ctrl) == 1)
		kind.method = m;
	else
		BIO_meth_free(m);
}

BIO *tls_socket_new(struct stream *stream)
{
	int rc = pthread_once(&kind.once, make_kind);
	BIO *bio = rc == 0 && kind.method != NULL ? BIO_new(kind.method) : NULL;

	if (bio != NULL) {
		BIO_set_data(bio, stream);
		BIO_set_init(bio, 1);
	}
	return bio;
}
