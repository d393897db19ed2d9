/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define RUN_EXIT 2000

/*
 * Runs a program with these arguments (argv[0] is looked up in PATH; no shell) and
 * waits. 0, or negative: -errno, or minus RUN_EXIT and the exit status, which is 128
 * and the signal for one that was killed.
 */
int run(const char *const argv[]);
