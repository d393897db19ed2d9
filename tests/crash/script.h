/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scripted run that is recorded: a short life of a deployment, in which everything happens that a
 * server ever acknowledges.  The same from run to run, but for keys and random numbers.
 */
#pragma once

#include "tests/crash/trace.h"

/*
 * Runs in a process that has the recorder; `folder` (at least 64 bytes) gets where the deployment is,
 * which stays.  What was there before the first recorded change is copied to `base`.
 */
void script_run(const char *base, char *folder);

#define SCRIPT_DEVICES 6u
