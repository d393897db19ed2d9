/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store restore: a backup, or nothing, with the log made whole from the journal, in the store's place.
 *
 * All is made in a folder beside the store, and looked at there; one rename exchanges the two.  The
 * signer's ledger is held from the beginning to the end, so that no server starts in between.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/restore.h"

#define SPARE ((uint64_t)16 << 20) /* more than the copy takes: the log's new entries */

/* What is in a store, as far as somebody who loses it wants to know. */
struct inside {
	bool known;
	uint64_t devices, entries, last_ms;
};

struct restore {
	struct ctl *c;
	struct store_at at;
	struct floor *floor;
	struct signer_log ledger;
	const char *file;     /* NULL: --empty */
	char *made, *kept;    /* folders: what is being made, what is replaced */
	struct inside *there; /* now; in memory that a child shares */
	struct inside backup; /* as it was taken */
	struct restored_log log;
};

/* ---- what there is ---- */

static void read_inside(struct store *s, struct inside *out)
{
	struct store_txn t;

	store_begin(s, &t, false);
	out->devices = store_count(&t, STORE_DEVICE);
	out->entries = store_count(&t, STORE_LOG);
	out->last_ms = stored_last_ms(&t);
	out->known = t.err == 0;
	store_abort(&t);
}

/* In a child: it may be restored because it is spoilt. */
static int look_there(void *ctx)
{
	struct restore *r = ctx;
	char error[256];
	struct store *s;

	if (store_open_read(r->at.store, &s, error) != 0)
		return EXIT_FAILED;
	read_inside(s, r->there);
	store_close(s);
	return EXIT_DONE;
}

static int hold(struct restore *r)
{
	int err = floor_hold(r->at.ledger, &r->floor, &r->ledger);

	if (err == 0 && r->ledger.size > 0)
		return 0;
	/* huidud makes an empty one where there is none, and then does not start. */
	if (err == 0)
		return fail(EXIT_REFUSED, "put the ledger of this server back, with huidud stopped",
			"%s: it is empty: it was lost or replaced, and nothing shows that this "
			"backup is not too old",
			r->at.ledger);
	if (err == ERR_CORRUPT)
		return fail(EXIT_FAILED, "put back the newest copy of it there is",
			"%s: neither of its two copies is whole: nothing shows that this backup is "
			"not too old",
			r->at.ledger);
	if (err == ERR_BUSY)
		return fail(EXIT_CONFLICT, "systemctl stop huidud, and the same again",
			"%s: huidud is running", r->at.ledger);
	if (err == -ENOENT)
		return fail(EXIT_NOT_FOUND,
			"put the ledger back where it was, beside the server's keys",
			"%s: there is none: nothing shows that this backup is not too old",
			r->at.ledger);
	return fail(exit_of(err), "the same as the user that runs huidud", "%s: %s", r->at.ledger,
		err_str(err));
}

/* ---- the new store, beside the old one ---- */

static int make_folder(struct restore *r)
{
	struct stat st;
	uint64_t need = SPARE, free_bytes = disk_free(r->made);
	int err;

	if (r->file != NULL && stat(r->file, &st) != 0)
		return fail(exit_of(-errno), "huiductl help store restore", "%s: %s", r->file,
			err_str(-errno));
	if (r->file != NULL)
		need += (uint64_t)st.st_size;
	if (free_bytes < need)
		return fail(EXIT_REFUSED, "df, and what can go", "%s: it takes %s, and %s are free",
			r->made, show_size(need).s, show_size(free_bytes).s);
	restore_remove(r->made); /* left by one that was killed, or not there */
	err = mkdir(r->made, 0700) != 0 ? -errno : 0;
	if (err == 0 && r->file != NULL)
		err = restore_copy(r->file, r->made);
	return err == 0 ? 0
			: fail(exit_of(err), "the same as the user that runs huidud", "%s: %s",
				  r->made, err_str(err));
}

static const char *what_is_missing(struct restore *r)
{
	return r->file != NULL ? "a newer backup, or the right --journal FILE"
			       : "--journal FILE, another copy of the journal";
}

static int make_log(struct restore *r, struct store *s)
{
	const char *from = r->file != NULL ? r->file : "an empty store";
	const char *journal = r->c->args.journal != NULL ? r->c->args.journal : r->at.journal;
	int err;

	r->log.want = r->ledger;
	/* Without it the backup may do; one that was named is meant. */
	if (r->c->args.journal == NULL && access(journal, F_OK) != 0 && errno == ENOENT)
		journal = NULL;
	err = restored_log_make(&r->log, s, journal);
	if (err != 0 && r->log.error[0] != '\0')
		return fail(exit_of(err), "--journal FILE, another copy of it", "%s", r->log.error);
	if (err == ERR_FLOOR)
		return fail(EXIT_REFUSED, what_is_missing(r),
			"%s has %llu entries of the log, the journal %llu%s; the signer's ledger "
			"has %llu, and phones have seen them",
			from, (unsigned long long)r->log.had, (unsigned long long)r->log.journal,
			r->log.cut ? ", and then it is damaged" : "",
			(unsigned long long)r->ledger.size);
	if (err == ERR_MISMATCH)
		return fail(EXIT_REFUSED, what_is_missing(r),
			"%s and the journal are of different logs, from entry %llu on", from,
			(unsigned long long)r->log.size);
	if (err == ERR_FORKED)
		return fail(EXIT_REFUSED, what_is_missing(r),
			"the first %llu entries are not those that the signer's ledger has: they "
			"are of another time or place",
			(unsigned long long)r->ledger.size);
	return err == 0
		? 0
		: fail(exit_of(err), "df, and the same again", "%s: %s", r->made, err_str(err));
}

/* In a child: it was not looked at yet.  It may be older than this huiductl. */
static int upgrade(void *ctx)
{
	const struct restore *r = ctx;
	char error[256];

	return store_upgrade(r->made, error) == 0
		? EXIT_DONE
		: fail(EXIT_FAILED, "another backup", "%s", error);
}

/* Readable, whole as it came. */
static int look_at_copy(struct restore *r)
{
	int err = in_child(upgrade, r);

	if (err < 0)
		return fail(EXIT_FAILED, "another backup", "%s: its pages cannot be read", r->file);
	return err != 0 ? err : store_at_check(r->made);
}

/* Whole as it came, and whole with what was added. */
static int make_store(struct restore *r)
{
	char error[256];
	struct store *s;
	int err = r->file != NULL ? look_at_copy(r) : 0;

	if (err != 0)
		return err;
	if (store_open(r->made, STORE_ROOM, &s, error) != 0)
		return fail(EXIT_FAILED, "another backup", "%s", error);
	read_inside(s, &r->backup);
	err = make_log(r, s);
	store_close(s);
	if (err == 0)
		err = store_at_check(r->made);
	if (err != 0)
		return err;
	err = restore_settle(r->made, r->at.config.data);
	return err == 0 ? 0
			: fail(exit_of(err), "the same as the user that runs huidud", "%s: %s",
				  r->made, err_str(err));
}

/* ---- what it costs ---- */

static void tell_lost(const struct restore *r, struct buf *out)
{
	uint64_t now = r->there->devices, then = r->backup.devices;

	if (r->file == NULL)
		buf_str(out,
			"  lost     all devices' records: each enrols again by itself, where "
			"enrol: lets\n           it in; what they reported; who has which seat\n");
	else
		buf_printf(out, "  lost     what devices reported since%s%s\n",
			r->backup.last_ms > 0 ? " " : "",
			r->backup.last_ms > 0 ? show_minute(r->backup.last_ms).s : " then");
	if (r->file == NULL)
		return;
	if (r->there->known && now > then)
		buf_printf(out,
			"           %s devices enrolled since: they enrol again by themselves\n",
			show_count(now - then).s);
	else if (!r->there->known)
		buf_str(out,
			"           devices that enrolled since: they enrol again by themselves\n");
	if (r->log.size > r->log.had)
		buf_str(out, "           seats given since: who waits is seated anew\n");
}

static void tell(const struct restore *r, struct buf *out)
{
	if (r->file == NULL)
		buf_str(out, "  backup   none: an empty store");
	else
		buf_printf(
			out, "  backup   %s: %s devices", r->file, show_count(r->backup.devices).s);
	if (r->backup.last_ms > 0)
		buf_printf(out, ", of %s", show_minute(r->backup.last_ms).s);
	buf_str(out, "\n");
	if (r->there->known)
		buf_printf(out, "  store    %s: %s devices, of %s\n", r->at.store,
			show_count(r->there->devices).s, show_minute(r->there->last_ms).s);
	else
		buf_printf(out, "  store    %s: cannot be read\n", r->at.store);
	buf_printf(out, "  log      %s entries, as signed", show_count(r->log.size).s);
	if (r->log.size > r->log.had)
		buf_printf(out, "; %s of them from the journal",
			show_count(r->log.size - r->log.had).s);
	buf_str(out, ":\n           every command is in it, and what was halted stays halted\n");
	tell_lost(r, out);
	buf_printf(out, "  kept     %s, the store as it is now\n", r->kept);
}

static int finish(struct restore *r)
{
	struct buf out = { 0 };
	int err = restore_exchange(r->made, r->at.store, r->kept);

	if (err != 0)
		return fail(exit_of(err), "the same as the user that runs huidud", "%s: %s",
			r->at.store, err_str(err));
	put(&out, &r->c->term, STYLE_GOOD, "%s", icon(&r->c->term, ICON_DONE));
	buf_printf(&out, " %s is in place\nNext: systemctl start huidud; huiductl log verify\n",
		r->at.store);
	return ctl_print(&out);
}

static void name_folders(struct restore *r)
{
	time_t now = (time_t)(clock_ms() / 1000);
	char stamp[32];
	struct tm tm;

	(void)strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	r->made = mem_printf("%s.new", r->at.store);
	r->kept = mem_printf("%s.damaged-%s", r->at.store, stamp);
	for (unsigned i = 2; access(r->kept, F_OK) == 0; i++) {
		free(r->kept);
		r->kept = mem_printf("%s.damaged-%s-%u", r->at.store, stamp, i);
	}
}

static int run(struct restore *r)
{
	struct buf told = { 0 };
	int err = make_folder(r);

	if (err == 0)
		err = make_store(r);
	if (err != 0)
		return err;
	if (in_child(look_there, r) != EXIT_DONE)
		r->there->known = false;
	tell(r, &told);
	note_text(&told);
	if (!ctl_confirm(r->c, "Put it in the store's place?", &err))
		return err;
	return finish(r);
}

int cmd_store_restore(struct ctl *c)
{
	const char *file = c->args.words.n > 0 ? c->args.words.v[0] : NULL;
	struct restore r = { .c = c, .file = file };
	int err;

	if ((file == NULL) != (c->args.empty == FLAG_YES))
		return fail(EXIT_USAGE, "huiductl store restore BACKUP",
			file == NULL ? "which backup?" : "a backup and --empty: which?");
	err = store_at_find(c, &r.at);
	if (err == 0)
		err = hold(&r);
	if (err == 0) {
		r.there = mmap(NULL, sizeof(*r.there), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (r.there == MAP_FAILED)
			abort(); /* out of memory */
		name_folders(&r);
		err = run(&r);
		if (err != 0)
			restore_remove(r.made);          /* nobody else's: it is held */
		(void)munmap(r.there, sizeof(*r.there)); /* the end is near */
	}
	floor_release(r.floor);
	store_at_release(&r.at);
	free(r.made);
	free(r.kept);
	return err;
}
