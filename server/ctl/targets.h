/* SPDX-License-Identifier: Apache-2.0 */
/* A build's description (Targets): made, read, and shown before it is signed. */
#pragma once

#include "server/ctl/sign.h"

#define TARGETS_ENV_MAX 65536u /* as wire_envelope */
#define TARGETS_ARENA   (2u * 1024u * 1024u)
#define TARGETS_LIFE_S  (180ull * 86400)

struct file_facts {
	uint64_t length;
	uint8_t sha256[SHA256_LEN];
};
/* Reads all of the file; -errno, or ERR_BAD_BUILD when it is empty. */
WARN_UNUSED int file_facts(const char *path, struct file_facts *out);

/*
 * An envelope without signatures for `path`, by the arguments --product, --build,
 * --release,
 * --rollback-from and these numbers.  An exit code, spoken.
 */
WARN_UNUSED int targets_make(struct ctl *c, const char *path, uint64_t counter,
	uint64_t rollback_index, struct arena *a, struct bytes *out);

/* An envelope without signatures that describes the same build for as long again: its next version. */
WARN_UNUSED int targets_renew(const Pb__Targets *old, struct arena *a, struct bytes *out);

/*
 * Reads a file as an envelope of Targets; `*is` false: it is some other file, a build's.  An exit
 * code, spoken, when it cannot be read.
 */
WARN_UNUSED int targets_read(
	struct ctl *c, const char *path, struct arena *a, bool *is, struct bytes *out);

/* What is in an envelope, whoever signed it: to look at, not to believe.  NULL with
 * *err. */
WARN_UNUSED const Pb__Targets *targets_peek(struct bytes envelope, struct arena *a, int *err);

/* Decoded for the person who signs; the second one says it on stderr. */
void targets_note(struct ctl *c, const Pb__Targets *targets);
void targets_show(struct buf *out, const struct term *t, const Pb__Targets *targets);
