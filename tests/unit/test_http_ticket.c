/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/tls_ticket.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "server/http/tls.h"
#include "tmpdir.h"
#include "unit.h"

static struct {
	struct tickets tickets;
	SSL_CTX *server, *client;
	SSL_SESSION *session; /* the last one the client got */
} t;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(t.session);
	t.session = session;
	return 1;
}

static void self_sign(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	assert_non_null(key);
	assert_true(X509_set_version(x, X509_VERSION_3));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_true(X509_set_pubkey(x, key));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int open_all(void **state)
{
	assert_int_equal(tmpdir_make(state), 0);
	assert_int_equal(tickets_init(&t.tickets), 0);
	t.server = SSL_CTX_new(TLS_server_method());
	self_sign(t.server);
	tickets_attach(&t.tickets, t.server);
	t.client = SSL_CTX_new(TLS_client_method());
	(void)SSL_CTX_set_session_cache_mode(t.client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(t.client, keep_session);
	return 0;
}

static int close_all(void **state)
{
	SSL_SESSION_free(t.session);
	SSL_CTX_free(t.server);
	SSL_CTX_free(t.client);
	tickets_release(&t.tickets);
	return tmpdir_drop(state);
}

/* A connection in memory, with `session` if not NULL; true when it was resumed. */
static bool connects(int version, SSL_SESSION *session)
{
	SSL *server = SSL_new(t.server), *client = SSL_new(t.client);
	BIO *a, *b;
	bool reused;
	char byte = 'x';

	assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	assert_int_equal(SSL_set_max_proto_version(client, version), 1);
	if (session != NULL) {
		/* OpenSSL's client uses one up when it gets another. */
		SSL_SESSION *copy = SSL_SESSION_dup(session);
		assert_int_equal(SSL_set_session(client, copy), 1);
		SSL_SESSION_free(copy);
	}
	for (int i = 0; i < 10 && (SSL_in_init(client) || SSL_in_init(server)); i++) {
		(void)SSL_do_handshake(client); /* each waits for the other */
		(void)SSL_do_handshake(server);
	}
	/* TLS 1.3 tickets come with the first bytes. */
	assert_int_equal(SSL_write(server, &byte, 1), 1);
	assert_int_equal(SSL_read(client, &byte, 1), 1);
	reused = SSL_session_reused(client) == 1;
	assert_int_equal(SSL_session_reused(server), reused);
	/* A session whose connection broke off is not used again. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(server);
	SSL_free(client);
	ERR_clear_error();
	return reused;
}

static SSL_SESSION *new_session(int version)
{
	assert_false(connects(version, NULL));
	assert_non_null(t.session);
	assert_int_equal(SSL_SESSION_up_ref(t.session), 1);
	return t.session;
}

/* As if `ms` had gone by. */
static void grow_older(uint64_t ms)
{
	t.tickets.newest_ms -= ms;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void resumes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *s = new_session(versions[i]);
		assert_true(connects(versions[i], s));
		grow_older(TLS_TICKET_KEY_MS - 1000);
		assert_true(connects(versions[i], s));
		SSL_SESSION_free(s);
		grow_older((uint64_t)0 - (TLS_TICKET_KEY_MS - 1000));
	}
}

/* Under the key before: still good, and replaced by one under the new key. */
static void one_change_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *old = new_session(versions[i]), *renewed;
		grow_older(TLS_TICKET_KEY_MS);
		assert_false(connects(versions[i], NULL)); /* changes the key */
		assert_true(connects(versions[i], old));
		renewed = t.session;
		assert_int_equal(SSL_SESSION_up_ref(renewed), 1);
		grow_older(TLS_TICKET_KEY_MS);
		assert_false(connects(versions[i], NULL));
		assert_false(connects(versions[i], old));
		assert_true(connects(versions[i], renewed));
		SSL_SESSION_free(old);
		SSL_SESSION_free(renewed);
	}
}

/* A server that nobody came to for a day does not keep the day's key. */
static void a_long_silence_ends_both(void **state)
{
	SSL_SESSION *old = new_session(TLS1_3_VERSION);

	(void)state;
	grow_older(2 * TLS_TICKET_KEY_MS);
	assert_false(connects(TLS1_3_VERSION, NULL));
	assert_false(connects(TLS1_3_VERSION, old));
	SSL_SESSION_free(old);
}

static void nobody_elses(void **state)
{
	SSL_SESSION *old = new_session(TLS1_3_VERSION);

	(void)state;
	tickets_release(&t.tickets);
	assert_int_equal(tickets_init(&t.tickets), 0);
	assert_false(connects(TLS1_3_VERSION, old));
	SSL_SESSION_free(old);
}

/* Each byte of the file has its place. */
static void the_file_is_as_nginx_has_it(void **state)
{
	uint8_t bytes[TICKET_KEYS_MAX * TICKET_KEY_LEN + 1];
	static const struct {
		size_t len;
		int want;
	} cases[] = {
		{ 0, ERR_CONFIG },
		{ 79, ERR_CONFIG },
		{ 80, 1 },
		{ 81, ERR_CONFIG },
		{ 240, 3 },
		{ 640, 8 },
		{ 641, ERR_CONFIG },
	};
	struct ticket_keys keys;
	char *path = tmpdir_path("tickets");

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < COUNT(cases); i++) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(bytes, 1, cases[i].len, f), cases[i].len);
		assert_int_equal(fclose(f), 0);
		int rc = ticket_keys_read(path, &keys);
		assert_int_equal(rc == 0 ? (int)keys.n : rc, cases[i].want);
		for (size_t k = 0; rc == 0 && k < keys.n; k++) {
			const uint8_t *at = bytes + k * TICKET_KEY_LEN;
			assert_memory_equal(keys.key[k].name, at, 16);
			assert_memory_equal(keys.key[k].mac, at + 16, 32);
			assert_memory_equal(keys.key[k].aes, at + 48, 32);
		}
	}
	assert_int_equal(ticket_keys_read(tmpdir_path("none"), &keys), -ENOENT);
}

static const struct ticket_keys shared[] = {
	{ .key = { { "one", "a", "b" } }, .n = 1, .shared = true },
	{ .key = { { "two", "c", "d" }, { "one", "a", "b" } }, .n = 2, .shared = true },
	{ .key = { { "three", "e", "f" }, { "two", "c", "d" } }, .n = 2, .shared = true },
};

/* Keys of a file do not change with time but with the file; one behind the first opens too. */
static void a_file_has_its_own_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *s;
		tickets_take(&t.tickets, &shared[0]);
		s = new_session(versions[i]);
		grow_older(3 * TLS_TICKET_KEY_MS);
		assert_false(connects(versions[i], NULL));
		assert_true(connects(versions[i], s));
		tickets_take(&t.tickets, &shared[1]);
		assert_true(connects(versions[i], s));
		tickets_take(&t.tickets, &shared[2]);
		assert_false(connects(versions[i], s));
		SSL_SESSION_free(s);
	}
}

/* Read again without a file, keys made here go on; after a file they begin anew. */
static void own_keys_outlive_a_reload(void **state)
{
	struct ticket_keys own;
	SSL_SESSION *s;

	(void)state;
	assert_int_equal(ticket_keys_make(&own), 0);
	tickets_take(&t.tickets, &own);
	s = new_session(TLS1_3_VERSION);
	assert_int_equal(ticket_keys_make(&own), 0);
	tickets_take(&t.tickets, &own);
	assert_true(connects(TLS1_3_VERSION, s));
	tickets_take(&t.tickets, &shared[0]);
	assert_false(connects(TLS1_3_VERSION, s));
	SSL_SESSION_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(resumes),
		cmocka_unit_test(one_change_is_survived),
		cmocka_unit_test(a_long_silence_ends_both),
		cmocka_unit_test(nobody_elses),
		cmocka_unit_test(the_file_is_as_nginx_has_it),
		cmocka_unit_test(a_file_has_its_own_time),
		cmocka_unit_test(own_keys_outlive_a_reload),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
