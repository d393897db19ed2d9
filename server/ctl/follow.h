/* SPDX-License-Identifier: Apache-2.0 */
/* The root of this machine, brought up to the server's: every step signed by the one before. */
#pragma once

#include "server/ctl/ctl.h"

/*
 * Fetches the roots that follow ours, checks each against the one before it and replaces the file by
 * the newest.  `*steps` is how many there were.  ERR_ of the chain or of the server.
 */
WARN_UNUSED int root_update(struct ctl *c, unsigned *steps);

/*
 * For a signature that does not fit: once a run, without a word when there is nothing newer or no
 * server.  True when the root is another now, which it says.
 */
bool root_follow(struct ctl *c);
