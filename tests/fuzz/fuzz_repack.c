/* SPDX-License-Identifier: Apache-2.0 */
/* What passes lint is canonical: unpacked and packed again it is the same bytes. */
#include <assert.h>

#include "messages.h"
#include "proto/wire.h"

#define ARENA ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct lint_rules rules = { 65536, 64, 0 };
	static uint8_t memory[ARENA];
	struct arena a = { memory, sizeof(memory), 0 };
	const ProtobufCMessageDescriptor *type;
	const void *message;
	struct bytes in, again;
	int err, packed;

	if (n == 0)
		return 0;
	type = messages[data[0] % (sizeof(messages) / sizeof(messages[0]))];
	in = bytes_of(data + 1, n - 1);
	message = wire_read(type, in, &rules, &a, &err);
	assert((message != NULL) == (err == 0) && err == lint(type, in, &rules));
	if (message == NULL)
		return 0;
	packed = wire_pack(message, &a, &again);
	assert(packed == 0 && bytes_eq(in, again));
	return 0;
}
