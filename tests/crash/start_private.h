/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of checks share. */
#pragma once

#include "tests/crash/sdk.h"
#include "tests/crash/start.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

struct checking {
	struct deployment d;
	const struct promise *p;
	struct test_device device[SCRIPT_DEVICES];
	struct sdk phone;
	struct verdict *out;
};

/* The first thing that is broken is the one that is told. */
__attribute__((format(printf, 3, 4))) bool start_holds(
	struct checking *c, bool condition, const char *format, ...);
/* A build's file is there, whole. */
bool start_has_file(struct checking *c, const uint8_t sha256[SHA256_LEN]);

/* ---- what is kept, and what is not ---- */

/* Before anything is told to it: what must be gone is. */
void kept_check_gone(struct checking *c);
/* What was cut off goes on to the same end. */
void kept_check_import(struct checking *c);
void kept_check_upload(struct checking *c);
/* Files that builds name outlive a garbage collection. */
void kept_collect(struct checking *c);
