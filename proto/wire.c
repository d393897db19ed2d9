/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

const struct lint_rules wire_device = { 16 * 1024, 32, 0 };
const struct lint_rules wire_envelope = { 64 * 1024, 16, 0 };
const struct lint_rules wire_signed = { 64 * 1024, 256, 16 };
const struct lint_rules wire_command = { 64 * 1024, 1024, 16 };
const struct lint_rules wire_admin = { 4 * 1024 * 1024, 4096, 0 };
const struct lint_rules wire_reply = { 32 * 1024 * 1024, 65536, 0 };

void *arena_alloc(struct arena *a, size_t n)
{
	size_t start = (a->used + 15) & ~(size_t)15;

	if (start > a->size || n > a->size - start)
		return NULL;
	a->used = start + n;
	return a->base + start;
}

static void *pb_alloc(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void pb_free(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

void *wire_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a, int *err)
{
	ProtobufCAllocator allocator = { pb_alloc, pb_free, a };
	void *message;

	*err = lint(type, in, rules);
	if (*err != 0)
		return NULL;
	message = protobuf_c_message_unpack(type, &allocator, in.n, in.p);
	if (message == NULL)
		*err = ERR_NO_ROOM;
	return message;
}

size_t wire_size(const void *message)
{
	return protobuf_c_message_get_packed_size(message);
}

size_t wire_write(const void *message, uint8_t *out)
{
	return protobuf_c_message_pack(message, out);
}

int wire_pack(const void *message, struct arena *a, struct bytes *out)
{
	size_t n = wire_size(message);
	uint8_t *p = arena_alloc(a, n);

	if (p == NULL)
		return ERR_NO_ROOM;
	*out = bytes_of(p, wire_write(message, p));
	return 0;
}
