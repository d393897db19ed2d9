/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/ring.h"

#include <assert.h>
#include <string.h>

static const char *const name[RING__COUNT] = { "core", "honour", "dev", "stable" };

const char *ring_str(enum ring ring)
{
	assert((unsigned)ring < RING__COUNT);
	return name[ring];
}

bool ring_parse(const char *s, enum ring *out)
{
	for (unsigned r = 0; r < RING__COUNT; r++) {
		if (strcmp(s, name[r]) == 0) {
			*out = (enum ring)r;
			return true;
		}
	}
	return false;
}
