/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bucket.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define HEAD      8u
#define ERROR_MAX 256

struct journal {
	int fd;
	uint64_t count, end; /* whole entries, and where the last of them ends */
	uint64_t size;       /* of the file: more than `end` when something failed */
	struct buf entry;    /* last read, or about to be written */
};

static uint32_t checksum(uint64_t index, struct bytes entry)
{
	return (uint32_t)hash64_seeded(entry.p, entry.n, index);
}

/* 1: read; 0: the file ends within it or before it; ERR_CORRUPT: these bytes are no entry. */
static int read_entry(struct journal *j, uint64_t index, uint64_t at)
{
	uint8_t head[HEAD];
	uint32_t n;

	if (pread(j->fd, head, HEAD, (off_t)at) != HEAD)
		return 0;
	n = get_be32(head);
	if (n == 0 || n > JOURNAL_ENTRY_MAX)
		return ERR_CORRUPT;
	j->entry.len = 0;
	if (pread(j->fd, buf_room(&j->entry, n), n, (off_t)(at + HEAD)) != (ssize_t)n)
		return 0;
	j->entry.len = n;
	return checksum(index, buf_bytes(&j->entry)) == get_be32(head + 4) ? 1 : ERR_CORRUPT;
}

static bool is_zero(const struct journal *j, uint64_t from)
{
	uint8_t b[4096];

	for (ssize_t n = 1; n > 0; from += (uint64_t)n) {
		n = pread(j->fd, b, sizeof(b), (off_t)from);
		for (ssize_t i = 0; i < n; i++)
			if (b[i] != 0)
				return false;
	}
	return true;
}

/*
 * Only the last one may be half written, for each is on disk before the next is begun: what is not
 * whole and reaches the end of the file, or is nothing but zeros up to there.
 */
static bool is_half_written(const struct journal *j)
{
	uint8_t head[HEAD];
	uint64_t rest = j->size - j->end;

	if (rest < HEAD)
		return true;
	if (rest > HEAD + JOURNAL_ENTRY_MAX || pread(j->fd, head, HEAD, (off_t)j->end) != HEAD)
		return false;
	return HEAD + (uint64_t)get_be32(head) >= rest || is_zero(j, j->end);
}

static int scan(struct journal *j)
{
	struct stat st;

	if (fstat(j->fd, &st) != 0)
		return -errno;
	j->size = (uint64_t)st.st_size;
	while (read_entry(j, j->count, j->end) == 1) {
		j->count++;
		j->end += HEAD + j->entry.len;
	}
	return 0;
}

static int open_file(const char *path, int flags, struct journal **out)
{
	struct journal *j = mem_zalloc(sizeof(*j));
	int err;

	j->fd = open(path, flags | O_CLOEXEC, 0600);
	err = j->fd < 0 ? -errno : scan(j);
	if (err != 0) {
		journal_close(j);
		return err;
	}
	*out = j;
	return 0;
}

static int cut(struct journal *j)
{
	if (ftruncate(j->fd, (off_t)j->end) != 0 || fdatasync(j->fd) != 0)
		return -errno;
	j->size = j->end;
	return 0;
}

/* In its place there is an empty one. */
static int set_aside(const char *path, struct journal **j)
{
	char *aside = mem_printf("%s.damaged", path);
	int err = rename(path, aside) != 0 ? -errno : 0;

	log_error("journal: %s: entry %llu is damaged: it is kept as %s, and written anew from the "
		  "store",
		path, (unsigned long long)(*j)->count, aside);
	free(aside);
	journal_close(*j);
	*j = NULL;
	return err != 0 ? err : open_file(path, O_RDWR | O_CREAT | O_EXCL, j);
}

int journal_open(const char *path, struct journal **out, char *error)
{
	int err;

	*out = NULL;
	err = open_file(path, O_RDWR | O_CREAT, out);
	if (err == 0 && (*out)->size != (*out)->end)
		err = is_half_written(*out) ? cut(*out) : set_aside(path, out);
	if (err == 0)
		err = file_sync_entry(path);
	if (err == 0)
		return 0;
	(void)snprintf(error, ERROR_MAX, "journal: %.160s: %s", path, err_str(err));
	journal_close(*out);
	*out = NULL;
	return err;
}

int journal_open_read(const char *path, struct journal **out, char *error)
{
	int err = open_file(path, O_RDONLY, out);

	if (err != 0)
		(void)snprintf(error, ERROR_MAX, "journal: %.160s: %s", path, err_str(err));
	return err;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->fd >= 0)
		(void)close(j->fd); /* all of it is synced */
	buf_release(&j->entry);
	free(j);
}

uint64_t journal_count(const struct journal *j)
{
	return j->count;
}

uint64_t journal_rest(const struct journal *j)
{
	return j->size - j->end;
}

int journal_append(struct journal *j, uint64_t index, struct bytes entry)
{
	uint8_t head[HEAD];
	int err = 0;

	if (index != j->count)
		return ERR_CONFLICT;
	if (entry.n == 0 || entry.n > JOURNAL_ENTRY_MAX)
		return ERR_TOO_BIG;
	/* What an earlier one that failed has left. */
	if (j->size != j->end)
		err = cut(j);
	if (err != 0)
		return err;
	put_be32(head, (uint32_t)entry.n);
	put_be32(head + 4, checksum(index, entry));
	j->entry.len = 0;
	buf_add(&j->entry, head, HEAD);
	buf_add(&j->entry, entry.p, entry.n);
	j->size = j->end + j->entry.len;
	err = file_write_at(j->fd, j->end, buf_bytes(&j->entry));
	if (err == 0 && fdatasync(j->fd) != 0)
		err = -errno;
	if (err == 0) {
		j->end = j->size;
		j->count++;
	}
	return err;
}

int journal_each(struct journal *j, uint64_t from,
	int (*each)(void *ctx, uint64_t index, struct bytes entry), void *ctx)
{
	uint64_t at = 0;
	int err = 0;

	for (uint64_t i = 0; err == 0 && i < j->count; i++) {
		if (read_entry(j, i, at) != 1)
			return ERR_CORRUPT;
		at += HEAD + j->entry.len;
		if (i >= from)
			err = each(ctx, i, buf_bytes(&j->entry));
	}
	return err;
}
