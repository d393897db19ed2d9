/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/http/tls_ticket.h"

struct tls {
	char *certificate, *key, *ticket_file, *clients; /* as struct tls_files */
	struct tickets tickets;
	pthread_mutex_t lock; /* of ctx: swapped by any thread, taken by all workers */
	SSL_CTX *ctx;
};

/* No terminal to ask at: a key with a password is an error. */
static int no_password(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1;
}

static bool configure(SSL_CTX *ctx)
{
	static char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro wants it writable */

	(void)SSL_CTX_set_options(ctx,
		SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
			SSL_OP_PRIORITIZE_CHACHA |
			SSL_OP_IGNORE_UNEXPECTED_EOF); /* answers carry their length */
	(void)SSL_CTX_set_mode(ctx,
		SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1); /* one read for header and record */
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
		SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
		SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
		SSL_CTX_set_ciphersuites(ctx,
			"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
			"TLS_AES_256_GCM_SHA384") == 1;
}

/* Why reading `path` failed, in the words of the system or of OpenSSL. */
static int refuse(const char *path, char error[TLS_ERROR_MAX])
{
	const char *why = NULL;

	if (access(path, R_OK) != 0)
		why = strerrordesc_np(errno);
	else if (ERR_peek_error() != 0)
		why = ERR_reason_error_string(ERR_peek_error());
	(void)snprintf(error, TLS_ERROR_MAX, "tls %s: %s", path,
		why != NULL ? why : "OpenSSL cannot use it");
	ERR_clear_error();
	return ERR_CONFIG;
}

static bool is_said(const char *path)
{
	return path != NULL && *path != '\0';
}

/* Asks for certificates; what a session that is resumed had is in its ticket. */
static bool take_clients(SSL_CTX *ctx, const char *path)
{
	static const unsigned char sessions[] = "huidu";
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);

	if (names == NULL)
		return false;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return SSL_CTX_load_verify_file(ctx, path) == 1 &&
		SSL_CTX_set_session_id_context(ctx, sessions, sizeof(sessions) - 1) == 1;
}

static int load_certificate(
	struct tls *tls, const struct tls_files *files, SSL_CTX **out, char error[TLS_ERROR_MAX])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc = 0;

	ERR_clear_error();
	if (ctx == NULL || !configure(ctx))
		rc = refuse("context", error);
	else if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1)
		rc = refuse(files->certificate, error);
	else if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
		rc = refuse(files->key, error);
	else if (is_said(files->clients) && !take_clients(ctx, files->clients))
		rc = refuse(files->clients, error);
	if (rc == 0) {
		tickets_attach(&tls->tickets, ctx);
		*out = ctx;
		ctx = NULL;
	}
	SSL_CTX_free(ctx);
	return rc;
}

/* Who can read it can read what TLS 1.2 clients sent on connections they resumed. */
static void warn_of_readers(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		log_warn("tls: %s: others than its owner and group can read or change it", path);
}

static int load_tickets(const char *path, struct ticket_keys *keys, char error[TLS_ERROR_MAX])
{
	int rc;

	if (path == NULL || *path == '\0') {
		rc = ticket_keys_make(keys);
		path = "keys";
	} else {
		rc = ticket_keys_read(path, keys);
		warn_of_readers(path);
	}
	if (rc != 0)
		(void)snprintf(error, TLS_ERROR_MAX, "tls tickets: %s: %s", path,
			rc == ERR_CONFIG ? "is 1 to 8 keys of 80 random bytes" : err_str(rc));
	return rc;
}

struct tls_fresh {
	char *certificate, *key, *ticket_file, *clients;
	struct ticket_keys keys;
	SSL_CTX *ctx;
};

int tls_read(struct tls *tls, const struct tls_files *files, struct tls_fresh **out,
	char error[TLS_ERROR_MAX])
{
	struct tls_fresh *fresh = mem_zalloc(sizeof(*fresh));
	int rc = load_tickets(files->tickets, &fresh->keys, error);

	if (rc == 0)
		rc = load_certificate(tls, files, &fresh->ctx, error);
	if (rc != 0) {
		tls_drop(fresh);
		return rc;
	}
	fresh->certificate = mem_strdup(files->certificate);
	fresh->key = mem_strdup(files->key);
	fresh->ticket_file = mem_strdup(files->tickets != NULL ? files->tickets : "");
	fresh->clients = mem_strdup(files->clients != NULL ? files->clients : "");
	*out = fresh;
	return 0;
}

static void swap(char **a, char **b)
{
	char *old = *a;

	*a = *b;
	*b = old;
}

void tls_take(struct tls *tls, struct tls_fresh *fresh)
{
	SSL_CTX *old;

	tickets_take(&tls->tickets, &fresh->keys);
	pthread_mutex_lock(&tls->lock);
	swap(&tls->certificate, &fresh->certificate);
	swap(&tls->key, &fresh->key);
	swap(&tls->ticket_file, &fresh->ticket_file);
	swap(&tls->clients, &fresh->clients);
	old = tls->ctx;
	tls->ctx = fresh->ctx;
	pthread_mutex_unlock(&tls->lock);
	fresh->ctx = old; /* the context goes with its last connection */
	tls_drop(fresh);
}

void tls_drop(struct tls_fresh *fresh)
{
	if (fresh == NULL)
		return;
	SSL_CTX_free(fresh->ctx);
	free(fresh->certificate);
	free(fresh->key);
	free(fresh->ticket_file);
	free(fresh->clients);
	ticket_keys_clear(&fresh->keys);
	free(fresh);
}

int tls_reload(struct tls *tls, char error[TLS_ERROR_MAX])
{
	struct tls_files files = { tls->certificate, tls->key, tls->ticket_file, tls->clients };
	struct tls_fresh *fresh;
	int rc = tls_read(tls, &files, &fresh, error);

	if (rc == 0)
		tls_take(tls, fresh);
	return rc;
}

int tls_open(const struct tls_files *files, struct tls **out, char error[TLS_ERROR_MAX])
{
	struct tls *tls = mem_zalloc(sizeof(*tls));
	struct tls_fresh *fresh;
	int rc;

	(void)pthread_mutex_init(&tls->lock, NULL); /* cannot fail with default attributes */
	rc = tickets_init(&tls->tickets);
	if (rc != 0)
		(void)snprintf(error, TLS_ERROR_MAX, "tls tickets: %s", err_str(rc));
	else
		rc = tls_read(tls, files, &fresh, error);
	if (rc == 0) {
		tls_take(tls, fresh);
		*out = tls;
		tls = NULL;
	}
	tls_close(tls);
	return rc;
}

void tls_close(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	tickets_release(&tls->tickets);
	(void)pthread_mutex_destroy(&tls->lock); /* fails only when held */
	free(tls->certificate);
	free(tls->key);
	free(tls->ticket_file);
	free(tls->clients);
	free(tls);
}

SSL *tls_connection(struct tls *tls)
{
	SSL_CTX *ctx;
	SSL *ssl;

	pthread_mutex_lock(&tls->lock);
	ctx = tls->ctx;
	(void)SSL_CTX_up_ref(ctx); /* cannot fail */
	pthread_mutex_unlock(&tls->lock);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	return ssl;
}

bool tls_client_name(SSL *ssl, char *out, size_t size)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int n;

	if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	n = X509_NAME_get_text_by_NID(
		X509_get_subject_name(certificate), NID_commonName, out, (int)size);
	/* What was cut off, or has a NUL in it, is somebody else's. */
	return n > 0 && (size_t)n < size - 1 && strlen(out) == (size_t)n;
}
