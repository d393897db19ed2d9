/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/http/tls.h"

static bool new_key(struct ticket_key *k)
{
	return RAND_bytes(k->name, sizeof(k->name)) == 1 &&
		RAND_priv_bytes(k->aes, sizeof(k->aes)) == 1 &&
		RAND_priv_bytes(k->mac, sizeof(k->mac)) == 1;
}

int tickets_init(struct tickets *t)
{
	*t = (struct tickets){ .newest_ms = clock_mono_ms() };
	(void)pthread_mutex_init(&t->lock, NULL); /* cannot fail with default attributes */
	t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	/* Both, so that no name is ever zero. */
	if (t->cipher == NULL || !new_key(&t->key[0]) || !new_key(&t->key[1]))
		return ERR_CRYPTO;
	return 0;
}

void tickets_release(struct tickets *t)
{
	EVP_CIPHER_free(t->cipher);
	OPENSSL_cleanse(t->key, sizeof(t->key));
	(void)pthread_mutex_destroy(&t->lock); /* fails only when held */
}

/* The key for a new ticket, changing it when its time is over. */
static bool key_to_seal(struct tickets *t, struct ticket_key *out)
{
	uint64_t now_ms = clock_mono_ms();
	struct ticket_key fresh;
	bool ok = true;

	pthread_mutex_lock(&t->lock);
	if (now_ms - t->newest_ms >= TLS_TICKET_KEY_MS) {
		/* After a long silence the one before is too old as well. */
		bool keep = now_ms - t->newest_ms < 2 * TLS_TICKET_KEY_MS;
		ok = new_key(&fresh) && (keep || new_key(&t->key[0]));
		if (ok) {
			t->key[1] = t->key[0];
			t->key[0] = fresh;
			t->newest_ms = now_ms;
		}
	}
	*out = t->key[0];
	pthread_mutex_unlock(&t->lock);
	return ok;
}

/* The key a ticket was made with: 0 the newest, 1 the one before, -1 unknown. */
static int key_to_open(struct tickets *t, const uint8_t *name, struct ticket_key *out)
{
	int found = -1;

	pthread_mutex_lock(&t->lock);
	for (int i = 0; i < 2 && found < 0; i++)
		if (memcmp(t->key[i].name, name, sizeof(t->key[i].name)) == 0) {
			*out = t->key[i];
			found = i;
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
