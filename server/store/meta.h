/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's two meta pages say where the trees of a commit begin.  They have no checksum: one that was
 * half written when the power failed is believed.  What each commit of ours leaves behind shows it:
 * its number is in the list of free pages, for every commit frees some, and in the table "meta".
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"

/*
 * Looks at data.mdb in the directory `path`, or at a copy of it, without LMDB, also while a server writes to it.
 * ERR_CORRUPT: the last commit is damaged.
 */
WARN_UNUSED int meta_check(const char *path);
