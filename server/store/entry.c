/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/entry.h"

#include <stdio.h>

void entry_append(struct store_txn *t, uint64_t index, struct bytes log_entry)
{
	uint8_t key[8];

	if (entry_count(t) != index && t->err == 0)
		t->err = ERR_CORRUPT;
	put_be64(key, index);
	store_put(t, STORE_LOG, bytes_of(key, 8), log_entry);
}

bool entry_get(struct store_txn *t, uint64_t index, struct bytes *out)
{
	uint8_t key[8];

	put_be64(key, index);
	return store_get(t, STORE_LOG, bytes_of(key, 8), out);
}

uint64_t entry_count(struct store_txn *t)
{
	return store_count(t, STORE_LOG);
}

bool envelope_get(struct store_txn *t, const char *name, struct bytes *out)
{
	return store_get(t, STORE_ENVELOPE, bytes_str(name), out);
}

void envelope_put(struct store_txn *t, const char *name, struct bytes envelope)
{
	store_put(t, STORE_ENVELOPE, bytes_str(name), envelope);
}

uint16_t name_number(struct store_txn *t, const char *kind, const char *name)
{
	char key[96], last[32];
	struct bytes v;
	uint8_t number[2];
	uint16_t next = 0;

	(void)snprintf(key, sizeof(key), "%s/%s", kind, name);
	(void)snprintf(last, sizeof(last), "%s", kind);
	if (store_get(t, STORE_META, bytes_str(key), &v) && v.n == 2)
		return get_be16(v.p);
	if (store_get(t, STORE_META, bytes_str(last), &v) && v.n == 2)
		next = get_be16(v.p);
	put_be16(number, next);
	store_put(t, STORE_META, bytes_str(key), bytes_of(number, 2));
	put_be16(number, (uint16_t)(next + 1));
	store_put(t, STORE_META, bytes_str(last), bytes_of(number, 2));
	return next;
}
