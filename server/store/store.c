/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions, records and cursors. */
#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>

#include "proto/bucket.h"
#include "server/base/log.h"
#include "server/store/store_private.h"

int store_err(int rc)
{
	if (rc == MDB_SUCCESS)
		return 0;
	if (rc == MDB_MAP_FULL || rc == ENOSPC)
		return -ENOSPC;
	return ERR_STORE;
}

/* ---- checksums ---- */

#define CHECKSUM 4u

static uint32_t checksum(enum store_table table, struct bytes key, struct bytes value)
{
	return (uint32_t)hash64_seeded(
		value.p, value.n, hash64_seeded(key.p, key.n, (uint64_t)table));
}

/* Cuts it off; false when it is not the one that was written. */
static bool cut_checksum(enum store_table table, struct bytes key, struct bytes *value)
{
	if (value->n < CHECKSUM)
		return false;
	value->n -= CHECKSUM;
	return checksum(table, key, *value) == get_be32(value->p + value->n);
}

static int damaged(enum store_table table, struct bytes key)
{
	char hex[2 * STORE_KEY_MAX + 1];

	hex_encode(hex, key.p, key.n < STORE_KEY_MAX ? key.n : STORE_KEY_MAX);
	log_error("store: record %s of table %s is damaged; see huiductl store check", hex,
		store_table_str(table));
	return ERR_CORRUPT;
}

/* ---- transactions ---- */

/* A disk with less is full. */
#define FULL ((uint64_t)1 << 20)

uint64_t store_transactions(const struct store *s)
{
	return atomic_load(&s->transactions);
}

void store_begin(struct store *s, struct store_txn *t, bool write)
{
	MDB_txn *txn = NULL;
	int rc;

	*t = (struct store_txn){ .store = s };
	(void)atomic_fetch_add(&s->transactions, 1);
	rc = mdb_txn_begin(s->env, NULL, write ? 0 : MDB_RDONLY, &txn);
	if (rc == MDB_PANIC && !atomic_exchange(&s->dead, true))
		log_error(
			"store: the disk failed while a commit ended, and what is on it cannot be "
			"known: nothing is read or written until huidud is started again");
	t->err = store_err(rc);
	t->mdb = txn;
}

/* LMDB calls it EIO when only a part of what it wrote found room. */
static bool is_full(struct store *s)
{
	struct statvfs fs;
	int fd;

	return mdb_env_get_fd(s->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
		fs.f_bavail * fs.f_frsize < FULL;
}

/* What meta.h looks for; a transaction that wrote nothing is none to LMDB either. */
static void put_number(struct store_txn *t)
{
	uint8_t number[8];

	put_be64(number, mdb_txn_id(t->mdb));
	store_put(t, STORE_META, bytes_str("commit"), bytes_of(number, 8));
}

int store_commit(struct store_txn *t)
{
	int rc;

	if (t->wrote)
		put_number(t);
	if (t->err != 0) {
		store_abort(t);
		return t->err;
	}
	rc = mdb_txn_commit(t->mdb);
	t->err = store_err(rc == EIO && is_full(t->store) ? ENOSPC : rc);
	t->mdb = NULL;
	return t->err;
}

void store_abort(struct store_txn *t)
{
	if (t->mdb != NULL)
		mdb_txn_abort(t->mdb);
	t->mdb = NULL;
}

/* ---- records ---- */

bool store_get(struct store_txn *t, enum store_table table, struct bytes key, struct bytes *value)
{
	MDB_val k = store_val(key), v;
	int rc;

	if (t->err != 0)
		return false;
	rc = mdb_get(t->mdb, t->store->table[table], &k, &v);
	if (rc == MDB_NOTFOUND)
		return false;
	t->err = store_err(rc);
	if (t->err != 0)
		return false;
	*value = bytes_of(v.mv_data, v.mv_size);
	if (!cut_checksum(table, key, value))
		t->err = damaged(table, key);
	return t->err == 0;
}

void store_put(struct store_txn *t, enum store_table table, struct bytes key, struct bytes value)
{
	MDB_val k = store_val(key), v = { value.n + CHECKSUM, NULL };
	uint8_t *room;

	assert(key.n > 0 && key.n <= 511);
	if (t->err == 0)
		t->err = store_err(mdb_put(t->mdb, t->store->table[table], &k, &v, MDB_RESERVE));
	if (t->err != 0)
		return;
	t->wrote = true;
	room = v.mv_data;
	if (value.n > 0)
		memcpy(room, value.p, value.n);
	put_be32(room + value.n, checksum(table, key, value));
}

void store_delete(struct store_txn *t, enum store_table table, struct bytes key)
{
	MDB_val k = store_val(key);
	int rc;

	if (t->err != 0)
		return;
	rc = mdb_del(t->mdb, t->store->table[table], &k, NULL);
	t->wrote |= rc == 0;
	if (rc != MDB_NOTFOUND)
		t->err = store_err(rc);
}

uint64_t store_count(struct store_txn *t, enum store_table table)
{
	MDB_stat st = { 0 };

	if (t->err == 0)
		t->err = store_err(mdb_stat(t->mdb, t->store->table[table], &st));
	return st.ms_entries;
}

bool store_last(struct store_txn *t, enum store_table table, struct bytes prefix, struct bytes *key)
{
	uint8_t behind[STORE_KEY_MAX + 1];
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	int rc;

	assert(prefix.n < STORE_KEY_MAX);
	if (t->err != 0)
		return false;
	memset(behind, 0xff, sizeof(behind));
	memcpy(behind, prefix.p, prefix.n);
	k = store_val(bytes_of(behind, sizeof(behind)));
	rc = mdb_cursor_open(t->mdb, t->store->table[table], &cursor);
	if (rc == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		rc = mdb_cursor_get(cursor, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
		mdb_cursor_close(cursor);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		t->err = store_err(rc);
	*key = bytes_of(k.mv_data, k.mv_size);
	return rc == 0 && k.mv_size >= prefix.n && memcmp(k.mv_data, prefix.p, prefix.n) == 0;
}

void store_seek(
	struct store_cursor *c, struct store_txn *t, enum store_table table, struct bytes prefix)
{
	store_seek_from(c, t, table, prefix, prefix);
}

void store_seek_from(struct store_cursor *c, struct store_txn *t, enum store_table table,
	struct bytes prefix, struct bytes from)
{
	MDB_cursor *cursor = NULL;

	*c = (struct store_cursor){ .txn = t, .table = table, .prefix = prefix, .from = from };
	if (t->err == 0)
		t->err = store_err(mdb_cursor_open(t->mdb, t->store->table[table], &cursor));
	c->mdb = cursor;
}

bool store_next(struct store_cursor *c)
{
	MDB_val k = store_val(c->from), v;
	/* No key is empty: one that was read says where to go on. */
	MDB_cursor_op op = c->key.n > 0 ? MDB_NEXT : c->from.n > 0 ? MDB_SET_RANGE : MDB_FIRST;
	int rc;

	if (c->txn->err != 0)
		store_cursor_close(c);
	if (c->mdb == NULL)
		return false;
	rc = mdb_cursor_get(c->mdb, &k, &v, op);
	if (rc != 0 && rc != MDB_NOTFOUND)
		c->txn->err = store_err(rc);
	if (rc != 0 || k.mv_size < c->prefix.n ||
		(c->prefix.n > 0 && memcmp(k.mv_data, c->prefix.p, c->prefix.n) != 0)) {
		store_cursor_close(c);
		return false;
	}
	c->key = bytes_of(k.mv_data, k.mv_size);
	c->value = bytes_of(v.mv_data, v.mv_size);
	c->damaged = !cut_checksum(c->table, c->key, &c->value);
	if (!c->damaged || c->txn->tolerant)
		return true;
	c->txn->err = damaged(c->table, c->key);
	store_cursor_close(c);
	return false;
}

void store_cursor_close(struct store_cursor *c)
{
	if (c->mdb != NULL)
		mdb_cursor_close(c->mdb);
	c->mdb = NULL;
}
