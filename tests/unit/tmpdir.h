/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, in memory where there is such a place, gone afterwards. */
#pragma once

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/scratch.h"

static char tmpdir[64];

static inline int tmpdir_make(void **state)
{
	(void)state;
	(void)snprintf(tmpdir, sizeof(tmpdir), "%s/huidu-test-XXXXXX", scratch_base());
	return mkdtemp(tmpdir) == NULL ? -1 : 0;
}

static inline int tmpdir_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int tmpdir_drop(void **state)
{
	(void)state;
	return nftw(tmpdir, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "TMPDIR/name", in one of four buffers in turn. */
static inline char *tmpdir_path(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", tmpdir, name);
	return p;
}
