/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "server/base/text.h"

#define V4_BITS 96u /* of an IPv6 address, before those of the IPv4 one in it */

static bool is_zero_beyond(const struct network *n)
{
	for (unsigned bit = n->bits; bit < 8 * NETWORK_ADDRESS; bit++)
		if ((n->at[bit / 8] & 128u >> bit % 8) != 0)
			return false;
	return true;
}

int network_read(const char *text, struct network *out)
{
	static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 };
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	uint64_t most = 128, bits;

	if (n >= sizeof(host))
		return ERR_CONFIG;
	memcpy(host, text, n);
	host[n] = '\0';
	memcpy(out->at, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, host, out->at + sizeof(mapped)) == 1)
		most = 128 - V4_BITS;
	else if (inet_pton(AF_INET6, host, out->at) != 1)
		return ERR_CONFIG;
	bits = most;
	if (slash != NULL && (!text_u64(slash + 1, &bits) || bits > most))
		return ERR_CONFIG;
	out->bits = (unsigned)(bits + 128 - most);
	return is_zero_beyond(out) ? 0 : ERR_CONFIG;
}

bool network_has(const struct network *n, const uint8_t address[NETWORK_ADDRESS])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->at, address, whole) != 0)
		return false;
	return rest == 0 || (n->at[whole] ^ address[whole]) >> (8 - rest) == 0;
}
