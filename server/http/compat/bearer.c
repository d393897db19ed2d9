/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/bearer.h"

#include "proto/crypto.h"
#include "server/service/fleet.h"

#define BODY   (ID_LEN + 6u)
#define SKEW_S 3600u /* the clock may have been set back */

static int sign(struct desk *d, const uint8_t body[BODY], uint8_t mac[SHA256_LEN])
{
	static const char domain[] = "huidu/mender-token/v1"; /* its NUL is part of it */
	const struct server *s = d->server;
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(body, BODY) };

	return crypto_mac_sign(d->foreign_mac,
		bytes_of(s->foreign_secret, sizeof(s->foreign_secret)), part, 2, mac);
}

int bearer_write(struct desk *d, const struct bearer *b, char out[BEARER_LEN + 1])
{
	uint8_t bytes[BEARER_BYTES];
	int err;

	memcpy(bytes, b->id, ID_LEN);
	put_be16(bytes + ID_LEN, b->product);
	put_be32(bytes + ID_LEN + 2, b->issued_s);
	err = sign(d, bytes, bytes + BODY);
	out[base64_write(bytes_of(bytes, sizeof(bytes)), out)] = '\0';
	return err;
}

bool bearer_read(struct desk *d, struct bytes text, uint64_t now_s, struct bearer *out)
{
	uint8_t bytes[BEARER_BYTES], mac[SHA256_LEN];
	size_t n;
	int err;

	if (base64_read(text, bytes, sizeof(bytes), &n) != 0 || n != sizeof(bytes))
		return false;
	/* Memory is slow: if it is right this will be needed. */
	fleet_prefetch(d->server->fleet, bytes);
	err = sign(d, bytes, mac);
	fleet_prefetch_word(d->server->fleet, bytes);
	if (err != 0 || !crypto_equal(mac, bytes + BODY, SHA256_LEN))
		return false;
	memcpy(out->id, bytes, ID_LEN);
	out->product = get_be16(bytes + ID_LEN);
	out->issued_s = get_be32(bytes + ID_LEN + 2);
	return now_s + SKEW_S >= out->issued_s && now_s < (uint64_t)out->issued_s + BEARER_LIFE_S;
}
