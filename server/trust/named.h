/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices stand in the log by their id: those that somebody gave a seat, or took it from. */
#pragma once

#include "proto/wire.h"

/* The entry names the device; one that cannot be read does not.  Uses the arena, which it may clear. */
bool named_in_entry(struct bytes entry, const uint8_t id[ID_LEN], struct arena *a);
