/* SPDX-License-Identifier: Apache-2.0 */
/* The root of trust as a file: an Envelope of a Root that its own root keys signed. */
#pragma once

#include "proto/envelope.h"

/* One root; owns what it points to. */
struct rootfile {
	struct bytes envelope;
	const Pb__Root *root;
};

/*
 * Verified by its own root role and checked; not that it has not expired, which is for
 * the caller to judge.  Copies `envelope`.  On 0 `*out` is to be freed with
 * rootfile_free.
 */
WARN_UNUSED int rootfile_parse(struct bytes envelope, struct rootfile **out);
WARN_UNUSED int rootfile_read(const char *path, struct rootfile **out);
/* The file is replaced as a whole or not at all. */
WARN_UNUSED int rootfile_write(const char *path, struct bytes envelope);
void rootfile_free(struct rootfile *r);
