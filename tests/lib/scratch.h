/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where tests make their folders: in memory where there is such a place, for they are not about the
 * disk.  Who runs them may say where, and remove what those leave that do not end well.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define SCRATCH_ENV "HUIDU_TESTS_IN"

static inline const char *scratch_base(void)
{
	const char *told = getenv(SCRATCH_ENV);

	if (told != NULL)
		return told;
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}
