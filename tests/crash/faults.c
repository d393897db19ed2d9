/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/faults.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FD_MAX 4096

/* What was opened for writing, as far as it is a file; and where LMDB writes its meta page. */
enum { FD_OTHER, FD_FILE, FD_META };

static struct faults *page;
static _Atomic uint32_t role;
static uint8_t fd_kind[FD_MAX];

/* ---- who, and whether ---- */

struct faults *faults_page(void)
{
	return page;
}

struct faults *faults_here(void)
{
	void *p = mmap(
		NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	page = p == MAP_FAILED ? NULL : p;
	return page;
}

void faults_be_server(void)
{
	role = FAULTS_SERVER;
}

__attribute__((constructor)) static void find_page(void)
{
	const char *path = getenv("HUIDU_FAULTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	page = p == MAP_FAILED ? NULL : p;
	(void)close(fd);
}

/* Counts the call; what is wrong with it, or 0. */
static int wrong(enum faults_class class, bool is_write, int fd)
{
	uint32_t n;

	if (page == NULL)
		return 0;
	n = atomic_fetch_add(&page->calls[role][class], 1) + 1;
	if (atomic_load(&page->armed) == 0 || page->role != role ||
		page->class != (uint32_t) class || n < page->first || n > page->last ||
		(page->kind == FAULTS_SHORT && !is_write))
		return 0;
	atomic_fetch_add(&page->failed, 1);
	if (fd >= 0 && fd_kind[fd] == FD_META)
		atomic_fetch_add(&page->meta, 1);
	return page->kind;
}

static bool fails(enum faults_class class)
{
	int kind = wrong(class, false, -1);

	if (kind != 0)
		errno = kind;
	return kind != 0;
}

static bool is_file(int fd)
{
	return fd >= 0 && fd < FD_MAX && fd_kind[fd] != FD_OTHER;
}

static bool fd_fails(int fd)
{
	int kind = is_file(fd) ? wrong(FAULTS_DISK, false, fd) : 0;

	if (kind != 0)
		errno = kind;
	return kind != 0;
}

/* How much is written of `n` bytes; -1 with errno set: nothing, and that is an error. */
static ssize_t allowed(int fd, size_t n)
{
	int kind = is_file(fd) ? wrong(FAULTS_DISK, true, fd) : 0;

	if (kind == FAULTS_SHORT)
		return (ssize_t)(n > 1 ? n / 2 : n);
	if (kind == 0)
		return (ssize_t)n;
	errno = kind;
	return -1;
}

/* ---- libc's own ---- */

/* All are looked up at the start: dlsym() allocates, and the signer may call little. */
#define CALLS(CALL)                                                                                \
	CALL(open)                                                                                 \
	CALL(openat)                                                                               \
	CALL(close)                                                                                \
	CALL(dup2)                                                                                 \
	CALL(write)                                                                                \
	CALL(pwrite)                                                                               \
	CALL(writev)                                                                               \
	CALL(pwritev)                                                                              \
	CALL(fsync)                                                                                \
	CALL(fdatasync)                                                                            \
	CALL(ftruncate)                                                                            \
	CALL(fallocate)                                                                            \
	CALL(rename)                                                                               \
	CALL(mkdir)                                                                                \
	CALL(socket)                                                                               \
	CALL(socketpair)                                                                           \
	CALL(accept4)                                                                              \
	CALL(eventfd)                                                                              \
	CALL(pipe2)                                                                                \
	CALL(fork)                                                                                 \
	CALL(clock_gettime)

#define POINTER(name) __typeof__(&name) name;
static struct {
	CALLS(POINTER)
} libc;

#define LOOK_UP(name)                                                                              \
	p = dlsym(RTLD_NEXT, #name);                                                               \
	memcpy(&libc.name, &p, sizeof(p));

__attribute__((constructor)) static void look_up(void)
{
	void *p;

	CALLS(LOOK_UP)
}

/* A library's constructor may come before ours. */
#define LIBC(name) (libc.name == NULL ? look_up() : (void)0, libc.name)

/* ---- files ---- */

static int opened(int fd, const char *path, int flags)
{
	bool counts = (flags & (O_WRONLY | O_RDWR | O_DIRECTORY)) != 0 &&
		strncmp(path, "/dev/null", 9) != 0 && strncmp(path, "/proc/", 6) != 0;

	if (fd >= 0 && fd < FD_MAX)
		fd_kind[fd] = !counts ? FD_OTHER : (flags & O_DSYNC) != 0 ? FD_META : FD_FILE;
	return fd;
}

static int mode_of(int flags, va_list args)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	if (fails(FAULTS_OPEN))
		return -1;
	return opened(LIBC(open)(path, flags, mode), path, flags);
}

int openat(int folder, const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	if (fails(FAULTS_OPEN))
		return -1;
	return opened(LIBC(openat)(folder, path, flags, mode), path, flags);
}

int close(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		fd_kind[fd] = FD_OTHER;
	return LIBC(close)(fd);
}

int dup2(int from, int to)
{
	if (from >= 0 && from < FD_MAX && to >= 0 && to < FD_MAX)
		fd_kind[to] = fd_kind[from];
	return LIBC(dup2)(from, to);
}

ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t may = allowed(fd, n);

	return may < 0 ? -1 : LIBC(write)(fd, p, (size_t)may);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t may = allowed(fd, n);

	return may < 0 ? -1 : LIBC(pwrite)(fd, p, (size_t)may, at);
}

/* Half of them, or of the only one. */
static ssize_t write_pieces(int fd, const struct iovec *piece, int n, const off_t *at)
{
	ssize_t may = allowed(fd, 1000000);
	struct iovec half = piece[0];

	if (may < 0)
		return -1;
	if (may < 1000000 && n > 1)
		n /= 2;
	else if (may < 1000000)
		half.iov_len = half.iov_len > 1 ? half.iov_len / 2 : half.iov_len;
	if (n == 1)
		piece = &half;
	return at == NULL ? LIBC(writev)(fd, piece, n) : LIBC(pwritev)(fd, piece, n, *at);
}

ssize_t writev(int fd, const struct iovec *piece, int n)
{
	return write_pieces(fd, piece, n, NULL);
}

ssize_t pwritev(int fd, const struct iovec *piece, int n, off_t at)
{
	return write_pieces(fd, piece, n, &at);
}

int fsync(int fd)
{
	return fd_fails(fd) ? -1 : LIBC(fsync)(fd);
}

static void wait_for_disk(uint32_t ms)
{
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

int fdatasync(int fd)
{
	if (page != NULL && role == FAULTS_SERVER && atomic_load(&page->sync_ms) > 0)
		wait_for_disk(atomic_load(&page->sync_ms));
	return fd_fails(fd) ? -1 : LIBC(fdatasync)(fd);
}

int ftruncate(int fd, off_t n)
{
	return fd_fails(fd) ? -1 : LIBC(ftruncate)(fd, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fd_fails(fd) ? -1 : LIBC(fallocate)(fd, mode, at, n);
}

int rename(const char *from, const char *to)
{
	return fails(FAULTS_DISK) ? -1 : LIBC(rename)(from, to);
}

int mkdir(const char *path, mode_t mode)
{
	return fails(FAULTS_DISK) ? -1 : LIBC(mkdir)(path, mode);
}

/* ---- descriptors ---- */

int socket(int domain, int type, int protocol)
{
	return fails(FAULTS_OPEN) ? -1 : LIBC(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
	return fails(FAULTS_OPEN) ? -1 : LIBC(socketpair)(domain, type, protocol, pair);
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *n, int flags)
{
	return fails(FAULTS_OPEN) ? -1 : LIBC(accept4)(fd, address, n, flags);
}

int eventfd(unsigned first, int flags)
{
	return fails(FAULTS_OPEN) ? -1 : LIBC(eventfd)(first, flags);
}

int pipe2(int pair[2], int flags)
{
	return fails(FAULTS_OPEN) ? -1 : LIBC(pipe2)(pair, flags);
}

/* ---- memory ---- */

#ifndef __SANITIZE_ADDRESS__

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return fails(FAULTS_MEMORY) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(FAULTS_MEMORY) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(FAULTS_MEMORY) ? NULL : __libc_realloc(p, n);
}

#endif

/* ---- processes and time ---- */

pid_t fork(void)
{
	pid_t pid = LIBC(fork)();

	if (pid == 0)
		role = FAULTS_SIGNER;
	return pid;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = LIBC(clock_gettime)(id, t);
	int64_t ms = page != NULL && id == CLOCK_REALTIME ? atomic_load(&page->clock_ms) : 0;
	int64_t ns = t->tv_nsec + ms % 1000 * 1000000;

	if (rc != 0 || ms == 0)
		return rc;
	t->tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
	t->tv_nsec = (ns + 1000000000) % 1000000000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

/* The names of those who ask for large files. */
#define LARGE(name, ...) __attribute__((alias(#name))) __typeof__(name) name##64
LARGE(open);
LARGE(openat);
LARGE(pwrite);
LARGE(pwritev);
LARGE(ftruncate);
LARGE(fallocate);
