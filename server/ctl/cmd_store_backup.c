/* SPDX-License-Identifier: Apache-2.0 */
/* store backup: a consistent copy, while the server writes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/store_at.h"
#include "server/store/entry.h"

#define SPARE ((uint64_t)1 << 20) /* more than the copy takes: what is written meanwhile */

struct backup {
	const char *path;
	char *temp;
	int fd;
	uint64_t need, bytes, entries;
};

/* Its own file, which the server would go on writing to under no name. */
static bool is_the_store(const struct backup *b, const char *store)
{
	char *data = mem_printf("%s/data.mdb", store);
	struct stat mine, there;
	bool same = stat(b->path, &mine) == 0 && stat(data, &there) == 0 &&
		mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;

	free(data);
	return same;
}

/* Whoever has it locked under its name writes to it; a name that moved on is another's, done. */
static int lock(struct backup *b)
{
	struct stat mine, there;

	b->fd = open(b->temp, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->fd < 0 || fchmod(b->fd, 0600) != 0)
		return fail(exit_of(-errno), "a folder that you may write to", "%s: %s", b->temp,
			err_str(-errno));
	if (flock(b->fd, LOCK_EX | LOCK_NB) == 0 && fstat(b->fd, &mine) == 0 &&
		stat(b->temp, &there) == 0 && mine.st_ino == there.st_ino &&
		mine.st_dev == there.st_dev && ftruncate(b->fd, 0) == 0)
		return 0;
	return fail(EXIT_CONFLICT, "the same when it is done", "%s: another backup is writing it",
		b->temp);
}

static int measure(struct store *s, struct backup *b)
{
	struct store_info info;
	struct store_txn t;
	int err;

	store_begin(s, &t, false);
	b->entries = entry_count(&t);
	err = store_info(&t, &info);
	if (err == 0)
		err = t.err;
	store_abort(&t);
	if (err != 0)
		return fail(exit_of(err), "huiductl store check", "the store: %s", err_str(err));
	b->need = info.file_bytes - info.free_bytes + SPARE;
	if (disk_free(b->path) >= b->need)
		return 0;
	return fail(EXIT_REFUSED, "another disk", "%s: it takes %s, and %s are free there", b->path,
		show_size(b->need).s, show_size(disk_free(b->path)).s);
}

static int copy(struct store *s, struct backup *b)
{
	struct stat st;
	int err = store_copy(s, b->fd);

	if (err == 0 && (fsync(b->fd) != 0 || fstat(b->fd, &st) != 0))
		err = -errno;
	if (err != 0)
		return fail(exit_of(err), "huiductl store check, and df", "%s: %s", b->temp,
			err_str(err));
	b->bytes = (uint64_t)st.st_size;
	return 0;
}

/* Under its name only when it is on disk and whole. */
static int put_in_place(struct backup *b)
{
	int err = store_at_check(b->temp);

	if (err != 0)
		return err;
	err = rename(b->temp, b->path) != 0 ? -errno : file_sync_entry(b->path);
	return err == 0 ? 0
			: fail(exit_of(err), "a folder that you may write to", "%s: %s", b->path,
				  err_str(err));
}

static int back_up(struct store *s, struct backup *b)
{
	int err = lock(b);

	if (err == 0) {
		err = measure(s, b);
		if (err == 0)
			err = copy(s, b);
		if (err == 0)
			err = put_in_place(b);
		if (err != 0)
			(void)unlink(b->temp); /* what went wrong was said */
	}
	if (b->fd >= 0)
		(void)close(b->fd); /* it was synced */
	return err;
}

static int print(struct ctl *c, const struct backup *b, uint64_t ms)
{
	struct buf out = { 0 };

	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " %s: log of %s entries, %s, written and checked in %llu.%llu s\n",
		b->path, show_count(b->entries).s, show_size(b->bytes).s,
		(unsigned long long)ms / 1000, (unsigned long long)ms % 1000 / 100);
	buf_str(&out,
		"  not in it: the server's keys and ledger (online), builds' files (artifacts)\n"
		"Next: copy it to another machine\n");
	return ctl_print(&out);
}

int cmd_store_backup(struct ctl *c)
{
	struct backup b = { .path = c->args.words.v[0], .fd = -1 };
	uint64_t begun_ms = clock_mono_ms();
	struct store_at at = { 0 };
	struct store *s = NULL;
	int err;

	if (c->args.force != FLAG_YES && access(b.path, F_OK) == 0)
		return fail(EXIT_CONFLICT, "another name, or --force to replace it",
			"%s: it is there already", b.path);
	b.temp = mem_printf("%s.new", b.path);
	err = store_at_find(c, &at);
	if (err == 0 && is_the_store(&b, at.store))
		err = fail(EXIT_USAGE, "huiductl store backup FILE, best on another disk",
			"%s: that is the store itself", b.path);
	if (err == 0)
		err = store_at_open(at.store, &s);
	if (err == 0)
		err = back_up(s, &b);
	store_close(s);
	store_at_release(&at);
	free(b.temp);
	return err != 0 ? err : print(c, &b, clock_mono_ms() - begun_ms);
}
