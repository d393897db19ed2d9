/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the scripted run: writes down every change below one folder as it is made.  In the
 * signer, behind its lockdown, it may do no more than what the signer does and write to memory.
 *
 * What it does not know ends the program, so that no change goes unseen: the lab compares what the
 * trace says with what there is in the end, besides.
 */
/* Both forms of each call are made here, and neither stands for the other. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT  __attribute__((visibility("default")))
#define FDS_MAX 1024
#define PARTS   64

static struct trace_head *head;
static char folder[256];
static size_t folder_n;
/* By descriptor: a forked signer inherits them with the descriptors. */
static struct {
	uint32_t handle; /* 0: not ours */
	bool unwatched;  /* LMDB's lock file: made anew by whoever opens it first */
} fds[FDS_MAX];

#define REAL(name)                                                                                 \
	static __typeof__(name) *real;                                                             \
	if (real == NULL) {                                                                        \
		union {                                                                            \
			void *p;                                                                   \
			__typeof__(name) *f;                                                       \
		} u = { dlsym(RTLD_NEXT, #name) };                                                 \
		real = u.f;                                                                        \
	}

__attribute__((noreturn)) static void die(const char *what)
{
	(void)fprintf(stderr, "crash recorder: %s: the lab does not know it\n", what);
	abort();
}

/* ---- the trace ---- */

static bool on(void)
{
	return head != NULL && folder_n > 0;
}

static void lock(void)
{
	while (atomic_exchange(&head->lock, 1) != 0)
		;
}

static void add(const struct trace_record *record, const struct iovec *part, size_t n)
{
	struct trace_record *out;
	size_t bytes = 0, size;
	uint8_t *to;

	for (size_t i = 0; i < n; i++)
		bytes += part[i].iov_len;
	size = (sizeof(*out) + bytes + 7) & ~(size_t)7;
	lock();
	if (sizeof(*head) + head->used + size > TRACE_ROOM)
		die("so long a run");
	out = (struct trace_record *)(void *)((uint8_t *)(head + 1) + head->used);
	*out = *record;
	out->size = (uint32_t)size;
	out->n = (uint32_t)bytes;
	to = out->data;
	for (size_t i = 0; i < n; i++) {
		memcpy(to, part[i].iov_base, part[i].iov_len);
		to += part[i].iov_len;
	}
	atomic_fetch_add(&head->used, size);
	atomic_store(&head->lock, 0);
}

static struct iovec part_of(const void *p, size_t n)
{
	union {
		const void *in;
		void *out; /* it is only read */
	} u = { p };
	return (struct iovec){ u.out, n };
}

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv(TRACE_ENV);
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (ftruncate(fd, (off_t)TRACE_ROOM) != 0)
		die("a trace that does not fit");
	head = mmap(NULL, TRACE_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		die("a trace that cannot be mapped");
	head->magic = TRACE_MAGIC;
	(void)close(fd);
}

EXPORT void crash_begin(const char *path)
{
	(void)snprintf(folder, sizeof(folder), "%s/", path);
	folder_n = strlen(folder);
}

EXPORT void crash_mark(const struct mark *m)
{
	struct iovec p = part_of(m, sizeof(*m));

	add(&(struct trace_record){ .kind = TRACE_MARK }, &p, 1);
}

/* The path below the folder, "" for itself; NULL when it is elsewhere. */
static const char *below(const char *path)
{
	if (!on() || path == NULL || strncmp(path, folder, folder_n - 1) != 0)
		return NULL;
	if (path[folder_n - 1] == '\0')
		return path + folder_n - 1;
	return path[folder_n - 1] == '/' ? path + folder_n : NULL;
}

static void add_path(enum trace_kind kind, const char *path)
{
	struct iovec p = part_of(path, strlen(path) + 1);

	add(&(struct trace_record){ .kind = (uint8_t)kind }, &p, 1);
}

static uint32_t handle_of(int fd)
{
	return on() && fd >= 0 && fd < FDS_MAX ? fds[fd].handle : 0;
}

/* ---- opening ---- */

static bool is_lock_file(const char *path)
{
	size_t n = strlen(path);

	return n >= 8 && strcmp(path + n - 8, "lock.mdb") == 0;
}

static void opened(int fd, const char *path, int flags, bool was_there)
{
	struct trace_record r = { .kind = TRACE_OPEN };
	struct iovec p;

	if (fd < 0 || fd >= FDS_MAX)
		return;
	fds[fd].handle = 0;
	fds[fd].unwatched = path != NULL && is_lock_file(path);
	if (path == NULL || fds[fd].unwatched)
		return;
	r.handle = fds[fd].handle = atomic_fetch_add(&head->handles, 1) + 1;
	if (!was_there)
		r.flags |= TRACE_CREATED;
	if ((flags & O_TRUNC) != 0)
		r.flags |= TRACE_EMPTIED;
	if ((flags & (O_SYNC | O_DSYNC)) != 0)
		r.flags |= TRACE_SYNCED;
	if ((flags & O_APPEND) != 0)
		die("O_APPEND");
	p = part_of(path, strlen(path) + 1);
	add(&r, &p, 1);
}

static int open_as(const char *path, int flags, mode_t mode)
{
	const char *name = below(path);
	bool was_there = name == NULL || access(path, F_OK) == 0;
	int fd;

	REAL(openat)
	fd = real(AT_FDCWD, path, flags, mode);
	opened(fd, name, flags, was_there);
	return fd;
}

#define OPEN(name)                                                                                 \
	EXPORT int name(const char *path, int flags, ...)                                          \
	{                                                                                          \
		va_list args;                                                                      \
		mode_t mode;                                                                       \
		va_start(args, flags);                                                             \
		mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;            \
		va_end(args);                                                                      \
		return open_as(path, flags, mode);                                                 \
	}
OPEN(open)
OPEN(open64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
	return open_as(path, flags, 0);
}
EXPORT int __open64_2(const char *path, int flags)
{
	return open_as(path, flags, 0);
}

EXPORT int close(int fd)
{
	REAL(close)
	if (fd >= 0 && fd < FDS_MAX)
		fds[fd].handle = 0;
	return real(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	REAL(close_range)
	for (unsigned i = first; i < FDS_MAX && i <= last; i++)
		fds[i].handle = 0;
	return real(first, last, flags);
}

EXPORT int dup2(int from, int to)
{
	REAL(dup2)
	if (handle_of(from) != 0)
		die("dup2");
	if (to >= 0 && to < FDS_MAX)
		fds[to].handle = 0;
	return real(from, to);
}

EXPORT int dup(int fd)
{
	REAL(dup)
	if (handle_of(fd) != 0)
		die("dup");
	return real(fd);
}

/* ---- writing ---- */

static ssize_t wrote(int fd, ssize_t n, off_t at, const struct iovec *part, size_t parts)
{
	struct iovec cut[PARTS];
	size_t left = n > 0 ? (size_t)n : 0;

	if (handle_of(fd) == 0 || n <= 0)
		return n;
	if (parts > PARTS)
		die("a write of so many parts");
	for (size_t i = 0; i < parts; i++) {
		cut[i] = part[i];
		if (cut[i].iov_len > left)
			cut[i].iov_len = left;
		left -= cut[i].iov_len;
	}
	add(
		&(struct trace_record){
			.kind = TRACE_WRITE, .handle = fds[fd].handle, .offset = (uint64_t)at },
		cut, parts);
	return n;
}

#define PWRITE(name)                                                                               \
	EXPORT ssize_t name(int fd, const void *p, size_t n, off_t at)                             \
	{                                                                                          \
		struct iovec part = part_of(p, n);                                                 \
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
	return handle_of(fd) != 0 ? lseek(fd, 0, SEEK_CUR) : 0;
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	struct iovec part = part_of(p, n);
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
	if (rc == 0 && handle_of(fd) != 0)
		add(&(struct trace_record){ .kind = TRACE_SYNC, .handle = fds[fd].handle }, NULL,
			0);
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
	if (rc == 0 && handle_of(fd) != 0)
		add(&(struct trace_record){ .kind = TRACE_TRUNCATE,
			    .handle = fds[fd].handle,
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

	if (rc != 0 || handle_of(fd) == 0 || mode == FALLOC_FL_KEEP_SIZE)
		return rc;
	if (mode != 0 || fstat(fd, &st) != 0)
		die("fallocate with such flags");
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
		if (handle_of(fd) != 0 && (prot & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0)   \
			die("a file that is written through a map");                               \
		return real(addr, n, prot, flags, fd, at);                                         \
	}
MMAP(mmap)
MMAP(mmap64)

/* ---- names ---- */

static int renamed(const char *from, const char *to, int rc)
{
	struct iovec part[2];

	if (rc != 0 || (below(from) == NULL && below(to) == NULL))
		return rc;
	if (below(from) == NULL || below(to) == NULL)
		die("a rename out of the folder or into it");
	part[0] = part_of(below(from), strlen(below(from)) + 1);
	part[1] = part_of(below(to), strlen(below(to)) + 1);
	add(&(struct trace_record){ .kind = TRACE_RENAME }, part, 2);
	return rc;
}

EXPORT int rename(const char *from, const char *to)
{
	REAL(rename)
	return renamed(from, to, real(from, to));
}

static int named(enum trace_kind kind, const char *path, int rc)
{
	if (rc == 0 && below(path) != NULL)
		add_path(kind, below(path));
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
	if (below(from) != NULL || below(to) != NULL)
		die("link");
	return real(from, to);
}

EXPORT int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	REAL(renameat2)
	if (on())
		die("renameat2");
	return real(a, from, b, to, flags);
}

EXPORT int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	REAL(sync_file_range)
	if (handle_of(fd) != 0)
		die("sync_file_range");
	return real(fd, at, n, flags);
}
