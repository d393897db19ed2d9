/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected, nonblocking socket, plain or under TLS: bytes in, bytes out, and nothing
 * of HTTP. Nothing here raises SIGPIPE where that signal is ignored.
 */
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include "proto/bytes.h"
#include "proto/err.h"
#include "server/http/tls.h"

/* Far more than honest clients come to. */
#define STREAM_NOISE_MAX 16u

struct stream {
	int fd;
	SSL *ssl;       /* NULL: plain */
	bool failed;    /* the SSL object is not to be used again */
	unsigned noise; /* key updates, alerts we sent; beyond STREAM_NOISE_MAX it is closed */
	bool drained;   /* the last read left the socket empty; whoever learns of more clears it */
	bool ended;     /* the peer sends no more, though not all of it may be read */
	/* Of the socket under TLS: */
	bool at_end; /* all of it was read */
	bool more;   /* what is written now may wait for what is written next */
	bool held;   /* something does, 200 ms at most */
};

/* What a read of `room` bytes that brought `n` says; after the end comes no other event. */
static inline bool stream_took_all(const struct stream *s, ssize_t n, size_t room)
{
	return !s->ended && n > 0 && (size_t)n < room;
}

/*
 * Nothing more can be read until the socket is heard of again.  Only for who has no request half
 * read: a reset that came with its bytes is no event of its own, and a read would tell of it.
 */
bool stream_is_drained(const struct stream *s);

/*
 * Puts the server's end of TLS on a connected stream, which must stay where it is until its `ssl`
 * is freed.  ERR_CRYPTO when OpenSSL cannot.
 */
WARN_UNUSED int stream_secure(struct stream *s, struct tls *tls);
/*
 * 0 when done, -EAGAIN, or -errno with the reason in `why` (OpenSSL's words; NULL when
 * the peer just left).  Not for plain streams.
 */
WARN_UNUSED int stream_handshake(struct stream *s, const char **why);
/* How many bytes, 0 at the end, -EAGAIN or another -errno. */
WARN_UNUSED ssize_t stream_read(struct stream *s, void *p, size_t n);
/* How many bytes were taken, perhaps fewer than `n`; -EAGAIN or another -errno. */
WARN_UNUSED ssize_t stream_write(struct stream *s, const void *p, size_t n);
/*
 * A piece of the next `n` bytes of `file`, from `*at`, which moves.  `scratch` has room
 * for STREAM_FILE_TLS bytes.  Returns as stream_write; -EPIPE when the file is shorter.
 */
#define STREAM_FILE_PLAIN 65536u
#define STREAM_FILE_TLS   16384u
WARN_UNUSED ssize_t stream_send_file(
	struct stream *s, int file, off_t *at, uint64_t n, uint8_t *scratch);
/*
 * While corked only full segments leave: fewer packets, and fewer wake-ups of who reads.
 * The kernel lets go of the rest after 200 ms.
 */
void stream_cork(struct stream *s, bool on);
/* Before closing in good order: tells a TLS peer that nothing more comes. */
void stream_end(struct stream *s);
