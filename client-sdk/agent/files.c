/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int files_open(struct files *f, const char *dir)
{
	*f = (struct files){ -1, -1, -1 };
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	f->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->dir < 0 ? -errno : 0;
}

void files_close(struct files *f)
{
	if (f->download >= 0)
		(void)close(f->download); /* read again before it is believed */
	if (f->state >= 0)
		(void)close(f->state); /* each slot was synced */
	if (f->dir >= 0)
		(void)close(f->dir); /* nothing was written to it */
	*f = (struct files){ -1, -1, -1 };
}

/* Until `len` bytes or the end of the file. */
static int read_all(int fd, uint64_t offset, void *out, size_t *len)
{
	size_t done = 0;

	while (done < *len) {
		ssize_t n = pread(fd, (char *)out + done, *len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*len = done;
	return 0;
}

static int write_all(int fd, uint64_t offset, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n =
			pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int files_load(const struct files *f, const char *name, void *out, size_t *len)
{
	int fd = openat(f->dir, name, O_RDONLY | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) != 0 ? -errno : 0;
	if (err == 0 && (uint64_t)st.st_size > *len)
		err = -EFBIG;
	if (err == 0)
		err = read_all(fd, 0, out, len);
	(void)close(fd); /* only read */
	return err;
}

int files_rename(const struct files *f, const char *from, const char *to)
{
	if (renameat(f->dir, from, f->dir, to) != 0 || fsync(f->dir) != 0)
		return -errno;
	return 0;
}

int files_save(const struct files *f, const char *name, const void *data, size_t len)
{
	char temporary[64];
	int fd, err;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(f->dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, 0, data, len);
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	return err != 0 ? err : files_rename(f, temporary, name);
}

static int open_state(struct files *f)
{
	if (f->state >= 0)
		return 0;
	f->state = openat(f->dir, FILES_STATE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Its name must be as durable as what will stand in it. */
	return f->state < 0 || fsync(f->dir) != 0 ? -errno : 0;
}

int files_read_slot(struct files *f, unsigned slot, void *out, size_t *len)
{
	int err = open_state(f);

	if (*len > HUIDU_SLOT)
		*len = HUIDU_SLOT;
	if (err == 0)
		err = read_all(f->state, slot * HUIDU_SLOT, out, len);
	return err == 0 && *len == 0 ? -ENOENT : err;
}

int files_write_slot(struct files *f, unsigned slot, const void *data, size_t len)
{
	int err = open_state(f);

	if (err == 0)
		err = write_all(f->state, slot * HUIDU_SLOT, data, len);
	return err == 0 && fdatasync(f->state) != 0 ? -errno : err;
}

static int open_download(struct files *f)
{
	if (f->download < 0)
		f->download = openat(f->dir, FILES_DOWNLOAD, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return f->download < 0 ? -errno : 0;
}

int files_write(struct files *f, uint64_t offset, const void *data, size_t len)
{
	int err = open_download(f);

	if (err == 0 && offset == 0 && ftruncate(f->download, 0) != 0)
		err = -errno;
	return err != 0 ? err : write_all(f->download, offset, data, len);
}

int files_read(struct files *f, uint64_t offset, void *out, size_t *len)
{
	int err = open_download(f);

	return err != 0 ? err : read_all(f->download, offset, out, len);
}
