/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, whole, and pieces of large ones.  Errors are -errno. */
#pragma once

#include "proto/err.h"
#include "server/base/buf.h"

/* Adds the file's bytes to `out`; ERR_TOO_BIG when there are more than `max`. */
WARN_UNUSED int file_read(const char *path, size_t max, struct buf *out);
/* Makes a new file with exactly this mode; -EEXIST when it is there.  Synced. */
WARN_UNUSED int file_create(const char *path, struct bytes data, unsigned mode);
/* The file is as it was or as given, whatever happens; on disk on return. */
WARN_UNUSED int file_replace(const char *path, struct bytes data, unsigned mode);
/* That there is a file or folder of this name is on disk on return; of its bytes nothing is said. */
WARN_UNUSED int file_sync_entry(const char *path);
/* All of it, or an error; not synced.  The descriptor's own position stays where it is. */
WARN_UNUSED int file_write_at(int fd, uint64_t at, struct bytes data);
/* Descriptors this process has; 0 when there is none left to look with. */
uint64_t file_count_open(void);
