/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/mem.h"

#define READ_STEP 65536u

int file_read(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = out->len;
	ssize_t n = -1;
	int err = 0;

	if (fd < 0)
		return -errno;
	while (err == 0 && n != 0) {
		n = read(fd, buf_room(out, READ_STEP), READ_STEP);
		if (n < 0 && errno != EINTR)
			err = -errno;
		else if (n > 0)
			out->len += (size_t)n;
		if (out->len - start > max)
			err = ERR_TOO_BIG;
	}
	(void)close(fd); /* only read */
	return err;
}

int file_write_at(int fd, uint64_t at, struct bytes data)
{
	while (data.n > 0) {
		ssize_t n = pwrite(fd, data.p, data.n, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data.p += n;
		data.n -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int write_all(int fd, struct bytes data)
{
	int err = file_write_at(fd, 0, data);

	return err == 0 && fsync(fd) != 0 ? -errno : err;
}

int file_create(const char *path, struct bytes data, unsigned mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	int err;

	if (fd < 0)
		return -errno;
	/* The umask may have taken bits away. */
	err = fchmod(fd, (mode_t)mode) == 0 ? write_all(fd, data) : -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	if (err != 0)
		(void)unlink(path); /* the first error is the one to tell */
	return err;
}

int file_sync_entry(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_strdup(".") : mem_strdup(path);
	int fd, err = 0;

	if (slash != NULL)
		folder[slash == path ? 1 : slash - path] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = -errno;
	if (fd >= 0)
		(void)close(fd); /* only synced */
	free(folder);
	return err;
}

int file_replace(const char *path, struct bytes data, unsigned mode)
{
	char *temp = mem_printf("%s.new", path);
	int err;

	(void)unlink(temp); /* left by one that was killed, or not there */
	err = file_create(temp, data, mode);
	if (err == 0 && rename(temp, path) != 0) {
		err = -errno;
		(void)unlink(temp); /* the rename's error is the one to tell */
	}
	if (err == 0)
		err = file_sync_entry(path);
	free(temp);
	return err;
}

uint64_t file_count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir); /* it was only read */
	return n - 3;        /* . and .. and the directory itself */
}
