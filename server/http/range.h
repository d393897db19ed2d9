/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Range header of RFC 9110, section 14: one range of bytes; anything else is as if
 * absent.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

struct range {
	bool set;
	bool suffix;          /* "-n": the last `last` bytes */
	uint64_t first, last; /* last is inclusive; UINT64_MAX when open */
};

/*
 * False, with `out` cleared, for what is to be ignored: other units, several ranges,
 * nonsense.
 */
bool range_read(struct bytes value, struct range *out);
/* Where it lies in `length` bytes; ERR_BAD_RANGE when no byte of it does (416). */
WARN_UNUSED int range_resolve(const struct range *r, uint64_t length, uint64_t *at, uint64_t *n);
