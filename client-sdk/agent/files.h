/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory with small files that are replaced whole, and one large one that grows.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <huidu/huidu.h>

#define FILES_DOWNLOAD "download"
#define FILES_STATE    "state"

struct files {
	int dir;
	int download, state; /* -1: not open */
};

/* Makes the directory if need be.  All return 0 or -errno. */
int files_open(struct files *f, const char *dir);
void files_close(struct files *f);
/*
 * *len is the room on entry, the length on return; -ENOENT; -EFBIG when there is no
 * room.
 */
int files_load(const struct files *f, const char *name, void *out, size_t *len);
/* After a crash either the old content is there or the new. */
int files_save(const struct files *f, const char *name, const void *data, size_t len);
int files_rename(const struct files *f, const char *from, const char *to);
/* The library's state: two slots in one file, each overwritten in place, durable on return. */
int files_read_slot(struct files *f, unsigned slot, void *out, size_t *len);
int files_write_slot(struct files *f, unsigned slot, const void *data, size_t len);
/* The large one.  Writing at 0 starts it anew. */
int files_write(struct files *f, uint64_t offset, const void *data, size_t len);
int files_read(struct files *f, uint64_t offset, void *out, size_t *len);
