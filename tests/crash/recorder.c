/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the scripted run: writes down every change below one folder as it is made.  In the
 * signer, behind its lockdown, it may do no more than what the signer does and write to memory.
 *
 * What it does not know ends the program, so that no change goes unseen: the lab compares what the
 * trace says with what there is in the end, besides.
 */
#include "recorder.h"

static struct trace_head *head;
static char folder[256];
static size_t folder_n;
/* By descriptor: a forked signer inherits them with the descriptors.  0: not ours. */
static uint32_t handles[FDS_MAX];

void recorder_die(const char *what)
{
	(void)fprintf(stderr, "crash recorder: %s: the lab does not know it\n", what);
	abort();
}

/* ---- the trace ---- */

bool recorder_on(void)
{
	return head != NULL && folder_n > 0;
}

static void lock(void)
{
	while (atomic_exchange(&head->lock, 1) != 0)
		;
}

void recorder_add(const struct trace_record *record, const struct iovec *part, size_t n)
{
	struct trace_record *out;
	size_t bytes = 0, size;
	uint8_t *to;

	for (size_t i = 0; i < n; i++)
		bytes += part[i].iov_len;
	size = (sizeof(*out) + bytes + 7) & ~(size_t)7;
	lock();
	if (sizeof(*head) + head->used + size > TRACE_ROOM)
		recorder_die("so long a run");
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

struct iovec recorder_part(const void *p, size_t n)
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
		recorder_die("a trace that does not fit");
	head = mmap(NULL, TRACE_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		recorder_die("a trace that cannot be mapped");
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
	struct iovec p = recorder_part(m, sizeof(*m));

	recorder_add(&(struct trace_record){ .kind = TRACE_MARK }, &p, 1);
}

/* The path below the folder, "" for itself; NULL when it is elsewhere. */
const char *recorder_below(const char *path)
{
	if (!recorder_on() || path == NULL || strncmp(path, folder, folder_n - 1) != 0)
		return NULL;
	if (path[folder_n - 1] == '\0')
		return path + folder_n - 1;
	return path[folder_n - 1] == '/' ? path + folder_n : NULL;
}

uint32_t recorder_handle(int fd)
{
	return recorder_on() && fd >= 0 && fd < FDS_MAX ? handles[fd] : 0;
}

/* ---- opening ---- */

bool recorder_is_lock(const char *path)
{
	size_t n = strlen(path);

	return (n >= 8 && strcmp(path + n - 8, "lock.mdb") == 0) ||
		(n >= 5 && strcmp(path + n - 5, "-lock") == 0);
}

static void opened(int fd, const char *path, int flags, bool was_there)
{
	struct trace_record r = { .kind = TRACE_OPEN };
	struct iovec p;

	if (fd < 0 || fd >= FDS_MAX)
		return;
	handles[fd] = 0;
	if (path == NULL || recorder_is_lock(path))
		return;
	r.handle = handles[fd] = atomic_fetch_add(&head->handles, 1) + 1;
	if (!was_there)
		r.flags |= TRACE_CREATED;
	if ((flags & O_TRUNC) != 0)
		r.flags |= TRACE_EMPTIED;
	if ((flags & (O_SYNC | O_DSYNC)) != 0)
		r.flags |= TRACE_SYNCED;
	if ((flags & O_APPEND) != 0)
		recorder_die("O_APPEND");
	p = recorder_part(path, strlen(path) + 1);
	recorder_add(&r, &p, 1);
}

static int open_as(const char *path, int flags, mode_t mode)
{
	const char *name = recorder_below(path);
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
		handles[fd] = 0;
	return real(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	REAL(close_range)
	for (unsigned i = first; i < FDS_MAX && i <= last; i++)
		handles[i] = 0;
	return real(first, last, flags);
}

EXPORT int dup2(int from, int to)
{
	REAL(dup2)
	if (recorder_handle(from) != 0)
		recorder_die("dup2");
	if (to >= 0 && to < FDS_MAX)
		handles[to] = 0;
	return real(from, to);
}

EXPORT int dup(int fd)
{
	REAL(dup)
	if (recorder_handle(fd) != 0)
		recorder_die("dup");
	return real(fd);
}
