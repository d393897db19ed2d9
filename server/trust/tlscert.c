/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/tlscert.h"

#include <arpa/inet.h>
#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "server/base/buf.h"
#include "server/base/file.h"

#define BACKDATE_S 3600 /* for devices whose clock is a little behind */
#define VALID_S    (TLSCERT_DAYS * 86400L - BACKDATE_S)

static bool is_address(const char *name)
{
	uint8_t ip[16];

	return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool add_names(X509 *x, const char *const *names, size_t n)
{
	struct buf b = { 0 };
	bool ok;

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s:%s", i > 0 ? "," : "", is_address(names[i]) ? "IP" : "DNS",
			names[i]);
	ok = add_extension(x, NID_subject_alt_name, buf_text(&b));
	buf_release(&b);
	return ok;
}

static bool add_subject(X509 *x, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_NAME_add_entry_by_txt(
		       subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1 &&
		X509_set_issuer_name(x, subject) == 1;
}

static bool add_serial(X509 *x)
{
	uint8_t raw[16];
	BIGNUM *n = NULL;
	bool ok = false;

	if (RAND_bytes(raw, sizeof(raw)) == 1) {
		raw[0] = (uint8_t)((raw[0] & 0x7f) | 0x40); /* positive, always 16 bytes */
		n = BN_bin2bn(raw, sizeof(raw), NULL);
	}
	ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

/* Not a CA: whoever steals the server's key cannot sign for other names with it. */
static X509 *make(EVP_PKEY *key, const char *const *names, size_t n)
{
	X509 *x = X509_new();

	if (x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && add_serial(x) &&
		X509_gmtime_adj(X509_getm_notBefore(x), -BACKDATE_S) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) != NULL &&
		X509_set_pubkey(x, key) == 1 && add_subject(x, names[0]) &&
		add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(x, NID_key_usage, "critical,digitalSignature") &&
		add_extension(x, NID_ext_key_usage, "serverAuth") &&
		add_extension(x, NID_subject_key_identifier, "hash") && add_names(x, names, n) &&
		X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static int save(BIO *pem, const char *path, unsigned mode)
{
	char *data;
	long n = BIO_get_mem_data(pem, &data);

	return n <= 0 ? ERR_CRYPTO : file_create(path, bytes_of(data, (size_t)n), mode);
}

int tlscert_write(
	const char *cert_path, const char *key_path, const char *const *names, size_t n_names)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key == NULL ? NULL : make(key, names, n_names);
	/* In memory that OpenSSL wipes when it is freed. */
	BIO *cert = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_secmem());
	int err = ERR_CRYPTO;

	if (x != NULL && cert != NULL && pem != NULL && PEM_write_bio_X509(cert, x) == 1 &&
		PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1)
		err = save(pem, key_path, 0600);
	if (err == 0)
		err = save(cert, cert_path, 0644);
	BIO_free(cert);
	BIO_free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return err;
}
