/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secrets that devices' report keys derive from.  A new one begins an epoch; the one before it
 * stays good until its file is removed or a third one comes.
 *
 * Files in the folder of the online keys: device.key is epoch 1, device.N.key is epoch N (from 2).
 * Made with `openssl rand 32`.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

#define EPOCHS_LIVE       2u
#define DEVICE_SECRET_LEN 32u

struct epoch {
	uint32_t number;
	uint64_t since_s; /* unix time its file was written */
	uint8_t secret[DEVICE_SECRET_LEN];
};

struct epochs {
	struct epoch live[EPOCHS_LIVE]; /* newest first */
	size_t n;                       /* at least 1 */
};

/*
 * The newest ones.  ERR_BAD_KEY: a file is not 32 bytes long, or -errno; `failed` (if not NULL) then
 * gets the path, owned by the caller.  Wipe with epochs_release.
 */
WARN_UNUSED int epochs_read(const char *folder, struct epochs *out, char **failed);
void epochs_release(struct epochs *e);

/* NULL when it is not live. */
const struct epoch *epochs_find(const struct epochs *e, uint32_t number);
static inline const struct epoch *epochs_newest(const struct epochs *e)
{
	return &e->live[0];
}
