/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: made, opened, copied, measured. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "server/base/mem.h"
#include "server/store/store_private.h"

#define FORMAT      1u
#define MAX_READERS 64
/* What a map is halved down to where so much address space is not to be had. */
#define ROOM_MIN ((uint64_t)1 << 30)

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

const char *store_table_str(enum store_table table)
{
	return (unsigned)table < STORE__COUNT ? table_name[table] : NULL;
}

static int open_env(struct store *s, const char *path, unsigned flags, uint64_t room)
{
	int rc = mdb_env_create(&s->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, STORE__COUNT);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(s->env, MAX_READERS);
	if (rc == 0 && room != 0)
		rc = mdb_env_set_mapsize(s->env, room);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, flags | MDB_NOTLS, 0600);
	return rc;
}

/* `room` 0: as much as who writes to it has. */
static int open_map(struct store *s, const char *path, unsigned flags, uint64_t room)
{
	int rc = open_env(s, path, flags, room);

	for (room = room != 0 ? room : STORE_ROOM; rc == ENOMEM && room > ROOM_MIN;) {
		mdb_env_close(s->env);
		s->env = NULL;
		room /= 2;
		rc = open_env(s, path, flags, room);
	}
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
		(void)snprintf(error, STORE_ERROR_MAX,
			"store: written by another version (format %u, this is %u)",
			have.n == 4 ? get_be32(have.p) : 0, FORMAT);
		store_abort(&t);
		return ERR_STORE;
	}
	return store_commit(&t);
}

/* The handles of the tables, made where they are missing and `flags` say so. */
static int open_tables(struct store *s, unsigned flags)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(s->env, NULL, flags & MDB_CREATE ? 0 : MDB_RDONLY, &txn);

	for (unsigned t = 0; rc == 0 && t < STORE__COUNT; t++)
		rc = mdb_dbi_open(txn, table_name[t], flags, &s->table[t]);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc;
}

static int fail(struct store *s, const char *path, int rc, char *error)
{
	if (rc != ERR_STORE)
		(void)snprintf(error, STORE_ERROR_MAX, "store: %.160s: %s", path, mdb_strerror(rc));
	store_close(s);
	return ERR_STORE;
}

int store_open(const char *path, uint64_t map_bytes, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;

	if (rc == 0)
		rc = open_map(s, path, 0, map_bytes);
	if (rc == 0)
		rc = open_tables(s, MDB_CREATE);
	if (rc == 0)
		rc = check_format(s, error);
	if (rc != 0)
		return fail(s, path, rc, error);
	*out = s;
	return 0;
}

int store_open_read(const char *path, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc = open_map(s, path, MDB_RDONLY, 0);

	if (rc == 0)
		rc = open_tables(s, 0);
	if (rc != 0)
		return fail(s, path, rc, error);
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	mdb_env_close(s->env);
	free(s);
}

int store_copy(struct store *s, int fd)
{
	return store_err(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
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
		return store_err(rc);
	if (store_get(t, STORE_META, bytes_str("format"), &v) && v.n == 4)
		out->format = get_be32(v.p);
	out->last_commit = env.me_last_txnid;
	out->file_bytes = (env.me_last_pgno + 1) * out->page_bytes;
	out->free_bytes = out->file_bytes > used ? out->file_bytes - used : 0;
	return t->err;
}
