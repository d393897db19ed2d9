/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys that devices of other products brought with them: RSA of 2048 to 4096 bits, P-256, P-384,
 * P-521 and Ed25519, as PEM.  Any thread; OpenSSL's queue of errors is left empty: the next TLS
 * connection of the thread would take them for its own.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

#define DEVICEKEY_PEM_MAX       4096u
#define DEVICEKEY_SIGNATURE_MAX 512u

/*
 * SHA-256 of the key alone, the same for every PEM of it.  ERR_BAD_KEY: no key, or none of those
 * above; ERR_CRYPTO.
 */
WARN_UNUSED int devicekey_fingerprint(struct bytes pem, uint8_t out[SHA256_LEN]);
/*
 * Whether `sig` is the key's over `message`: PKCS #1 v1.5 or DER over its SHA-256, or Ed25519 over
 * itself.  ERR_BAD_SIGNATURE when not, and as above.
 */
WARN_UNUSED int devicekey_verify(struct bytes pem, struct bytes message, struct bytes sig);
