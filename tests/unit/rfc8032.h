/* SPDX-License-Identifier: Apache-2.0 */
/* The first three Ed25519 keys of RFC 8032, 7.1, as the files that crypto_key_load
 * reads. */
#pragma once

#include "proto/crypto.h"
#include "server/base/file.h"
#include "tmpdir.h"

static const struct {
	const char *pem, *public_key, *message, *sig;
} rfc8032[] = {
	{ "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

/* A private key from the base64 of its PKCS#8 form. */
static inline struct crypto_key *key_of_pem(const char *base64)
{
	char text[512];
	struct crypto_key *key;
	int n = snprintf(text, sizeof(text),
		"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", base64);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	assert_int_equal(file_replace(tmpdir_path("key.pem"), bytes_str(text), 0600), 0);
	assert_int_equal(crypto_key_load(tmpdir_path("key.pem"), &key), 0);
	return key;
}
