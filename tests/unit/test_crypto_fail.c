/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crypto library fails, at each of its calls in turn: crypto*.c say so, and leave
 * nothing behind.  The linker puts the functions below in its place (--wrap).
 */
#undef OPENSSL_NO_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "proto/crypto.h"
#include "tmpdir.h"

/* How what fails fails: once, once in its other way, for good. */
enum mode { ONCE, OTHERWISE, FOR_GOOD, MODES };

static struct {
	bool on;
	enum mode mode;
	unsigned left; /* calls that work */
	unsigned failed;
} faults;

static bool fails(void)
{
	if (!faults.on)
		return false;
	if (faults.left > 0) {
		faults.left--;
		return false;
	}
	if (faults.failed > 0 && faults.mode != FOR_GOOD)
		return false;
	faults.failed++;
	return true;
}

static int system_error(void)
{
	errno = EIO;
	return -1;
}

static FILE *no_file(void)
{
	errno = EIO;
	return NULL;
}

#define WRAP(type, name, params, args, failure, other)                                             \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		if (fails())                                                                       \
			return faults.mode == OTHERWISE ? (other) : (failure);                     \
		return __real_##name args;                                                         \
	}

/* clang-format off */
WRAP(void *, malloc, (size_t n), (n), NULL, NULL)
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL, NULL)
WRAP(int, EVP_DigestInit_ex2, (EVP_MD_CTX *c, const EVP_MD *md, const OSSL_PARAM *p), (c, md, p), 0, 0)
WRAP(int, EVP_DigestUpdate, (EVP_MD_CTX *c, const void *p, size_t n), (c, p, n), 0, 0)
WRAP(int, EVP_DigestFinal_ex, (EVP_MD_CTX *c, unsigned char *out, unsigned int *n), (c, out, n), 0, 0)
WRAP(int, EVP_Digest, (const void *p, size_t n, unsigned char *out, unsigned int *len, const EVP_MD *md, ENGINE *e), (p, n, out, len, md, e), 0, 0)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL, NULL)
WRAP(int, SHA256_Init, (SHA256_CTX *c), (c), 0, 0)
WRAP(int, SHA256_Update, (SHA256_CTX *c, const void *p, size_t n), (c, p, n), 0, 0)
WRAP(int, SHA256_Final, (unsigned char *out, SHA256_CTX *c), (out, c), 0, 0)
WRAP(int, RAND_bytes, (unsigned char *out, int n), (out, n), 0, 0)
WRAP(int, EVP_PKEY_get_group_name, (const EVP_PKEY *k, char *name, size_t size, size_t *n), (k, name, size, n), 0, 0)
WRAP(EVP_PKEY *, PEM_read_PrivateKey, (FILE *f, EVP_PKEY **k, pem_password_cb *cb, void *u), (f, k, cb, u), NULL, NULL)
WRAP(int, PEM_write_PKCS8PrivateKey, (FILE *f, const EVP_PKEY *k, const EVP_CIPHER *e, const char *pass, int n, pem_password_cb *cb, void *u), (f, k, e, pass, n, cb, u), 0, 0)
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode), no_file(), no_file())
WRAP(int, fflush, (FILE *f), (f), system_error(), system_error())
WRAP(int, fsync, (int fd), (fd), system_error(), system_error())
WRAP(int, i2d_PrivateKey, (const EVP_PKEY *k, unsigned char **out), (k, out), 0, 1000)
WRAP(EVP_PKEY *, d2i_AutoPrivateKey, (EVP_PKEY **k, const unsigned char **p, long n), (k, p, n), NULL, NULL)
WRAP(int, EVP_PKEY_get_raw_public_key, (const EVP_PKEY *k, unsigned char *out, size_t *n), (k, out, n), 0, 0)
WRAP(int, EVP_PKEY_get_octet_string_param, (const EVP_PKEY *k, const char *name, unsigned char *out, size_t size, size_t *n), (k, name, out, size, n), 0, 0)
WRAP(ECDSA_SIG *, d2i_ECDSA_SIG, (ECDSA_SIG **s, const unsigned char **p, long n), (s, p, n), NULL, NULL)
WRAP(int, BN_bn2binpad, (const BIGNUM *b, unsigned char *out, int n), (b, out, n), -1, -1)
WRAP(ECDSA_SIG *, ECDSA_SIG_new, (void), (), NULL, NULL)
WRAP(BIGNUM *, BN_bin2bn, (const unsigned char *p, int n, BIGNUM *b), (p, n, b), NULL, NULL)
WRAP(int, ECDSA_SIG_set0, (ECDSA_SIG *s, BIGNUM *r, BIGNUM *v), (s, r, v), 0, 0)
WRAP(int, i2d_ECDSA_SIG, (const ECDSA_SIG *s, unsigned char **out), (s, out), -1, -1)
WRAP(int, EVP_DigestSignInit_ex, (EVP_MD_CTX *c, EVP_PKEY_CTX **pc, const char *md, OSSL_LIB_CTX *lib, const char *props, EVP_PKEY *k, const OSSL_PARAM *p), (c, pc, md, lib, props, k, p), 0, 0)
WRAP(int, EVP_DigestSign, (EVP_MD_CTX *c, unsigned char *sig, size_t *n, const unsigned char *p, size_t len), (c, sig, n, p, len), 0, 0)
WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name, (OSSL_LIB_CTX *lib, const char *name, const char *props), (lib, name, props), NULL, NULL)
WRAP(EVP_PKEY *, EVP_PKEY_new_raw_public_key_ex, (OSSL_LIB_CTX *lib, const char *type, const char *props, const unsigned char *p, size_t n), (lib, type, props, p, n), NULL, NULL)
WRAP(int, EVP_PKEY_fromdata_init, (EVP_PKEY_CTX *c), (c), 0, 0)
WRAP(int, EVP_PKEY_fromdata, (EVP_PKEY_CTX *c, EVP_PKEY **k, int what, OSSL_PARAM *p), (c, k, what, p), 0, 0)
WRAP(int, EVP_DigestVerifyInit_ex, (EVP_MD_CTX *c, EVP_PKEY_CTX **pc, const char *md, OSSL_LIB_CTX *lib, const char *props, EVP_PKEY *k, const OSSL_PARAM *p), (c, pc, md, lib, props, k, p), 0, 0)
WRAP(int, EVP_DigestVerify, (EVP_MD_CTX *c, const unsigned char *sig, size_t n, const unsigned char *p, size_t len), (c, sig, n, p, len), -1, -1)
/* clang-format on */

/* Of a file that was only read it says nothing. */
int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f)
{
	bool written = (fcntl(fileno(f), F_GETFL) & O_ACCMODE) != O_RDONLY;
	int err = __real_fclose(f);

	return written && fails() ? system_error() : err;
}

EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *lib, const char *props, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *lib, const char *props, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *lib, const char *props, const char *type, ...)
{
	va_list list;
	char *curve = NULL;

	va_start(list, type);
	if (strcmp(type, "EC") == 0)
		curve = va_arg(list, char *);
	va_end(list);
	return fails() ? NULL : __real_EVP_PKEY_Q_keygen(lib, props, type, curve);
}

/* ---- what is tried ---- */

static struct crypto_key *ed25519, *p256;
static uint8_t ed25519_public[PUBLIC_MAX], p256_public[PUBLIC_MAX];
static uint8_t ed25519_sig[SIG_LEN], p256_sig[SIG_LEN];
static char path[256];

#define TEXT bytes_str("text")

static int try_hash(void)
{
	struct crypto_hash *h = crypto_hash_new();
	uint8_t out[SHA256_LEN];
	int err = h == NULL ? ERR_CRYPTO : crypto_hash_start(h);

	if (err == 0)
		err = crypto_hash_add(h, "text", 4);
	if (err == 0)
		err = crypto_hash_end(h, out);
	crypto_hash_free(h);
	return err;
}

static int try_sha256(void)
{
	struct bytes part[] = { TEXT, TEXT, TEXT };
	uint8_t out[SHA256_LEN];

	return crypto_sha256(part, 3, out);
}

static int try_hook_sha256(void)
{
	uint8_t out[SHA256_LEN];

	return crypto_openssl()->sha256(NULL, "text", 4, out);
}

static int try_mac(void)
{
	struct crypto_mac *m = crypto_mac_new();
	struct bytes part[] = { TEXT, TEXT };
	uint8_t out[SHA256_LEN];
	int err = m == NULL ? ERR_CRYPTO : crypto_mac_sign(m, TEXT, part, 2, out);

	crypto_mac_free(m);
	return err;
}

static int try_hook_hmac(void)
{
	uint8_t out[SHA256_LEN];

	return crypto_openssl()->hmac(NULL, TEXT, TEXT, out);
}

static int try_random(void)
{
	uint8_t out[16];

	return crypto_random(out, sizeof(out));
}

static int try_generate(void)
{
	struct crypto_key *a = NULL, *b = NULL;
	int err = crypto_key_generate(KEY_ED25519, &a);

	if (err == 0)
		err = crypto_key_generate(KEY_P256, &b);
	crypto_key_free(a);
	crypto_key_free(b);
	return err;
}

/* What could not be saved is not there. */
static int try_files(void)
{
	struct crypto_key *key = NULL;
	int err = crypto_key_save(p256, path);

	assert_int_equal(access(path, F_OK), err == 0 ? 0 : -1);
	if (err == 0) {
		err = crypto_key_load(path, &key);
		assert_int_equal(unlink(path), 0);
	}
	crypto_key_free(key);
	return err;
}

static int try_der(void)
{
	uint8_t der[KEY_DER_MAX];
	struct crypto_key *key = NULL;
	size_t n;
	int err = crypto_key_write(p256, der, &n);

	if (err == 0)
		err = crypto_key_read(bytes_of(der, n), &key);
	crypto_key_free(key);
	return err;
}

static int try_public(void)
{
	uint8_t out[PUBLIC_MAX];

	return crypto_key_public(ed25519, out) == ED25519_PUBLIC_LEN &&
			crypto_key_public(p256, out) == P256_PUBLIC_LEN
		? 0
		: ERR_CRYPTO;
}

static int try_sign(void)
{
	uint8_t sig[SIG_LEN];
	int err = crypto_key_sign(ed25519, TEXT, sig);

	return err != 0 ? err : crypto_key_sign(p256, TEXT, sig);
}

static int try_verify_ed25519(void)
{
	return crypto_key_verify(
		KEY_ED25519, bytes_of(ed25519_public, ED25519_PUBLIC_LEN), TEXT, ed25519_sig);
}

static int try_verify_p256(void)
{
	return crypto_openssl()->verify(
		NULL, KEY_P256, bytes_of(p256_public, P256_PUBLIC_LEN), TEXT, p256_sig);
}

static const struct {
	const char *name;
	int (*run)(void);
	unsigned calls; /* at least, so that something was tried */
} operations[] = {
	{ "hash", try_hash, 5 },
	{ "sha256 of parts", try_sha256, 6 },
	{ "sha256", try_hook_sha256, 1 },
	{ "mac", try_mac, 10 },
	{ "hmac", try_hook_hmac, 9 },
	{ "random", try_random, 1 },
	{ "generate", try_generate, 5 },
	{ "files", try_files, 6 },
	{ "der", try_der, 5 },
	{ "public", try_public, 2 },
	{ "sign", try_sign, 9 },
	{ "verify Ed25519", try_verify_ed25519, 4 },
	{ "verify P-256", try_verify_p256, 10 },
};

static void check(size_t i, enum mode mode)
{
	unsigned calls = 0;
	int err = -1;

	for (; err != 0; calls++) {
		faults.on = true;
		faults.mode = mode;
		faults.left = calls;
		faults.failed = 0;
		err = operations[i].run();
		faults.on = false;
		if ((err != 0) != (faults.failed > 0))
			fail_msg("%s: call %u: %d", operations[i].name, calls, err);
	}
	if (calls <= operations[i].calls)
		fail_msg("%s: %u calls only", operations[i].name, calls - 1);
}

static void test_every_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(operations); i++)
		for (unsigned mode = 0; mode < MODES; mode++)
			check(i, (enum mode)mode);
}

static int set_up(void **state)
{
	int err = tmpdir_make(state) | crypto_key_generate(KEY_ED25519, &ed25519) |
		crypto_key_generate(KEY_P256, &p256) | crypto_key_sign(ed25519, TEXT, ed25519_sig) |
		crypto_key_sign(p256, TEXT, p256_sig);

	(void)crypto_key_public(ed25519, ed25519_public);
	(void)crypto_key_public(p256, p256_public);
	(void)snprintf(path, sizeof(path), "%s", tmpdir_path("key.pem"));
	return err;
}

static int tear_down(void **state)
{
	crypto_key_free(ed25519);
	crypto_key_free(p256);
	return tmpdir_drop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
