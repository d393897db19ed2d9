/* SPDX-License-Identifier: Apache-2.0 */
/* A server is started on what a disk may hold, and held to what was promised. */
#pragma once

#include "tests/crash/promise.h"

#define VERDICT_TEXT 320u

enum verdict_kind {
	VERDICT_GOOD,
	VERDICT_REFUSED, /* it does not start, and says why */
	VERDICT_BROKEN,  /* a promise is */
	VERDICT_DIED,
};

struct verdict {
	enum verdict_kind kind;
	char text[VERDICT_TEXT];
};

/* What a start reads of one file. */
struct look {
	int err;         /* 0, or it is refused: text */
	uint64_t digest; /* of all that is in it */
	char text[256];
};

/* Opens, as a start does, the store in this folder, and reads all of it. */
void look_store(const char *folder, struct look *out);
void look_ledger(const char *path, struct look *out);

/* The whole server in `folder`, in this process, which is then to end. */
void start_check(const char *folder, const struct promise *p, struct verdict *out);
