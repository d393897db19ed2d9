/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunked body (RFC 9112, section 7.1), unpacked in place.  Extensions, trailers,
 * bare LF and sizes of more than eight digits are malformed here.
 */
#pragma once

#include <sys/types.h>

#include "proto/bytes.h"
#include "proto/err.h"

struct chunks {
	uint8_t *to;   /* where the body goes; may be where the chunks are */
	size_t n, max; /* body bytes so far; at most */
	bool done;     /* the last chunk was read */
	uint8_t state, digits;
	uint32_t left; /* of the chunk being read */
};

/*
 * Takes the next bytes.  Returns how many were used, all of them unless done;
 * ERR_MALFORMED, or ERR_TOO_BIG as soon as a chunk is announced that goes beyond max.
 */
WARN_UNUSED ssize_t chunks_read(struct chunks *c, const uint8_t *p, size_t n);
