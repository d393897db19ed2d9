/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's file, damaged.  An input that begins with 0 is the file; another is what is in it,
 * and gets the head it needs to be looked at.
 */
#include <assert.h>

#include "client-sdk/src/state.h"

/* Of a slot: the CRC, of what stands behind it; how many bytes follow the head. */
#define CRC_AT   8u
#define LEN_AT   12u
#define HEAD_LEN 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < 8 * n; i++) {
		crc ^= i % 8 == 0 ? p[i / 8] : 0u;
		crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Another version's file has more or less in it: what is read is written whole, and stays so. */
static void check(struct bytes file)
{
	static struct state s, again, none;
	static uint8_t out[STATE_MAX], twice[STATE_MAX];
	uint64_t generation, same;
	size_t n;
	int err = state_read(&s, file, &generation);

	if (err != 0) {
		assert(err == ERR_CORRUPT && memcmp(&s, &none, sizeof(s)) == 0);
		return;
	}
	n = state_write(&s, generation, out);
	err = state_read(&again, bytes_of(out, n), &same);
	assert(err == 0 && same == generation && memcmp(&s, &again, sizeof(s)) == 0);
	assert(state_write(&again, same, twice) == n && memcmp(out, twice, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct state none;
	static uint8_t file[STATE_MAX];

	if (n == 0 || n - 1 + HEAD_LEN > STATE_MAX)
		return 0;
	if (data[0] == 0) {
		check(bytes_of(data + 1, n - 1));
		return 0;
	}
	(void)state_write(&none, 1, file); /* for its head */
	memcpy(file + HEAD_LEN, data + 1, n - 1);
	put_be32(file + LEN_AT, (uint32_t)(n - 1));
	put_be32(file + CRC_AT, crc32(file + LEN_AT, HEAD_LEN - LEN_AT + n - 1));
	check(bytes_of(file, HEAD_LEN + n - 1));
	return 0;
}
