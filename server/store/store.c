/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "server/base/mem.h"

#define FORMAT      1u
#define ERROR_MAX   256
#define MAX_READERS 64

struct store {
	MDB_env *env;
	MDB_dbi table[STORE__COUNT];
	_Atomic uint64_t transactions;
};

static const char *const table_name[STORE__COUNT] = {
	[STORE_META] = "meta",
	[STORE_LOG] = "log",
	[STORE_ENVELOPE] = "envelope",
	[STORE_DEVICE] = "device",
	[STORE_KEY] = "key",
	[STORE_WAITING] = "waiting",
	[STORE_ARM] = "arm",
	[STORE_STAGE] = "stage",
	[STORE_ROW] = "row",
	[STORE_SEEN] = "seen",
	[STORE_NOVEL] = "novel",
	[STORE_HIT] = "hit",
	[STORE_TOKEN] = "token",
};

static MDB_val val(struct bytes b)
{
	union {
		const void *in;
		void *out; /* LMDB does not write through it */
	} u = { b.p };
	return (MDB_val){ b.n, u.out };
}

/* LMDB's own codes are one to us: what matters is whether space ran out. */
static int err_of(int rc)
{
	if (rc == MDB_SUCCESS)
		return 0;
	if (rc == MDB_MAP_FULL || rc == ENOSPC)
		return -ENOSPC;
	return ERR_STORE;
}

static int open_tables(struct store *s, MDB_txn *txn)
{
	int rc = 0;

	for (unsigned t = 0; rc == 0 && t < STORE__COUNT; t++)
		rc = mdb_dbi_open(txn, table_name[t], MDB_CREATE, &s->table[t]);
	return rc;
}

/* A new environment gets our number; an old one must have it. */
static int check_format(struct store *s, char *error)
{
	struct store_txn t;
	struct bytes have;
	uint8_t number[4];

	put_be32(number, FORMAT);
	store_begin(s, &t, true);
	if (!store_get(&t, STORE_META, bytes_str("format"), &have)) {
		store_put(&t, STORE_META, bytes_str("format"), bytes_of(number, 4));
	} else if (have.n != 4 || get_be32(have.p) != FORMAT) {
		(void)snprintf(error, ERROR_MAX,
			"store: written by another version (format %u, this is %u)",
			have.n == 4 ? get_be32(have.p) : 0, FORMAT);
		store_abort(&t);
		return ERR_STORE;
	}
	return store_commit(&t);
}

static int open_env(struct store *s, const char *path, uint64_t map_bytes)
{
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&s->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, STORE__COUNT);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(s->env, MAX_READERS);
	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc == 0)
		rc = open_tables(s, txn);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc;
}

int store_open(const char *path, uint64_t map_bytes, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;

	if (rc == 0)
		rc = open_env(s, path, map_bytes);
	if (rc != 0)
		(void)snprintf(error, ERROR_MAX, "store: %s: %s", path, mdb_strerror(rc));
	else
		rc = check_format(s, error);
	if (rc != 0) {
		store_close(s);
		return ERR_STORE;
	}
	*out = s;
	return 0;
}

/* LMDB sizes the map after the file when it is told nothing. */
static int open_read(struct store *s, const char *path)
{
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&s->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, STORE__COUNT);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	for (unsigned t = 0; rc == 0 && t < STORE__COUNT; t++)
		rc = mdb_dbi_open(txn, table_name[t], 0, &s->table[t]);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc;
}

int store_open_read(const char *path, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc = open_read(s, path);

	if (rc != 0) {
		(void)snprintf(error, ERROR_MAX, "store: %s: %s", path, mdb_strerror(rc));
		store_close(s);
		return ERR_STORE;
	}
	*out = s;
	return 0;
}

int store_copy(struct store *s, int fd)
{
	return err_of(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
}

static uint64_t table_bytes(const MDB_stat *st)
{
	return (uint64_t)st->ms_psize *
		(st->ms_branch_pages + st->ms_leaf_pages + st->ms_overflow_pages);
}

int store_info(struct store_txn *t, struct store_info *out)
{
	MDB_envinfo env;
	MDB_stat st;
	struct bytes v;
	uint64_t used = 0;
	int rc = mdb_env_info(t->store->env, &env);

	*out = (struct store_info){ 0 };
	for (unsigned i = 0; rc == 0 && i < STORE__COUNT; i++) {
		rc = mdb_stat(t->mdb, t->store->table[i], &st);
		out->page_bytes = st.ms_psize;
		out->table[i].records = st.ms_entries;
		out->table[i].bytes = table_bytes(&st);
		used += out->table[i].bytes;
	}
	if (rc != 0)
		return err_of(rc);
	if (store_get(t, STORE_META, bytes_str("format"), &v) && v.n == 4)
		out->format = get_be32(v.p);
	out->last_commit = env.me_last_txnid;
	out->file_bytes = (env.me_last_pgno + 1) * out->page_bytes;
	out->free_bytes = out->file_bytes > used ? out->file_bytes - used : 0;
	return t->err;
}

const char *store_table_str(enum store_table table)
{
	return (unsigned)table < STORE__COUNT ? table_name[table] : NULL;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	mdb_env_close(s->env);
	free(s);
}

uint64_t store_transactions(const struct store *s)
{
	return atomic_load(&s->transactions);
}

void store_begin(struct store *s, struct store_txn *t, bool write)
{
	MDB_txn *txn = NULL;

	*t = (struct store_txn){ .store = s };
	(void)atomic_fetch_add(&s->transactions, 1);
	t->err = err_of(mdb_txn_begin(s->env, NULL, write ? 0 : MDB_RDONLY, &txn));
	t->mdb = txn;
}

int store_commit(struct store_txn *t)
{
	if (t->err != 0)
		store_abort(t);
	else
		t->err = err_of(mdb_txn_commit(t->mdb));
	t->mdb = NULL;
	return t->err;
}

void store_abort(struct store_txn *t)
{
	if (t->mdb != NULL)
		mdb_txn_abort(t->mdb);
	t->mdb = NULL;
}

bool store_get(struct store_txn *t, enum store_table table, struct bytes key, struct bytes *value)
{
	MDB_val k = val(key), v;
	int rc;

	if (t->err != 0)
		return false;
	rc = mdb_get(t->mdb, t->store->table[table], &k, &v);
	if (rc == MDB_NOTFOUND)
		return false;
	t->err = err_of(rc);
	*value = bytes_of(v.mv_data, v.mv_size);
	return t->err == 0;
}

void store_put(struct store_txn *t, enum store_table table, struct bytes key, struct bytes value)
{
	MDB_val k = val(key), v = val(value);

	assert(key.n > 0 && key.n <= 511);
	if (t->err == 0)
		t->err = err_of(mdb_put(t->mdb, t->store->table[table], &k, &v, 0));
}

void store_delete(struct store_txn *t, enum store_table table, struct bytes key)
{
	MDB_val k = val(key);
	int rc;

	if (t->err != 0)
		return;
	rc = mdb_del(t->mdb, t->store->table[table], &k, NULL);
	if (rc != MDB_NOTFOUND)
		t->err = err_of(rc);
}

uint64_t store_count(struct store_txn *t, enum store_table table)
{
	MDB_stat st = { 0 };

	if (t->err == 0)
		t->err = err_of(mdb_stat(t->mdb, t->store->table[table], &st));
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
	k = val(bytes_of(behind, sizeof(behind)));
	rc = mdb_cursor_open(t->mdb, t->store->table[table], &cursor);
	if (rc == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		rc = mdb_cursor_get(cursor, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
		mdb_cursor_close(cursor);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		t->err = err_of(rc);
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

	*c = (struct store_cursor){ .txn = t, .prefix = prefix, .from = from };
	if (t->err == 0)
		t->err = err_of(mdb_cursor_open(t->mdb, t->store->table[table], &cursor));
	c->mdb = cursor;
}

bool store_next(struct store_cursor *c)
{
	MDB_val k = val(c->from), v;
	/* No key is empty: one that was read says where to go on. */
	MDB_cursor_op op = c->key.n > 0 ? MDB_NEXT : c->from.n > 0 ? MDB_SET_RANGE : MDB_FIRST;
	int rc;

	if (c->txn->err != 0)
		store_cursor_close(c);
	if (c->mdb == NULL)
		return false;
	rc = mdb_cursor_get(c->mdb, &k, &v, op);
	if (rc != 0 && rc != MDB_NOTFOUND)
		c->txn->err = err_of(rc);
	if (rc != 0 || k.mv_size < c->prefix.n ||
		(c->prefix.n > 0 && memcmp(k.mv_data, c->prefix.p, c->prefix.n) != 0)) {
		store_cursor_close(c);
		return false;
	}
	c->key = bytes_of(k.mv_data, k.mv_size);
	c->value = bytes_of(v.mv_data, v.mv_size);
	return true;
}

void store_cursor_close(struct store_cursor *c)
{
	if (c->mdb != NULL)
		mdb_cursor_close(c->mdb);
	c->mdb = NULL;
}
