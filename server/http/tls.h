/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and 1.3 for listeners: certificate and key from files, which can be read
 * again while serving, and session tickets under keys that all threads share. Those
 * change every TLS_TICKET_KEY_MS and never leave memory, unless a file has them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

#define TLS_TICKET_KEY_MS (12 * 3600 * 1000ull)
#define TLS_ERROR_MAX     256

struct tls;
struct ssl_st; /* OpenSSL's SSL */

/*
 * PEM files: the certificate with its chain, and its key without a password; and the ticket keys
 * that servers share (tls_ticket.h), NULL or "" for keys that are made here; and who signs the
 * certificates of clients, NULL or "" when none is asked for.  A client may have none; one that cannot be
 * verified ends the handshake.
 */
struct tls_files {
	const char *certificate, *key, *tickets, *clients;
};

/*
 * ERR_CONFIG with the line to print in `error`.  Free with tls_close when nothing listens
 * with it any more.
 */
WARN_UNUSED int tls_open(
	const struct tls_files *files, struct tls **out, char error[TLS_ERROR_MAX]);
/*
 * Reads the files again; new connections get what they hold.  Any thread.  On an error,
 * as above, all stays as it was.  Tickets given out stay good, if a file still has their key.
 */
WARN_UNUSED int tls_reload(struct tls *tls, char error[TLS_ERROR_MAX]);
/*
 * The same in two steps, and from other files: read and check, then take it, which cannot fail, or
 * drop it.  Both end `fresh`; one thread.
 */
struct tls_fresh;
WARN_UNUSED int tls_read(struct tls *tls, const struct tls_files *files, struct tls_fresh **out,
	char error[TLS_ERROR_MAX]);
void tls_take(struct tls *tls, struct tls_fresh *fresh);
void tls_drop(struct tls_fresh *fresh);
void tls_close(struct tls *tls);

/*
 * For one connection, to be freed with SSL_free; NULL and an error of OpenSSL's when it cannot.
 * Any thread.
 */
struct ssl_st *tls_connection(struct tls *tls);
/* The common name of the client's certificate; false when it has none, or one that does not fit. */
bool tls_client_name(struct ssl_st *ssl, char *out, size_t size);
