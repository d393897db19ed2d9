/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs a program with these arguments (argv[0] is looked up in PATH; no shell) and
 * waits for it. 0, or negative: -errno, or minus the exit status, or minus 128 and the
 * signal that ended it.
 */
int run(const char *const argv[]);
