/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's ledger, for who looks after the store: how long the log was when it was signed last. */
#pragma once

#include "server/trust/signer.h"

/* Beside a running server.  -ENOENT, -EACCES, ERR_CORRUPT. */
WARN_UNUSED int floor_peek(const char *path, struct signer_log *out);

struct floor;
/*
 * Holds the ledger as a signer does, so that no server that has these keys starts until
 * floor_release(): nothing in it is changed.  ERR_BUSY: one is running; -ENOENT: it is never made.
 */
WARN_UNUSED int floor_hold(const char *path, struct floor **out, struct signer_log *log);
void floor_release(struct floor *f);
