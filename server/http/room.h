/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections devices may have: what descriptors and memory allow, less a reserve that
 * keeps the admin socket, the metrics and the store going.
 */
#pragma once

#include <stdint.h>

/* `descriptors` the process may have, those `open` already, and bytes of `memory`.  At least 1. */
uint32_t room_of(uint64_t descriptors, uint64_t open, uint64_t memory);
/*
 * `wanted`, or less where there are not descriptors enough; 0: what this machine allows.  Raises the
 * process' limit of descriptors as far as it may.  Call it when all else is open.
 */
uint32_t room_connections(uint32_t wanted);
