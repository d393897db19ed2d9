/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of session tickets: newest first, and that one makes them.  Either they were made here,
 * and then there are two, which change every TLS_TICKET_KEY_MS; or they come from a file that
 * servers share, and then they change when it is read again.
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"

#define TICKET_KEY_LEN  80u
#define TICKET_KEYS_MAX 8u

struct ticket_key {
	uint8_t name[16], mac[32], aes[32];
};

struct ticket_keys {
	struct ticket_key key[TICKET_KEYS_MAX]; /* newest first */
	unsigned n;
	bool shared; /* from a file */
};

struct tickets {
	pthread_mutex_t lock; /* of keys and newest_ms */
	struct ticket_keys keys;
	uint64_t newest_ms; /* when key[0] was made here; monotonic */
	EVP_CIPHER *cipher;
};

/* Two of our own.  ERR_CRYPTO. */
WARN_UNUSED int ticket_keys_make(struct ticket_keys *keys);
/*
 * From a file: 1 to TICKET_KEYS_MAX times name, MAC key and AES key, TICKET_KEY_LEN bytes together,
 * as nginx has them.  -errno; ERR_CONFIG when it is something else.
 */
WARN_UNUSED int ticket_keys_read(const char *path, struct ticket_keys *keys);
void ticket_keys_clear(struct ticket_keys *keys);

/* With keys of our own.  ERR_CRYPTO.  Release also after an error. */
WARN_UNUSED int tickets_init(struct tickets *t);
void tickets_release(struct tickets *t);
/* Other keys, but for keys made here while those in use were made here too.  Any thread. */
void tickets_take(struct tickets *t, const struct ticket_keys *keys);
/* Makes `ctx` use them; they must outlive it. */
void tickets_attach(struct tickets *t, SSL_CTX *ctx);
