/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds' files, named by what is in them: <dir>/<first two hex digits>/<sha256 in hex>.  A file is
 * there as a whole, checked and on disk, or not at all; what is still coming is <dir>/upload/<sha256
 * in hex>.  Opening is for any thread; uploads, lists and removing are for one.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

struct artifacts;

/* Creates the directory when it is missing. */
WARN_UNUSED int artifacts_open(const char *dir, struct artifacts **out);
void artifacts_close(struct artifacts *a);

/* A descriptor for reading, owned by the caller, and the length; ERR_NOT_FOUND. */
WARN_UNUSED int artifact_open(
	const struct artifacts *a, const uint8_t sha256[SHA256_LEN], int *fd, uint64_t *length);
bool artifact_exists(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);
/* Somebody means to use the file: it counts as brought now.  False when it is not there. */
bool artifact_touch(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);

/* ---- uploads ---- */

/* Bytes of this file that are here and go on from; 0 when none are, or when it is whole. */
uint64_t artifact_received(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);
/* How far those are checked: the same, but after a restart. */
uint64_t artifact_checked(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);

/*
 * The next piece of a file of `length` bytes; pieces come in order, the first at offset 0, which
 * starts again.  With the last one the whole is checked and put in place: ERR_BAD_HASH throws it
 * away.  Several files may be under way at once.
 *
 * After a restart a file goes on where it was, once what is there has been read again: each call
 * reads a few MiB, so the caller sends empty pieces at artifact_received() until artifact_checked()
 * has come that far.
 *
 * ERR_CONFLICT when the piece does not follow the one before or comes too early; -ENOSPC when there
 * is no room, before the first byte or in the middle, and then what is there stays; ERR_BUSY when
 * eight others are under way.
 */
WARN_UNUSED int artifact_upload(struct artifacts *a, const uint8_t sha256[SHA256_LEN],
	uint64_t length, uint64_t offset, struct bytes piece);
/* The line for a person of the last artifact_upload that failed; "" when its code says it all. */
const char *artifact_why(const struct artifacts *a);

/* ---- what is there ---- */

struct artifact_file {
	uint8_t sha256[SHA256_LEN];
	uint64_t length;
	uint64_t since_ms; /* last written, or touched; of the machine's clock */
	bool unfinished;   /* an upload that has not ended */
};

/* All of them, in no order; the list is the caller's to free. */
WARN_UNUSED int artifact_list(const struct artifacts *a, struct artifact_file **out, size_t *n);
/* Who is reading it reads on to its end. */
WARN_UNUSED int artifact_remove(struct artifacts *a, const struct artifact_file *file);
