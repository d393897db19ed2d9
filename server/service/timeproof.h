/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time, for phones that have lost theirs: each sends a random nonce, and those that come close
 * together are signed as one tree.
 */
#pragma once

#include "server/service/server.h"

#define TIME_NONCE_LEN 32u

/* Reads a TimeRequest.  ERR_BAD_RANGE when the nonce has not its length, or what lint() says. */
WARN_UNUSED int timeproof_open(struct desk *d, struct bytes body, uint8_t nonce[TIME_NONCE_LEN]);

/*
 * Signs all of them at once and writes out[i], the TimeProof of nonce[i], to be released by the
 * caller.  Control's thread.  What the signer says, or ERR_CRYPTO; then nothing is written.
 */
WARN_UNUSED int timeproof_sign(struct server *s, const uint8_t (*nonce)[TIME_NONCE_LEN], size_t n,
	uint64_t now_ms, struct buf *out);
