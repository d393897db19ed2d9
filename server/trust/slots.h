/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in a file of two slots, written in turn; each carries a generation and a SHA-256.  A write
 * that was cut short by a power failure is thrown away: the other slot has what was saved before it.
 * After slots_open nothing is opened, created or renamed.  Private to this folder.
 */
#pragma once

#include "proto/err.h"
#include "server/base/buf.h"

#define SLOT_SIZE ((size_t)8 * 1024 * 1024) /* where the second begins; the file has holes */

struct slots {
	int fd;
	uint64_t generation;
};

/*
 * Adds to `payload` what was written last; a file that is not there is made, with `first` in it.  Only
 * one process can have it open: ERR_BUSY.  ERR_CORRUPT when neither slot is whole, -errno.  In every
 * case to be given to slots_close.
 */
WARN_UNUSED int slots_open(
	const char *path, struct bytes first, struct slots *s, struct buf *payload);
/* The same to look only, beside a process that has it open and may be writing. */
WARN_UNUSED int slots_read(const char *path, struct buf *payload);
void slots_close(struct slots *s);
/* Durable when it returns 0; otherwise the file has what it had.  ERR_TOO_BIG, -errno. */
WARN_UNUSED int slots_write(struct slots *s, struct bytes payload);
