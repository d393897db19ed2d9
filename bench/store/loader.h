/* SPDX-License-Identifier: Apache-2.0 */
/* Load for one server: requests over connections that are kept, one after the other on each. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LOADER_REQUEST_MAX 4096u

/* Writes a whole request, of whatever device it likes; its bytes. */
typedef size_t loader_request(void *arg, uint64_t draw, char out[LOADER_REQUEST_MAX]);

/*
 * Loads 127.0.0.1:`port` for a slice of time for each line of standard input, which says how many
 * seconds, and prints how many were answered, and how fast.  `draw` is another random number each
 * time.  Any answer but 200 and 204 ends the program.
 */
int loader_run(unsigned port, loader_request *request, void *arg);
