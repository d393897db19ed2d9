/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: made, opened, brought to this format. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/meta.h"
#include "server/store/migrate.h"
#include "server/store/store_private.h"

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
	[STORE_FOREIGN] = "foreign",
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

/* The handles of the tables that are there. */
static int find_tables(struct store *s)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	for (unsigned t = 0; rc == 0 && t < STORE__COUNT; t++) {
		rc = mdb_dbi_open(txn, table_name[t], 0, &s->table[t]);
		s->made[t] = rc == MDB_NOTFOUND;
		if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return rc;
}

/*
 * Where the number stands is the same in every format: the first four bytes of this record.  0: the
 * store is new; FORMAT_DAMAGED: it is not, and has none.
 */
#define FORMAT_DAMAGED UINT32_MAX
static int read_format(struct store *s, uint32_t *format)
{
	MDB_val k = store_val(bytes_str("format")), v;
	MDB_txn *txn = NULL;
	int rc;

	*format = 0;
	if (s->made[STORE_META])
		return 0;
	*format = FORMAT_DAMAGED;
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_get(txn, s->table[STORE_META], &k, &v);
	if (rc == 0 && v.mv_size == 4 && get_be32(v.mv_data) == 1)
		*format = 1;
	else if (rc == 0 && v.mv_size == 8 && get_be32(v.mv_data) > 1)
		*format = get_be32(v.mv_data);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The commit LMDB says is the last must be the one that the records say. */
static int check_commit(struct store *s, uint32_t format)
{
	struct store_txn t;
	struct bytes v;
	uint64_t number;
	int err;

	if (format < 2 || format > STORE_FORMAT)
		return 0;
	store_begin(s, &t, false);
	if (t.err != 0)
		return t.err;
	number = mdb_txn_id(t.mdb);
	/* A compacted copy begins to count anew. */
	if (number > 1 &&
		!(store_get(&t, STORE_META, bytes_str("commit"), &v) && v.n == 8 &&
			get_be64(v.p) == number))
		t.err = ERR_CORRUPT;
	err = t.err;
	store_abort(&t);
	return err;
}

static bool is_whole(const struct store *s)
{
	bool missing = false;

	for (unsigned t = 0; t < STORE__COUNT; t++)
		missing |= s->made[t];
	return !missing;
}

/* From `format` to the next, or from nothing to ours, in one transaction. */
static int advance(struct store *s, uint32_t *format)
{
	bool old = *format != 0 && *format < STORE_FORMAT;
	uint32_t next = old ? *format + 1 : STORE_FORMAT;
	struct store_txn t;
	uint8_t number[4];

	store_begin(s, &t, true);
	for (unsigned i = 0; t.err == 0 && i < STORE__COUNT; i++)
		if (s->made[i])
			t.err = store_err(
				mdb_dbi_open(t.mdb, table_name[i], MDB_CREATE, &s->table[i]));
	if (old && t.err == 0)
		migrate(&t, *format);
	put_be32(number, next);
	store_put(&t, STORE_META, bytes_str("format"), bytes_of(number, 4));
	if (store_commit(&t) != 0)
		return t.err;
	memset(s->made, 0, sizeof(s->made));
	if (old)
		log_info("store: brought from format %u to %u", *format, next);
	*format = next;
	return 0;
}
static int check_format(const char *path, uint32_t format, bool read, char *error)
{
	if (format == FORMAT_DAMAGED)
		(void)snprintf(error, STORE_ERROR_MAX,
			"store: %.120s: its format number is damaged; huiductl store restore puts a "
			"backup in its place",
			path);
	else if (format > STORE_FORMAT)
		(void)snprintf(error, STORE_ERROR_MAX,
			"store: %.120s was written by a newer huidu (format %u, this one knows %u): "
			"start that one",
			path, format, STORE_FORMAT);
	else if (read && format == 0)
		(void)snprintf(error, STORE_ERROR_MAX, "store: %.120s is empty", path);
	else if (read && format < STORE_FORMAT)
		(void)snprintf(error, STORE_ERROR_MAX,
			"store: %.120s is of format %u: start huidud once, it brings it to format %u",
			path, format, STORE_FORMAT);
	else
		return 0;
	return ERR_STORE;
}

/* Below are LMDB's own. */
#define OUR_CODES (-2000)

static int fail(struct store *s, const char *path, int rc, char *error)
{
	if (rc == ERR_CORRUPT)
		(void)snprintf(error, STORE_ERROR_MAX,
			"store: %.120s: the last commit is damaged: not all of it reached the disk; "
			"huiductl store restore puts a backup in its place",
			path);
	/* errno and LMDB's codes, or ours. */
	else if (error[0] == '\0')
		(void)snprintf(error, STORE_ERROR_MAX, "store: %.160s: %s", path,
			rc > 0 || rc < OUR_CODES ? mdb_strerror(rc) : err_str(rc));
	store_close(s);
	return ERR_STORE;
}

/* A new one, beside its place; all of it is synced. */
static int build(const char *file, uint64_t map_bytes)
{
	struct store *s = mem_zalloc(sizeof(*s));
	char *lock = mem_printf("%s-lock", file);
	uint32_t format = 0;
	int rc;

	(void)unlink(file); /* left by one that was killed, or not there */
	(void)unlink(lock);
	rc = open_map(s, file, MDB_NOSUBDIR, map_bytes);
	if (rc == 0)
		rc = find_tables(s);
	if (rc == 0)
		rc = advance(s, &format);
	store_close(s);
	(void)unlink(lock); /* it is of no use any more, and of no harm */
	free(lock);
	return rc;
}

/*
 * What there is of a store is a whole one: a power failure while the first one is made must not
 * leave a file that a person has to remove, nor one whose name is lost later.
 */
static int make(const char *path, uint64_t map_bytes)
{
	char *file = mem_printf("%s/data.mdb", path), *new = mem_printf("%s/data.mdb.new", path);
	int rc = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;

	if (rc == 0 && access(file, F_OK) != 0) {
		rc = build(new, map_bytes);
		if (rc == 0 && rename(new, file) != 0)
			rc = errno;
	}
	if (rc == 0)
		rc = -file_sync_entry(file);
	if (rc == 0)
		rc = -file_sync_entry(path);
	free(new);
	free(file);
	return rc;
}

/* One that is there, to write to; `new`: it may be empty. */
static int open_whole(struct store *s, const char *path, uint64_t map_bytes, bool new, char *error)
{
	uint32_t format = 0;
	int rc = meta_check(path);

	if (rc == 0)
		rc = open_map(s, path, 0, map_bytes);
	if (rc == 0)
		rc = find_tables(s);
	if (rc == 0)
		rc = read_format(s, &format);
	if (rc == 0)
		rc = check_format(path, format, format == 0 && !new, error);
	if (rc == 0)
		rc = check_commit(s, format);
	while (rc == 0 && (format != STORE_FORMAT || !is_whole(s)))
		rc = advance(s, &format);
	return rc;
}

int store_open(const char *path, uint64_t map_bytes, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc = make(path, map_bytes);

	error[0] = '\0';
	if (rc == 0)
		rc = open_whole(s, path, map_bytes, true, error);
	if (rc != 0)
		return fail(s, path, rc, error);
	*out = s;
	return 0;
}

int store_upgrade(const char *path, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	int rc;

	error[0] = '\0';
	rc = open_whole(s, path, STORE_ROOM, false, error);
	if (rc != 0)
		return fail(s, path, rc, error);
	store_close(s);
	return 0;
}

/*
 * LMDB makes its table of readers also for who only reads.  When that is root, it is left to the
 * store's owner, who could not start otherwise.
 */
static void leave_lock(const char *path)
{
	char *data = mem_printf("%s/data.mdb", path), *lock = mem_printf("%s/lock.mdb", path);
	struct stat of, st;

	if (geteuid() == 0 && stat(data, &of) == 0 && of.st_uid != 0 && lstat(lock, &st) == 0 &&
		S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
		lchown(lock, of.st_uid, of.st_gid) != 0)
		log_warn("store: %s: %s: huidud may not be able to open it", lock, strerror(errno));
	free(data);
	free(lock);
}

/* A copy in a file of its own has no table of readers, and nobody writes to it. */
static unsigned read_flags(const char *path)
{
	struct stat st;
	bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);

	return MDB_RDONLY | (file ? MDB_NOSUBDIR | MDB_NOLOCK : 0u);
}

int store_open_read(const char *path, struct store **out, char *error)
{
	struct store *s = mem_zalloc(sizeof(*s));
	uint32_t format;
	int rc = meta_check(path);

	error[0] = '\0';
	if (rc == 0)
		rc = open_map(s, path, read_flags(path), 0);
	leave_lock(path);
	if (rc == 0)
		rc = find_tables(s);
	if (rc == 0)
		rc = read_format(s, &format);
	if (rc == 0)
		rc = check_format(path, format, true, error);
	if (rc == 0)
		rc = check_commit(s, format);
	if (rc == 0 && !is_whole(s))
		rc = MDB_NOTFOUND;
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
