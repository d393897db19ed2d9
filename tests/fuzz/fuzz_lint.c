/* SPDX-License-Identifier: Apache-2.0 */
/* The first pass over bytes from outside, as each message there is. */
#include <assert.h>

#include "messages.h"
#include "proto/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct lint_rules strict = { 2048, 4, 0 }, loose = { 65536, 256, 16 };
	const ProtobufCMessageDescriptor *type;
	struct bytes in;
	int err;

	if (n == 0)
		return 0;
	type = messages[data[0] % (sizeof(messages) / sizeof(messages[0]))];
	in = bytes_of(data + 1, n - 1);
	err = lint(type, in, &strict);
	/* A refusal has a name, and what the strict take the loose take. */
	assert(err == 0 || strcmp(err_name(err), "ERRNO") != 0);
	assert(err != 0 || (in.n <= strict.max_bytes && lint(type, in, &loose) == 0));
	return 0;
}
