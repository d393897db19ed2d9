/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log's key says of the log: its size and root, as a signed note.
 *
 * Formats: c2sp.org/tlog-checkpoint, c2sp.org/signed-note (Ed25519, signature type 1) and
 * c2sp.org/tlog-cosignature (type 4) of witnesses.
 */
#pragma once

#include "proto/crypto.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define CHECKPOINT_MAX       2048u /* of the whole note */
#define CHECKPOINT_LINES_MAX 16u   /* signatures */

struct checkpoint {
	uint64_t size;
	uint8_t root[SHA256_LEN];
};

/* The note with one signature, `key`'s, an Ed25519 key known as `origin`.  ERR_NO_ROOM. */
WARN_UNUSED int checkpoint_sign(const char *origin, const struct checkpoint *checkpoint,
	const struct crypto_key *key, struct arena *a, struct bytes *note);

/*
 * Reads a note of the log that `root` names, if the log's key signed it and as many witnesses as the
 * root asks for.  ERR_TOO_BIG, ERR_MALFORMED, ERR_BAD_SIGNATURE (also: none by the log's key),
 * ERR_WRONG_REPOSITORY (another log's), ERR_BELOW_WITNESSES, ERR_BAD_ROOT (it names no log).
 */
WARN_UNUSED int checkpoint_read(const struct crypto *c, struct bytes note, const Pb__Root *root,
	struct arena *a, struct checkpoint *out);
