/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer gives up what it does not need, in two steps: before it reads the keys, and when it has
 * all its files open.  Private to this folder.
 *
 * Under sanitizers nothing is given up: they need it themselves.
 */
#pragma once

#include <stdbool.h>

#include "proto/err.h"

/* False where there are no seccomp filters of ours: under sanitizers, and on other processors. */
bool lockdown_is_on(void);

/*
 * Never a core file, never a tracer, no new rights, no file of huidud's but stdin, stdout, stderr and
 * `fd`, whose new number is returned.  Keys that are read from now on lie in memory that is neither
 * swapped nor dumped; all other memory too where the limits (RLIMIT_MEMLOCK) allow it.
 */
WARN_UNUSED int lockdown_process(int fd);

/*
 * From now on the kernel ends this process when it asks for anything but reading and writing what is
 * open, memory that is not code, time and random numbers.  ERR_CONFIG when the kernel has no seccomp.
 */
WARN_UNUSED int lockdown_calls(void);
