/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/migrate.h"

#include <assert.h>

#include "server/store/device.h"
#include "server/store/store_private.h"

static void copy_table(struct store_txn *t, MDB_txn *old, enum store_table table)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	int rc = mdb_cursor_open(old, t->store->table[table], &cursor);

	while (rc == 0 && t->err == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		if (rc == 0)
			store_put(t, table, bytes_of(k.mv_data, k.mv_size),
				bytes_of(v.mv_data, v.mv_size));
	}
	if (rc != 0 && rc != MDB_NOTFOUND && t->err == 0)
		t->err = store_err(rc);
	mdb_cursor_close(cursor);
}

/* Read from the snapshot of before: nothing is rewritten under the cursor. */
static void add_checksums(struct store_txn *t)
{
	MDB_txn *old = NULL;
	int rc = mdb_txn_begin(t->store->env, NULL, MDB_RDONLY, &old);

	if (rc != 0)
		t->err = store_err(rc);
	for (unsigned i = 0; t->err == 0 && i < STORE__COUNT; i++)
		if (!t->store->made[i])
			copy_table(t, old, (enum store_table)i);
	if (old != NULL)
		mdb_txn_abort(old);
}

static void hash_compressed_keys(struct store_txn *t)
{
	int rc = mdb_drop(t->mdb, t->store->table[STORE_KEY], 0);
	uint8_t hash[SHA256_LEN];
	struct store_cursor c;
	struct device d;

	if (rc != 0)
		t->err = store_err(rc);
	store_foreach(&c, t, STORE_DEVICE, bytes_of(NULL, 0)) {
		if (!device_read(&c, &d))
			t->err = ERR_CORRUPT;
		else if (device_key_hash(d.public_key, hash) != 0)
			t->err = ERR_CRYPTO;
		else
			device_key_put(t, hash, d.id);
	}
}

/* The table is made with all that are missing. */
static void add_foreign(struct store_txn *t)
{
	(void)t;
}

static void (*const from_format[STORE_FORMAT])(struct store_txn *t) = {
	[1] = add_checksums,
	[2] = hash_compressed_keys,
	[3] = add_foreign,
};

void migrate(struct store_txn *t, uint32_t from)
{
	assert(from > 0 && from < STORE_FORMAT);
	from_format[from](t);
}
