/* SPDX-License-Identifier: Apache-2.0 */
/* Stores written by every format there was, brought to this one. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <lmdb.h>

#include "server/base/file.h"
#include "server/store/device.h"
#include "server/store/entry.h"
#include "server/store/migrate.h"
#include "server/store/novel.h"
#include "server/store/stage.h"
#include "store_world.h"

#define FILE_MAX (1u << 20)

/* What make-format wrote with the program of that time; a new format adds a row. */
static const struct format {
	unsigned number;
	size_t behind; /* each value */
	uint64_t count[STORE__COUNT];
} formats[] = {
	{ 1, 0, { 6, 15, 7, 24, 24, 10, 18, 2, 254, 2, 2, 4, 0, 0 } },
	{ 2, 4, { 7, 15, 7, 24, 24, 10, 18, 2, 254, 2, 2, 4, 0, 0 } },
	{ 3, 4, { 7, 15, 7, 24, 24, 10, 18, 2, 254, 2, 2, 5, 0, 0 } },
	{ 4, 4, { 7, 15, 7, 24, 24, 10, 18, 2, 254, 2, 2, 4, 0, 2 } },
};

/* Counts down; at 0 the process ends as if it had been killed, before the commit. */
static int commits_left = -1;
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	if (commits_left == 0)
		_exit(9);
	if (commits_left > 0)
		commits_left--;
	return __real_mdb_txn_commit(txn);
}

static char *fixture(unsigned number)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), FORMATS "/format-%u.mdb", number);
	return path;
}

/* The fixture's bytes in the folder of a store. */
static void lay_out(unsigned number)
{
	struct buf b = { 0 };

	(void)tmpdir_drop(NULL);
	assert_int_equal(tmpdir_make(NULL), 0);
	assert_int_equal(file_read(fixture(number), FILE_MAX, &b), 0);
	assert_int_equal(mkdir(tmpdir_path("store"), 0700), 0);
	assert_int_equal(file_create(tmpdir_path("store/data.mdb"), buf_bytes(&b), 0600), 0);
	buf_release(&b);
}

/* A table of the fixture as it lies there, against what the store says now. */
static void compare_table(
	MDB_txn *raw, struct store_txn *t, enum store_table table, const struct format *f)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_dbi dbi;
	int rc = mdb_dbi_open(raw, store_table_str(table), 0, &dbi);
	uint64_t n = 0;

	if (rc == MDB_NOTFOUND)
		return;
	assert_int_equal(rc, 0);
	assert_int_equal(mdb_cursor_open(raw, dbi, &cursor), 0);
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
		struct bytes key = bytes_of(k.mv_data, k.mv_size), have = { 0 };
		n++;
		if (table == STORE_META &&
			(bytes_eq(key, bytes_str("format")) || bytes_eq(key, bytes_str("commit"))))
			continue;
		/* Of these only the number is the same; read_devices() looks at each. */
		if (table == STORE_KEY && f->number < 3)
			continue;
		if (!store_get(t, table, key, &have))
			fail_msg("format %u, %s: a record is gone: %s", f->number,
				store_table_str(table), err_str(t->err));
		if (!bytes_eq(have, bytes_of(v.mv_data, v.mv_size - f->behind)))
			fail_msg("format %u, %s: another value", f->number, store_table_str(table));
	}
	mdb_cursor_close(cursor);
	assert_int_equal(n, f->count[table]);
}

/* As the services read them. */
static void read_devices(struct store_txn *t)
{
	unsigned ring[RING__COUNT] = { 0 }, waiting = 0;
	uint8_t id[ID_LEN], scratch[2], hash[SHA256_LEN];
	struct store_cursor c;
	struct device d;

	store_foreach(&c, t, STORE_DEVICE, bytes_str("")) {
		assert_true(device_read(&c, &d));
		assert_true(d.public_key[0] == 2 || d.public_key[0] == 3);
		assert_int_equal(d.enrolled_day, 20454);
		ring[d.ring]++;
	}
	assert_int_equal(ring[RING_CORE], 12);
	assert_int_equal(ring[RING_HONOUR], 6);
	assert_int_equal(ring[RING_DEV], 3);
	assert_int_equal(ring[RING_STABLE], 3);
	store_foreach(&c, t, STORE_KEY, bytes_str("")) {
		assert_true(c.value.n == ID_LEN && device_get(t, c.value.p, &d));
		assert_int_equal(device_key_hash(d.public_key, hash), 0);
		assert_true(bytes_eq(c.key, bytes_of(hash, 16)));
	}
	store_foreach(&c, t, STORE_WAITING, waiting_prefix(0, scratch)) {
		assert_int_equal(waiting_read(&c, id), RING_CORE);
		assert_true(device_get(t, id, &d));
		waiting++;
	}
	assert_int_equal(waiting, 10);
}

static void read_evidence(struct store_txn *t)
{
	static struct evidence e;
	unsigned arm[ARM__COUNT] = { 0 }, rows = 0;
	uint8_t id[ID_LEN], signature[SIGNATURE_LEN];
	struct evidence_device d;
	struct stage_key stage = { 0 };
	struct stored_row row;
	struct store_cursor c;
	struct novel novel;
	uint64_t number;

	store_foreach(&c, t, STORE_ARM, bytes_str("")) {
		assert_true(arm_read(&c, &stage, id, &d));
		arm[d.arm]++;
	}
	assert_true(arm[ARM_CANARY] > 0 && arm[ARM_CONTROL] > 0);
	assert_true(stage_get(t, stage, 0, &e));
	assert_true(e.started_ms > 0 && e.batch > 0);
	store_foreach(&c, t, STORE_ROW, bytes_str("")) {
		assert_true(row_read(&c, &number, &row));
		assert_int_equal(number, rows++);
	}
	assert_int_equal(row_count(t, stage.rollout), rows);
	store_foreach(&c, t, STORE_NOVEL, bytes_str("")) {
		assert_true(novel_read(&c, signature, &novel));
		assert_true(novel.total[ARM_CANARY] > 0);
		assert_true(seen_get(t, 0, signature) != UINT64_MAX);
	}
}

static void read_log(struct store_txn *t)
{
	struct bytes v;

	for (uint64_t i = 0; i < entry_count(t); i++)
		assert_true(entry_get(t, i, &v) && v.n > 100);
	assert_true(envelope_get(t, "director/phone-a/core", &v));
	assert_true(envelope_get(t, "timestamp/phone-a", &v));
	assert_true(envelope_get(t, "checkpoint", &v));
	assert_int_equal(name_number(t, "product", "phone-a"), 0);
	assert_int_equal(name_number(t, "line", "default"), 0);
}

/* Everything in the folder of the store is what was in the fixture. */
static void check_all(struct store *s, const struct format *f)
{
	struct store_info info;
	struct store_txn t;
	MDB_txn *raw;
	MDB_env *env;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, STORE__COUNT), 0);
	assert_int_equal(
		mdb_env_open(env, fixture(f->number), MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0),
		0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &raw), 0);
	store_begin(s, &t, false);
	for (unsigned i = 0; i < STORE__COUNT; i++) {
		compare_table(raw, &t, (enum store_table)i, f);
		if (i != STORE_META)
			assert_int_equal(store_count(&t, i), f->count[i]);
	}
	read_devices(&t);
	read_evidence(&t);
	read_log(&t);
	assert_int_equal(store_info(&t, &info), 0);
	assert_int_equal(info.format, STORE_FORMAT);
	assert_int_equal(t.err, 0);
	store_abort(&t);
	mdb_txn_abort(raw);
	mdb_env_close(env);
}

static struct buf file_of(const char *path)
{
	struct buf b = { 0 };

	assert_int_equal(file_read(path, 64 * FILE_MAX, &b), 0);
	return b;
}

static void test_by_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		struct store *s;
		struct buf before, after;
		lay_out(formats[i].number);
		s = open_store(STORE_ROOM);
		check_all(s, &formats[i]);
		store_close(s);
		/* A second time there is nothing to do. */
		before = file_of(tmpdir_path("store/data.mdb"));
		s = open_store(STORE_ROOM);
		check_all(s, &formats[i]);
		store_close(s);
		after = file_of(tmpdir_path("store/data.mdb"));
		assert_true(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
		buf_release(&before);
		buf_release(&after);
	}
	assert_int_equal(formats[COUNT(formats) - 1].number, STORE_FORMAT);
}

/* Who only reads does not bring anything anywhere. */
static void test_read_only(void **state)
{
	struct store *s;
	char error[256], want[256];

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		unsigned number = formats[i].number;
		lay_out(number);
		(void)snprintf(want, sizeof(want),
			"store: %s is of format %u: start huidud once, it brings it to format %u",
			tmpdir_path("store"), number, STORE_FORMAT);
		int err = store_open_read(tmpdir_path("store"), &s, error);
		assert_int_equal(err, number < STORE_FORMAT ? ERR_STORE : 0);
		if (err != 0)
			assert_string_equal(error, want);
		else
			store_close(s);
		struct buf have = file_of(tmpdir_path("store/data.mdb"));
		struct buf was = file_of(fixture(number));
		assert_true(bytes_eq(buf_bytes(&have), buf_bytes(&was)));
		buf_release(&have);
		buf_release(&was);
	}
}

static bool dies_at_commit(int n)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;
		char error[256];
		commits_left = n;
		_exit(store_open(tmpdir_path("store"), STORE_ROOM, &s, error) == 0 ? 0 : 1);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	return WEXITSTATUS(status) == 9;
}

/* Killed before any of its commits, it is what it was, and the next start goes on. */
static void test_killed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		int n = 0;
		bool died;
		do {
			struct store *s;
			lay_out(formats[i].number);
			died = dies_at_commit(n++);
			s = open_store(STORE_ROOM);
			check_all(s, &formats[i]);
			store_close(s);
		} while (died);
		/* One that finds the tables, and one for each format on the way. */
		assert_int_equal(n - 1, 1 + STORE_FORMAT - formats[i].number);
	}
}

/* The same while the first one is made. */
static void test_killed_new(void **state)
{
	int n = 0;
	bool died;

	(void)state;
	do {
		struct store *s;
		struct store_txn t;
		assert_int_equal(tmpdir_drop(NULL), 0);
		assert_int_equal(tmpdir_make(NULL), 0);
		died = dies_at_commit(n++);
		s = open_store(STORE_ROOM);
		store_begin(s, &t, true);
		put(&t, "a", "one");
		assert_int_equal(store_commit(&t), 0);
		store_close(s);
		assert_int_equal(access(tmpdir_path("store/data.mdb.new"), F_OK), -1);
		assert_int_equal(access(tmpdir_path("store/data.mdb.new-lock"), F_OK), -1);
	} while (died);
	assert_true(n > 2);
}

/* The disk is too small for both: it stays what it was. */
static void test_no_room(void **state)
{
	struct store *s;
	char error[256];

	(void)state;
	lay_out(1);
	assert_int_equal(store_open(tmpdir_path("store"), 120000, &s, error), ERR_STORE);
	assert_non_null(strstr(error, "No space left on device"));
	s = open_store(STORE_ROOM);
	check_all(s, &formats[0]);
	store_close(s);
}

/* The same bytes under the same key of another table are damage there. */
static void test_table_is_summed(void **state)
{
	char key[] = "k";
	MDB_val k = { 1, key }, v;
	struct store *s = open_store(MAP);
	struct store_txn t;
	struct bytes have;
	MDB_dbi from, to;

	(void)state;
	store_begin(s, &t, true);
	store_put(&t, STORE_KEY, bytes_str("k"), bytes_str("value"));
	assert_int_equal(mdb_dbi_open(t.mdb, "key", 0, &from), 0);
	assert_int_equal(mdb_dbi_open(t.mdb, "token", 0, &to), 0);
	assert_int_equal(mdb_get(t.mdb, from, &k, &v), 0);
	assert_int_equal(v.mv_size, 9);
	assert_int_equal(mdb_put(t.mdb, to, &k, &v, 0), 0);
	assert_int_equal(store_commit(&t), 0);
	store_begin(s, &t, false);
	assert_true(store_get(&t, STORE_KEY, bytes_str("k"), &have));
	assert_true(bytes_eq(have, bytes_str("value")));
	assert_false(store_get(&t, STORE_TOKEN, bytes_str("k"), &have));
	assert_int_equal(t.err, ERR_CORRUPT);
	store_abort(&t);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_by_value),
		IN_TMPDIR(test_read_only),
		IN_TMPDIR(test_killed),
		IN_TMPDIR(test_killed_new),
		IN_TMPDIR(test_no_room),
		IN_TMPDIR(test_table_is_summed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
