/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of session tickets: the one in use and the one before it, which is accepted
 * until the next change.
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"

struct ticket_key {
	uint8_t name[16], aes[32], mac[32];
};

struct tickets {
	pthread_mutex_t lock;
	struct ticket_key key[2]; /* newest first */
	uint64_t newest_ms;       /* when key[0] was made; monotonic */
	EVP_CIPHER *cipher;
};

/* ERR_CRYPTO.  Release also after an error. */
WARN_UNUSED int tickets_init(struct tickets *t);
void tickets_release(struct tickets *t);
/* Makes `ctx` use them; they must outlive it. */
void tickets_attach(struct tickets *t, SSL_CTX *ctx);
