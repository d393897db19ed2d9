/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What LMDB alone does with the writes of reports.c: the same file and flags, the same records in the
 * same order, as many of them in a commit; their bytes are read before and written back.
 */
#include <stdio.h>

#include "bench/store/store.h"
#include "server/base/mem.h"
#include "server/store/store_private.h"

#define VALUE_MAX 64u
#define KEY_MAX   32u

struct record {
	uint8_t key[KEY_MAX], value[VALUE_MAX];
	size_t key_n, value_n;
	MDB_dbi table;
};

struct raw {
	struct store *store;
	uint8_t stage[5]; /* how keys of STORE_ARM begin */
};

static void lmdb(int rc)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "store: %s\n", mdb_strerror(rc));
	exit(1);
}

static void open_raw(const struct place *p, struct raw *r)
{
	char error[STORE_ERROR_MAX];
	struct store_cursor c;
	struct store_txn t;

	must(store_open(p->store, STORE_ROOM, &r->store, error), error);
	store_begin(r->store, &t, false);
	store_seek(&c, &t, STORE_ARM, bytes_of(NULL, 0));
	must(store_next(&c) ? 0 : ERR_NOT_FOUND, "arm");
	memcpy(r->stage, c.key.p, sizeof(r->stage));
	store_cursor_close(&c);
	store_abort(&t);
}

static void read_record(MDB_txn *txn, MDB_dbi table, struct record *r)
{
	MDB_val k = { r->key_n, r->key }, v;

	r->table = table;
	lmdb(mdb_get(txn, table, &k, &v));
	must(v.mv_size <= VALUE_MAX ? 0 : ERR_TOO_BIG, "record");
	memcpy(r->value, v.mv_data, v.mv_size);
	r->value_n = v.mv_size;
}

/* The records of one report, behind each other. */
static size_t read_report(
	struct raw *w, MDB_txn *txn, const uint8_t id[ID_LEN], bool in_arm, struct record *r)
{
	memcpy(r->key, id, ID_LEN);
	r->key_n = ID_LEN;
	read_record(txn, w->store->table[STORE_DEVICE], r);
	if (!in_arm)
		return 1;
	memcpy(r[1].key, w->stage, sizeof(w->stage));
	memcpy(r[1].key + sizeof(w->stage), id, ID_LEN);
	r[1].key_n = sizeof(w->stage) + ID_LEN;
	read_record(txn, w->store->table[STORE_ARM], &r[1]);
	return 2;
}

static void run_batch(struct raw *w, const struct place *p, uint64_t first, size_t n, bool in_arm)
{
	struct record *r = mem_alloc(2 * n * sizeof(*r));
	size_t records = 0;
	struct store_txn t;
	double began;

	store_begin(w->store, &t, false);
	for (size_t i = 0; i < n; i++) {
		uint8_t id[ID_LEN];
		made_id(shuffled(first + i, p->n), p->n, id);
		records += read_report(w, t.mdb, id, in_arm, r + records);
	}
	store_abort(&t);
	began = now_us();
	store_begin(w->store, &t, true);
	must(t.err, "begin");
	for (size_t i = 0; i < records; i++) {
		MDB_val k = { r[i].key_n, r[i].key }, v = { r[i].value_n, r[i].value };
		lmdb(mdb_put(t.mdb, r[i].table, &k, &v, 0));
	}
	t.wrote = true;
	must(store_commit(&t), "commit");
	printf("{\"kind\": \"%s\", \"reports\": %zu, \"us\": %.1f}\n", in_arm ? "boot_ok" : "alive",
		n, now_us() - began);
	free(r);
}

/* The devices of a run of reports.c with the same arguments, which came before. */
int store_raw(const struct place *p, int argc, char **argv)
{
	uint64_t first = strtoull(argv[0], NULL, 10), batches = strtoull(argv[2], NULL, 10);
	size_t batch = strtoull(argv[1], NULL, 10);
	struct raw w;

	(void)argc;
	open_raw(p, &w);
	for (uint64_t b = 0; b < batches; b++, first += batch)
		run_batch(&w, p, first, batch, false);
	for (uint64_t b = 0; b < batches; b++, first += batch)
		run_batch(&w, p, first, batch, true);
	store_close(w.store);
	return 0;
}
