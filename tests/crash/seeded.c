/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the recorded run draws comes from one seed, in the server, its signer and the SDK: the same
 * seed makes the same trace, so that a state's id is good without the trace it was found in.  These
 * stand before libcrypto's.
 */
#include "tests/crash/seeded.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/crash/disk.h"

/* Shared: a signer that is forked later draws on. */
static _Atomic uint64_t *drawn;
static uint64_t seeded_with;

void seeded_begin(uint64_t seed)
{
	drawn = mmap(
		NULL, sizeof(*drawn), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (drawn == MAP_FAILED)
		abort();
	seeded_with = disk_random(seed);
}

static void draw(uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t r = disk_random(seeded_with + atomic_fetch_add(drawn, 1));
		memcpy(out + i, &r, n - i < sizeof(r) ? n - i : sizeof(r));
	}
}

int RAND_bytes(unsigned char *out, int n)
{
	union {
		void *p;
		__typeof__(RAND_bytes) *f;
	} real;

	if (drawn != NULL) {
		draw(out, (size_t)n);
		return 1;
	}
	real.p = dlsym(RTLD_NEXT, "RAND_bytes");
	return real.f(out, n);
}

/* PKCS#8, with the secret at the end: 32 bytes of anything, below the order of the curve. */
static EVP_PKEY *make_key(bool ed25519)
{
	static const uint8_t edwards[] = { 0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4,
		0x22, 4, 0x20 };
	static const uint8_t p256[] = { 0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48,
		0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 4, 0x27, 0x30, 0x25,
		2, 1, 1, 4, 0x20 };
	struct bytes head =
		ed25519 ? bytes_of(edwards, sizeof(edwards)) : bytes_of(p256, sizeof(p256));
	uint8_t der[sizeof(p256) + 32];
	const unsigned char *p = der;

	memcpy(der, head.p, head.n);
	draw(der + head.n, 32);
	der[head.n] &= 0x7f;
	return d2i_AutoPrivateKey(NULL, &p, (long)head.n + 32);
}

/* Of the kinds that huidu makes. */
EVP_PKEY *EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *query, const char *type, ...)
{
	bool ed25519 = strcmp(type, "ED25519") == 0;
	const char *curve = NULL;
	va_list args;
	union {
		void *p;
		__typeof__(EVP_PKEY_Q_keygen) *f;
	} real;

	if (drawn != NULL)
		return make_key(ed25519);
	va_start(args, type);
	if (!ed25519)
		curve = va_arg(args, const char *);
	va_end(args);
	real.p = dlsym(RTLD_NEXT, "EVP_PKEY_Q_keygen");
	return real.f(ctx, query, type, curve);
}
