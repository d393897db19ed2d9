/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/tls_ticket.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/http/tls.h"

static_assert(sizeof(struct ticket_key) == TICKET_KEY_LEN, "as in the file");

static bool new_key(struct ticket_key *k)
{
	return RAND_bytes(k->name, sizeof(k->name)) == 1 &&
		RAND_priv_bytes(k->aes, sizeof(k->aes)) == 1 &&
		RAND_priv_bytes(k->mac, sizeof(k->mac)) == 1;
}

int ticket_keys_make(struct ticket_keys *keys)
{
	*keys = (struct ticket_keys){ .n = 2 };
	return new_key(&keys->key[0]) && new_key(&keys->key[1]) ? 0 : ERR_CRYPTO;
}

int ticket_keys_read(const char *path, struct ticket_keys *keys)
{
	struct buf bytes = { 0 };
	int rc = file_read(path, TICKET_KEYS_MAX * TICKET_KEY_LEN, &bytes);

	if (rc == ERR_TOO_BIG || (rc == 0 && bytes.len == 0) || bytes.len % TICKET_KEY_LEN != 0)
		rc = ERR_CONFIG;
	*keys = (struct ticket_keys){ .shared = true };
	for (size_t at = 0; rc == 0 && at < bytes.len; at += TICKET_KEY_LEN)
		memcpy(&keys->key[keys->n++], bytes.data + at, TICKET_KEY_LEN);
	if (bytes.len > 0)
		OPENSSL_cleanse(bytes.data, bytes.len);
	buf_release(&bytes);
	return rc;
}

void ticket_keys_clear(struct ticket_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

int tickets_init(struct tickets *t)
{
	*t = (struct tickets){ .newest_ms = clock_mono_ms() };
	(void)pthread_mutex_init(&t->lock, NULL); /* cannot fail with default attributes */
	t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	return t->cipher != NULL ? ticket_keys_make(&t->keys) : ERR_CRYPTO;
}

void tickets_take(struct tickets *t, const struct ticket_keys *keys)
{
	pthread_mutex_lock(&t->lock);
	if (keys->shared || t->keys.shared) {
		t->keys = *keys;
		t->newest_ms = clock_mono_ms();
	}
	pthread_mutex_unlock(&t->lock);
}

void tickets_release(struct tickets *t)
{
	EVP_CIPHER_free(t->cipher);
	ticket_keys_clear(&t->keys);
	(void)pthread_mutex_destroy(&t->lock); /* fails only when held */
}

/* The key for a new ticket, changing it when its time is over. */
static bool key_to_seal(struct tickets *t, struct ticket_key *out)
{
	uint64_t now_ms = clock_mono_ms();
	struct ticket_key fresh;
	bool ok = true;

	pthread_mutex_lock(&t->lock);
	if (!t->keys.shared && now_ms - t->newest_ms >= TLS_TICKET_KEY_MS) {
		/* After a long silence the one before is too old as well. */
		bool keep = now_ms - t->newest_ms < 2 * TLS_TICKET_KEY_MS;
		ok = new_key(&fresh) && (keep || new_key(&t->keys.key[0]));
		if (ok) {
			t->keys.key[1] = t->keys.key[0];
			t->keys.key[0] = fresh;
			t->newest_ms = now_ms;
		}
	}
	*out = t->keys.key[0];
	pthread_mutex_unlock(&t->lock);
	return ok;
}

/* The key a ticket was made with: 0 the newest, then those before, -1 unknown. */
static int key_to_open(struct tickets *t, const uint8_t *name, struct ticket_key *out)
{
	int found = -1;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->keys.n && found < 0; i++)
		if (memcmp(t->keys.key[i].name, name, sizeof(out->name)) == 0) {
			*out = t->keys.key[i];
			found = (int)i;
		}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	static char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/*
 * OpenSSL asks for a ticket's key: -1 fails the handshake, 0 makes it a full one, 1
 * uses the ticket, 2 uses it and gives a new one.  TLS 1.3 clients should use a ticket
 * once, so they always get a new one.
 */
static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seal)
{
	struct tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key k;
	int which = 0, rc = 1;

	if (seal != 0) {
		if (!key_to_seal(t, &k) || RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1)
			return -1;
		memcpy(name, k.name, sizeof(k.name));
	} else {
		which = key_to_open(t, name, &k);
		if (which < 0)
			return 0;
	}
	if (EVP_CipherInit_ex2(cipher, t->cipher, k.aes, iv, seal, NULL) != 1 || !set_mac(mac, &k))
		rc = -1;
	else if (seal == 0 && (which > 0 || SSL_version(ssl) == TLS1_3_VERSION))
		rc = 2;
	OPENSSL_cleanse(&k, sizeof(k));
	return rc;
}

void tickets_attach(struct tickets *t, SSL_CTX *ctx)
{
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	SSL_CTX_set_timeout(ctx, (long)(2 * TLS_TICKET_KEY_MS / 1000));
}
