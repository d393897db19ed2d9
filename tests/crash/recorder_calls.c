/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that change what is there. */
#include "recorder.h"

/* ---- writing ---- */

static ssize_t wrote(int fd, ssize_t n, off_t at, const struct iovec *part, size_t parts)
{
	struct iovec cut[PARTS];
	size_t left = n > 0 ? (size_t)n : 0;

	if (recorder_handle(fd) == 0 || n <= 0)
		return n;
	if (parts > PARTS)
		recorder_die("a write of so many parts");
	for (size_t i = 0; i < parts; i++) {
		cut[i] = part[i];
		if (cut[i].iov_len > left)
			cut[i].iov_len = left;
		left -= cut[i].iov_len;
	}
	recorder_add(&(struct trace_record){ .kind = TRACE_WRITE,
			     .handle = recorder_handle(fd),
			     .offset = (uint64_t)at },
		cut, parts);
	return n;
}

#define PWRITE(name)                                                                               \
	EXPORT ssize_t name(int fd, const void *p, size_t n, off_t at)                             \
	{                                                                                          \
		struct iovec part = recorder_part(p, n);                                           \
		REAL(name)                                                                         \
		return wrote(fd, real(fd, p, n, at), at, &part, 1);                                \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                              \
	EXPORT ssize_t name(int fd, const struct iovec *part, int n, off_t at)                     \
	{                                                                                          \
		REAL(name)                                                                         \
		return wrote(fd, real(fd, part, n, at), at, part, (size_t)n);                      \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

static off_t position(int fd)
{
	return recorder_handle(fd) != 0 ? lseek(fd, 0, SEEK_CUR) : 0;
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	struct iovec part = recorder_part(p, n);
	off_t at = position(fd);

	REAL(write)
	return wrote(fd, real(fd, p, n), at, &part, 1);
}

EXPORT ssize_t writev(int fd, const struct iovec *part, int n)
{
	off_t at = position(fd);

	REAL(writev)
	return wrote(fd, real(fd, part, n), at, part, (size_t)n);
}

/* ---- syncing, sizes ---- */

static int synced(int fd, int rc)
{
	if (rc == 0 && recorder_handle(fd) != 0)
		recorder_add(
			&(struct trace_record){ .kind = TRACE_SYNC, .handle = recorder_handle(fd) },
			NULL, 0);
	return rc;
}

#define SYNC(name)                                                                                 \
	EXPORT int name(int fd)                                                                    \
	{                                                                                          \
		REAL(name)                                                                         \
		return synced(fd, real(fd));                                                       \
	}
SYNC(fsync)
SYNC(fdatasync)

static int cut(int fd, off_t size, int rc)
{
	if (rc == 0 && recorder_handle(fd) != 0)
		recorder_add(&(struct trace_record){ .kind = TRACE_TRUNCATE,
				     .handle = recorder_handle(fd),
				     .offset = (uint64_t)size },
			NULL, 0);
	return rc;
}

#define TRUNCATE(name)                                                                             \
	EXPORT int name(int fd, off_t size)                                                        \
	{                                                                                          \
		REAL(name)                                                                         \
		return cut(fd, size, real(fd, size));                                              \
	}
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* Room is set aside; the size only grows where nothing is said to keep it. */
static int set_aside(int fd, int mode, off_t end, int rc)
{
	struct stat st;

	if (rc != 0 || recorder_handle(fd) == 0 || mode == FALLOC_FL_KEEP_SIZE)
		return rc;
	if (mode != 0 || fstat(fd, &st) != 0)
		recorder_die("fallocate with such flags");
	return st.st_size == end ? cut(fd, end, 0) : 0;
}

#define FALLOCATE(name)                                                                            \
	EXPORT int name(int fd, int mode, off_t at, off_t n)                                       \
	{                                                                                          \
		REAL(name)                                                                         \
		return set_aside(fd, mode, at + n, real(fd, mode, at, n));                         \
	}
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define MMAP(name)                                                                                 \
	EXPORT void *name(void *addr, size_t n, int prot, int flags, int fd, off_t at)             \
	{                                                                                          \
		REAL(name)                                                                         \
		if (recorder_handle(fd) != 0 && (prot & PROT_WRITE) != 0 &&                        \
			(flags & MAP_SHARED) != 0)                                                 \
			recorder_die("a file that is written through a map");                      \
		return real(addr, n, prot, flags, fd, at);                                         \
	}
MMAP(mmap)
MMAP(mmap64)

/* ---- names ---- */

static void add_path(enum trace_kind kind, const char *path)
{
	struct iovec p = recorder_part(path, strlen(path) + 1);

	recorder_add(&(struct trace_record){ .kind = (uint8_t)kind }, &p, 1);
}

static int renamed(const char *from, const char *to, int rc)
{
	struct iovec part[2];

	if (rc != 0 || (recorder_below(from) == NULL && recorder_below(to) == NULL))
		return rc;
	if (recorder_below(from) == NULL || recorder_below(to) == NULL)
		recorder_die("a rename out of the folder or into it");
	part[0] = recorder_part(recorder_below(from), strlen(recorder_below(from)) + 1);
	part[1] = recorder_part(recorder_below(to), strlen(recorder_below(to)) + 1);
	recorder_add(&(struct trace_record){ .kind = TRACE_RENAME }, part, 2);
	return rc;
}

EXPORT int rename(const char *from, const char *to)
{
	REAL(rename)
	return renamed(from, to, real(from, to));
}

static int named(enum trace_kind kind, const char *path, int rc)
{
	if (rc == 0 && recorder_below(path) != NULL && !recorder_is_lock(path))
		add_path(kind, recorder_below(path));
	return rc;
}

EXPORT int unlink(const char *path)
{
	REAL(unlink)
	return named(TRACE_UNLINK, path, real(path));
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	REAL(mkdir)
	return named(TRACE_MKDIR, path, real(path, mode));
}

/* ---- what is not known ---- */

EXPORT int link(const char *from, const char *to)
{
	REAL(link)
	if (recorder_below(from) != NULL || recorder_below(to) != NULL)
		recorder_die("link");
	return real(from, to);
}

EXPORT int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	REAL(renameat2)
	if (recorder_on())
		recorder_die("renameat2");
	return real(a, from, b, to, flags);
}
