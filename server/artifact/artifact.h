/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds' files, named by what is in them: <dir>/<first two hex digits>/<sha256 in hex>.  A file is
 * there as a whole, checked and on disk, or not at all.  Opening is for any thread; uploads for one.
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
/* Bytes of this file that the upload under way has brought; 0 when it is of another file. */
uint64_t artifact_received(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);

/*
 * The next piece of a file of `length` bytes; pieces come in order, the first at offset 0, which
 * starts again.  With the last one the whole is checked and put in place: ERR_BAD_HASH throws it
 * away.  ERR_CONFLICT when the piece does not follow the one before.
 */
WARN_UNUSED int artifact_upload(struct artifacts *a, const uint8_t sha256[SHA256_LEN],
	uint64_t length, uint64_t offset, struct bytes piece);
