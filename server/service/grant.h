/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring grants: the director's signed word that a device has its seat.  A phone takes directives of
 * an inner ring only with one; what a poll says of its ring is not signed.
 */
#pragma once

#include "server/service/request.h"

#define GRANT_LIFE_MS (90ull * 86400000)
#define GRANTS_MAX    256u /* signed at one time */

struct grant_ask {
	uint8_t id[ID_LEN];
	const char *product; /* the registry's */
	enum ring ring;      /* its seat; stable: there is nothing to sign */
};

/*
 * Reads a sealed GrantRequest; errors are those of request_open(), ERR_NOT_FOUND (product), or
 * ERR_TOO_MANY: one device alone must not use up what the signer signs.  `mono_ms`: of a clock that
 * never steps.
 */
#define GRANTS_PER_MINUTE 6u /* of one device */
WARN_UNUSED int grant_open(struct desk *d, struct bytes body, uint64_t now_ms, uint64_t mono_ms,
	struct grant_ask *out);
/* The answer to who has no seat, or wishes outward of it. */
WARN_UNUSED int grant_none(struct desk *d, struct bytes *reply);

/*
 * Signs a grant for each, at most GRANTS_MAX, and writes out[i], the GrantReply, to be released by
 * the caller.  Control's thread.  What the signer says; then nothing is written.
 */
WARN_UNUSED int grant_sign(struct server *s, const struct grant_ask *const *asks, size_t n,
	uint64_t now_ms, struct buf *out);
