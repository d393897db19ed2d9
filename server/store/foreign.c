/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/foreign.h"

#include <assert.h>

#define HEAD 64u /* the name is behind it */

enum flag { CANCELLING = 1, TELLS_BUILD = 2, WANTS = 4, HAS_TOKEN = 8, FLAGS = 15 };

static uint8_t flags_of(const struct stored_foreign *f)
{
	return (uint8_t)((f->state.cancelling ? CANCELLING : 0) |
		(f->state.tells_build ? TELLS_BUILD : 0) | (f->state.wants ? WANTS : 0) |
		(f->has_token ? HAS_TOKEN : 0));
}

static size_t pack(const struct stored_foreign *f, uint8_t r[HEAD + FOREIGN_NAME_MAX])
{
	size_t n = strlen(f->name);

	assert(n > 0 && n <= FOREIGN_NAME_MAX);
	memset(r, 0, HEAD);
	r[0] = (uint8_t)f->state.protocol;
	r[1] = (uint8_t)f->state.state;
	r[2] = flags_of(f);
	put_be32(r + 4, f->state.counted);
	put_be32(r + 8, f->state.action);
	put_be64(r + 16, f->state.build);
	put_be64(r + 24, f->state.counter);
	put_be64(r + 32, f->state.runs);
	put_be64(r + 40, f->state.since_ms);
	if (f->has_token)
		memcpy(r + 48, f->token, TOKEN_LEN);
	memcpy(r + HEAD, f->name, n);
	return HEAD + n;
}

static bool unpack(struct bytes r, struct stored_foreign *f)
{
	if (r.n <= HEAD || r.n > HEAD + FOREIGN_NAME_MAX || r.p[0] == 0 || r.p[0] >= FOREIGN__END ||
		r.p[1] >= FOREIGN_STATE__COUNT || r.p[2] > FLAGS ||
		memchr(r.p + HEAD, '\0', r.n - HEAD) != NULL)
		return false;
	memset(f, 0, sizeof(*f));
	f->state = (struct foreign){
		.protocol = (enum foreign_protocol)r.p[0],
		.state = (enum foreign_state)r.p[1],
		.cancelling = r.p[2] & CANCELLING,
		.tells_build = r.p[2] & TELLS_BUILD,
		.wants = r.p[2] & WANTS,
		.counted = get_be32(r.p + 4),
		.action = get_be32(r.p + 8),
		.build = get_be64(r.p + 16),
		.counter = get_be64(r.p + 24),
		.runs = get_be64(r.p + 32),
		.since_ms = get_be64(r.p + 40),
	};
	f->has_token = r.p[2] & HAS_TOKEN;
	memcpy(f->token, r.p + 48, TOKEN_LEN);
	memcpy(f->name, r.p + HEAD, r.n - HEAD);
	return f->state.action <= INT32_MAX;
}

bool foreign_get(struct store_txn *t, const uint8_t id[ID_LEN], struct stored_foreign *out)
{
	struct bytes v;

	if (!store_get(t, STORE_FOREIGN, bytes_of(id, ID_LEN), &v))
		return false;
	if (!unpack(v, out))
		t->err = ERR_CORRUPT;
	return t->err == 0;
}

void foreign_put(struct store_txn *t, const uint8_t id[ID_LEN], const struct stored_foreign *f)
{
	uint8_t r[HEAD + FOREIGN_NAME_MAX];
	size_t n = pack(f, r);

	store_put(t, STORE_FOREIGN, bytes_of(id, ID_LEN), bytes_of(r, n));
}

void foreign_delete(struct store_txn *t, const uint8_t id[ID_LEN])
{
	store_delete(t, STORE_FOREIGN, bytes_of(id, ID_LEN));
}

bool foreign_read(const struct store_cursor *c, uint8_t id[ID_LEN], struct stored_foreign *out)
{
	if (c->key.n != ID_LEN || !unpack(c->value, out))
		return false;
	memcpy(id, c->key.p, ID_LEN);
	return true;
}
