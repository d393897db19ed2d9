/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/envelope.h"
#include "proto/merkle.h"
#include "proto/names.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/store/entry.h"
#include "server/store/journal.h"

#define ARENA_SIZE ((size_t)4 * 1024 * 1024)
#define COPY_BYTES ((size_t)1 << 20)

/* ---- the log ---- */

struct making {
	struct restored_log *log;
	struct store_txn *t;
	struct arena arena;
	struct merkle tree;
	bool as_signed; /* it was, when it was as long as the ledger */
};

static int add_leaf(struct making *m, struct bytes entry)
{
	uint8_t leaf[SHA256_LEN], root[SHA256_LEN];
	int err;

	m->arena.used = 0;
	err = merkle_leaf(crypto_openssl(), entry, &m->arena, leaf);
	if (err == 0)
		err = merkle_add(crypto_openssl(), &m->tree, leaf);
	if (err == 0 && m->tree.size == m->log->want.size)
		err = merkle_root(crypto_openssl(), &m->tree, root);
	else
		return err;
	m->as_signed = err == 0 && memcmp(root, m->log->want.root, SHA256_LEN) == 0;
	return err;
}

/* What is in the log as a directive is served as it stands there. */
static void put_director(struct making *m, struct bytes entry)
{
	char name[METADATA_NAME_MAX];
	enum envelope_type type;
	const Pb__Director *d;
	const Pb__Envelope *e;
	const Pb__LogEntry *l;
	int err;

	m->arena.used = 0;
	l = wire_read(&pb__log_entry__descriptor, entry, &wire_signed, &m->arena, &err);
	e = l == NULL ? NULL : envelope_read(wire_bytes(l->envelope), &m->arena, &err);
	if (e == NULL || !envelope_type_of(e, &type) || type != ENVELOPE_DIRECTOR)
		return;
	d = wire_read(
		&pb__director__descriptor, wire_bytes(e->payload), &wire_signed, &m->arena, &err);
	if (d != NULL && d->ring < RING__COUNT)
		envelope_put(m->t, metadata_director(name, d->product, d->ring),
			wire_bytes(l->envelope));
}

static int take(void *ctx, uint64_t index, struct bytes entry)
{
	struct making *m = ctx;
	struct bytes have;

	m->log->size = index;
	if (index < m->log->had) {
		if (!entry_get(m->t, index, &have))
			return m->t->err != 0 ? m->t->err : ERR_CORRUPT;
		return bytes_eq(have, entry) ? 0 : ERR_MISMATCH;
	}
	entry_append(m->t, index, entry);
	put_director(m, entry);
	return m->t->err;
}

static int read_tree(struct making *m)
{
	struct bytes entry;
	uint64_t n = entry_count(m->t);
	int err = 0;

	for (uint64_t i = 0; err == 0 && i < n; i++)
		err = entry_get(m->t, i, &entry) ? add_leaf(m, entry) : ERR_CORRUPT;
	m->log->size = n;
	return m->t->err != 0 ? m->t->err : err;
}

static int make(struct making *m, struct journal *j)
{
	struct restored_log *l = m->log;
	int err = 0;

	l->had = entry_count(m->t);
	l->journal = j != NULL ? journal_count(j) : 0;
	l->cut = j != NULL && journal_rest(j) > 0;
	if (j != NULL)
		err = journal_each(j, 0, take, m);
	if (err == 0)
		err = read_tree(m);
	if (err != 0)
		return err;
	if (l->size < l->want.size)
		return ERR_FLOOR;
	return m->as_signed || l->want.size == 0 ? 0 : ERR_FORKED;
}

int restored_log_make(struct restored_log *l, struct store *s, const char *journal)
{
	struct making m = { .log = l, .arena = { mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 } };
	struct journal *j = NULL;
	struct store_txn t;
	int err = journal != NULL ? journal_open_read(journal, &j, l->error) : 0;

	if (err == 0) {
		m.t = &t;
		store_begin(s, &t, true);
		err = t.err != 0 ? t.err : make(&m, j);
		if (err == 0)
			err = store_commit(&t);
		else
			store_abort(&t);
		journal_close(j);
	}
	free(m.arena.base);
	return err;
}

/* ---- files ---- */

static int copy_bytes(int in, int out)
{
	uint8_t *block = mem_alloc(COPY_BYTES);
	uint64_t at = 0;
	ssize_t n = 1;
	int err = 0;

	while (err == 0 && n > 0) {
		n = pread(in, block, COPY_BYTES, (off_t)at);
		if (n < 0)
			err = -errno;
		else
			err = file_write_at(out, at, bytes_of(block, (size_t)n));
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (err == 0 && fsync(out) != 0)
		err = -errno;
	free(block);
	return err;
}

int restore_copy(const char *from, const char *to)
{
	struct stat st;
	bool folder = stat(from, &st) == 0 && S_ISDIR(st.st_mode);
	char *source = folder ? mem_printf("%s/data.mdb", from) : mem_strdup(from);
	char *target = mem_printf("%s/data.mdb", to);
	int in = open(source, O_RDONLY | O_CLOEXEC);
	int err = in < 0 ? -errno : 0;
	int out = err != 0 ? -1 : open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (err == 0 && out < 0)
		err = -errno;
	if (err == 0)
		err = copy_bytes(in, out);
	if (in >= 0)
		(void)close(in); /* only read */
	if (out >= 0)
		(void)close(out); /* it was synced */
	free(source);
	free(target);
	return err;
}

static int settle_file(const char *path, const struct stat *like)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (err == 0 && geteuid() == 0 && fchown(fd, like->st_uid, like->st_gid) != 0)
		err = -errno;
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (fd >= 0)
		(void)close(fd); /* it was synced */
	return err;
}

int restore_settle(const char *folder, const char *like)
{
	char *data = mem_printf("%s/data.mdb", folder), *lock = mem_printf("%s/lock.mdb", folder);
	struct stat st;
	int err = stat(like, &st) != 0 ? -errno : 0;

	(void)unlink(lock); /* whoever opens it makes its own */
	if (err == 0)
		err = settle_file(data, &st);
	if (err == 0)
		err = settle_file(folder, &st);
	free(data);
	free(lock);
	return err;
}

int restore_exchange(const char *made, const char *store, const char *kept)
{
	int err;

	if (access(store, F_OK) != 0 && errno == ENOENT) {
		err = rename(made, store) != 0 ? -errno : 0;
		return err == 0 ? file_sync_entry(store) : err;
	}
	err = rename(made, kept) != 0 ? -errno : 0;
	if (err == 0)
		err = file_sync_entry(kept);
	if (err == 0 && renameat2(AT_FDCWD, kept, AT_FDCWD, store, RENAME_EXCHANGE) != 0) {
		err = -errno;
		(void)rename(kept, made); /* as it was before: the caller removes it */
	}
	return err == 0 ? file_sync_entry(store) : err;
}

void restore_remove(const char *folder)
{
	char *data = mem_printf("%s/data.mdb", folder), *lock = mem_printf("%s/lock.mdb", folder);

	(void)unlink(data);  /* what is not there needs no removing */
	(void)unlink(lock);  /* likewise */
	(void)rmdir(folder); /* likewise, and what else is in it is not ours */
	free(data);
	free(lock);
}
