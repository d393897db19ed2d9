/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder's two files share. */
#pragma once

/* Both forms of each call are made here, and neither stands for the other. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
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

#include "trace.h"

#define EXPORT  __attribute__((visibility("default")))
#define FDS_MAX 1024
#define PARTS   64

#define REAL(name)                                                                                 \
	static __typeof__(name) *real;                                                             \
	if (real == NULL) {                                                                        \
		union {                                                                            \
			void *p;                                                                   \
			__typeof__(name) *f;                                                       \
		} u = { dlsym(RTLD_NEXT, #name) };                                                 \
		real = u.f;                                                                        \
	}

/* Something that the lab would misunderstand. */
__attribute__((noreturn)) void recorder_die(const char *what);
bool recorder_on(void);
/* A record with these data; size and n are filled in. */
void recorder_add(const struct trace_record *record, const struct iovec *part, size_t n);
struct iovec recorder_part(const void *p, size_t n);
/* The path below the folder, "" for itself; NULL when it is elsewhere. */
const char *recorder_below(const char *path);
/* Of an open file below the folder; 0 of others. */
uint32_t recorder_handle(int fd);
/* LMDB's, which whoever opens it first makes anew. */
bool recorder_is_lock(const char *path);
