/* SPDX-License-Identifier: Apache-2.0 */
/* One thread's SSL objects, used again while the certificate stays the same. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "server/http/tls.h"

#define TLS_POOL_MAX 64

struct tls_pool {
	SSL *ssl[TLS_POOL_MAX];
	unsigned n;
};

/* Ready for a server handshake on `fd`; NULL when OpenSSL cannot. */
SSL *tls_take(struct tls *tls, struct tls_pool *pool, int fd);
/* Takes `ssl` back; `clean` when nothing failed on it. */
void tls_give(struct tls_pool *pool, SSL *ssl, bool clean);
void tls_pool_release(struct tls_pool *pool);
