/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scripted run that is recorded: a short life of a deployment, in which everything happens that a
 * server ever acknowledges.  The same from run to run with the same seed, byte by byte.
 */
#pragma once

#include "tests/crash/trace.h"

/*
 * Runs in a process that has the recorder; `folder` (at least 64 bytes) gets where the deployment is,
 * which stays.  What was there before the first recorded change is copied to `base`.
 */
void script_run(const char *base, uint64_t seed, char *folder);

#define SCRIPT_DEVICES 6u

/* ---- what it brings, for who looks afterwards ---- */

#define SCRIPT_ROWS   6u    /* devices of the fleet that is brought */
#define SCRIPT_BLANKS 4096u /* rows between them that say nothing: it takes two transactions */
#define SCRIPT_PIECES 900u  /* bytes of the file that is uploaded in pieces */
void script_row_id(unsigned row, uint8_t id[16]);
void script_pieces(uint8_t out[SCRIPT_PIECES]);
