/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream's socket as OpenSSL reads and writes it.  It makes fewer system calls than OpenSSL's
 * own: no read of a socket that is known to be empty, and what is soon followed by more waits for
 * it (see struct stream).
 */
#pragma once

#include <openssl/bio.h>

struct stream;

/*
 * The stream must outlive the BIO, and keeps its socket.  NULL when OpenSSL has no memory.  Any
 * thread.
 */
BIO *tls_socket_new(struct stream *stream);
