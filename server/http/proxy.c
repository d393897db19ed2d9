/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/proxy.h"

#include <string.h>

#define FIXED 16u /* bytes: signature, command, family, length */

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { LOCAL = 0x20, PROXY = 0x21 };

/* All families there are, of streams; those of datagrams are of no use here. */
static const struct {
	uint8_t family;
	size_t length; /* of the addresses */
} families[] = {
	{ 0x00, 0 },   /* unspecified */
	{ 0x11, 12 },  /* TCP over IPv4 */
	{ 0x21, 36 },  /* TCP over IPv6 */
	{ 0x31, 216 }, /* Unix */
};

static void read_v4(const uint8_t *p, union address *peer)
{
	*peer = (union address){ .v4 = { .sin_family = AF_INET } };
	memcpy(&peer->v4.sin_addr, p, 4);
	memcpy(&peer->v4.sin_port, p + 8, 2);
}

static void read_v6(const uint8_t *p, union address *peer)
{
	*peer = (union address){ .v6 = { .sin6_family = AF_INET6 } };
	memcpy(&peer->v6.sin6_addr, p, 16);
	memcpy(&peer->v6.sin6_port, p + 32, 2);
}

static bool is_family(uint8_t family, size_t length)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i].family == family)
			return length >= families[i].length;
	return false;
}

ssize_t proxy_read(struct bytes in, union address *peer, enum proxy_said *said)
{
	const uint8_t *p = in.p;
	size_t seen = in.n < sizeof(signature) ? in.n : sizeof(signature), length;

	if (memcmp(p, signature, seen) != 0)
		return ERR_MALFORMED;
	if (in.n < FIXED)
		return 0;
	length = get_be16(p + 14);
	if (length > PROXY_MAX - FIXED || (p[12] != LOCAL && p[12] != PROXY))
		return ERR_MALFORMED;
	if (p[12] == PROXY && !is_family(p[13], length))
		return ERR_MALFORMED;
	if (in.n < FIXED + length)
		return 0;
	*said = PROXY_NOTHING;
	if (p[12] == PROXY && (p[13] == 0x11 || p[13] == 0x21)) {
		*said = PROXY_ADDRESS;
		(p[13] == 0x11 ? read_v4 : read_v6)(p + FIXED, peer);
	}
	return (ssize_t)(FIXED + length);
}
