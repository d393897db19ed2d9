/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: copied, measured, tidied. */
#include "server/base/log.h"
#include "server/store/store_private.h"

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

uint64_t store_bytes(const struct store *s)
{
	MDB_envinfo info = { 0 };
	MDB_stat st = { 0 };

	if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &st) != 0)
		return 0;
	return (info.me_last_pgno + 1) * st.ms_psize;
}

void store_tidy(struct store *s)
{
	int dead = 0, rc = mdb_reader_check(s->env, &dead);

	if (rc != 0)
		log_warn("store: readers: %s", mdb_strerror(rc));
	else if (dead > 0)
		log_info("store: %d readers that had ended were forgotten", dead);
}
