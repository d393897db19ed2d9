/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 of builds' files, which clients of hawkBit ask for.  Computed by a thread of its own when it is
 * first asked for, and kept in the store: a file's bytes never change.
 */
#pragma once

#include "server/artifact/artifact.h"
#include "server/service/writer.h"
#include "server/trust/sha1.h"

struct digests;

/* All outlive it.  NULL when there can be no thread. */
struct digests *digests_new(const struct artifacts *files, struct store *store, struct writer *w);
/* Ends the thread, in the middle of a file, too; the rest stays. */
void digests_stop(struct digests *d);
void digests_free(struct digests *d);

/*
 * Any thread, at once.  False: it is not known yet; ask again later.  A file that cannot be read is tried
 * once a minute, however often it is asked for.
 */
bool digests_sha1(struct digests *d, const uint8_t sha256[SHA256_LEN], uint8_t out[SHA1_LEN]);
