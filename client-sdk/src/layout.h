/* SPDX-License-Identifier: Apache-2.0 */
/* How a state is laid out in bytes: tables of fields, in the order they are written. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* BLOB: bytes with their length before them.  TREE: a struct merkle. */
enum slot_kind {
	SLOT_U8,
	SLOT_U32,
	SLOT_U64,
	SLOT_BYTES,
	SLOT_TEXT,
	SLOT_LIST,
	SLOT_BLOB,
	SLOT_TREE
};

struct layout;

/*
 * One field.  `n`: the largest value of a U8, the length of BYTES, the capacity of a
 * LIST or a BLOB.
 */
struct slot {
	enum slot_kind kind;
	size_t at;
	uint32_t n;
	size_t count_at;         /* SLOT_LIST, SLOT_BLOB: of its uint32_t */
	const struct layout *of; /* SLOT_LIST: its elements */
};

struct layout {
	const struct slot *slots;
	size_t n;
	size_t size; /* of the struct */
};

/* Of struct state. */
extern const struct layout state_layout;
