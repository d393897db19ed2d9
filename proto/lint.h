/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bounded pass over protobuf bytes from outside, before protobuf-c sees them.
 *
 * protobuf-c alone turns 64 KiB of input into 1 GB of allocation traffic, overflows the stack on
 * recursion, lets the last of several singular fields win and cuts strings at a NUL.  What passes
 * here is canonical: packing the unpacked message gives the same bytes (where unknown fields are
 * tolerated, protobuf-c puts them behind the others).  Driven by the generated descriptors; allocates
 * nothing; nesting deeper than LINT_MAX_DEPTH is refused.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "proto/bytes.h"
#include "proto/err.h"

#define LINT_MAX_DEPTH 4

struct lint_rules {
	size_t max_bytes;
	unsigned max_repeat;  /* elements of any one repeated field */
	unsigned max_unknown; /* fields not in the descriptor, over the whole message */
};

/* 0, or the ERR_ that names what is wrong. */
WARN_UNUSED int lint(const ProtobufCMessageDescriptor *type, struct bytes message,
	const struct lint_rules *rules);
