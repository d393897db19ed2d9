/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in and out of bytes: lint, then protobuf-c into a fixed arena.  Nothing is freed piece
 * by piece; a message lives as long as its arena, which its texts and bytes are copied to.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "proto/bytes.h"
#include "proto/err.h"
#include "proto/lint.h"

struct arena {
	uint8_t *base;
	size_t size, used;
};

/* 16-byte aligned, or NULL when the arena is full. */
void *arena_alloc(struct arena *a, size_t n);

/* Caps for each place bytes come from. */
extern const struct lint_rules wire_device;   /* a device's request body */
extern const struct lint_rules wire_envelope; /* an Envelope, from anywhere */
extern const struct lint_rules wire_signed;   /* a signed payload: newer fields are tolerated */
extern const struct lint_rules wire_command;  /* an AdminCommand: seats for 1 000 devices */
extern const struct lint_rules wire_admin;    /* the admin socket, and a poll's answer */
extern const struct lint_rules wire_reply;    /* the server's answer there: all of its rollouts */

/*
 * Checks and unpacks `in`; the message lives in `a`, all of it.  NULL with `*err` set to what lint()
 * says, or ERR_NO_ROOM.
 */
WARN_UNUSED void *wire_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a, int *err);

/* Packed size of any generated message. */
size_t wire_size(const void *message);
/* Packs into `out`, which holds wire_size(message) bytes; returns that size. */
size_t wire_write(const void *message, uint8_t *out);
/* Packs into the arena; on 0 `*out` points there.  Errors: ERR_NO_ROOM. */
WARN_UNUSED int wire_pack(const void *message, struct arena *a, struct bytes *out);

/* A protobuf bytes field, borrowed both ways. */
static inline struct bytes wire_bytes(ProtobufCBinaryData d)
{
	return bytes_of(d.data, d.len);
}

static inline ProtobufCBinaryData wire_data(const void *p, size_t n)
{
	union {
		const void *in;
		uint8_t *out; /* protobuf-c does not write through it */
	} u = { p };
	return (ProtobufCBinaryData){ n, u.out };
}
